use api_ecs::{Attribute, ListAttributesRequest, ListAttributesResponse};
use model::ContainerInstanceStatus;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};
use crate::{lookup, views};

/// Between an instance and its attribute, inside a token. No attribute name has it.
const SEPARATOR: char = '\n';

pub(crate) fn apply(input: &ListAttributesRequest, ctx: &mut Ctx<'_>) -> Applied<ListAttributesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let request = ListAttributesRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let mut rows: Vec<(String, Attribute)> = Vec::new();
    let instances = ctx.snapshot.container_instances.range(&format!("{}/{}/", ctx.scope, cluster.name));
    for instance in instances.filter(|instance| instance.status != ContainerInstanceStatus::Inactive) {
        let arn = instance.arn();
        for attribute in &instance.attributes {
            let matches = input.attribute_name.as_ref().is_none_or(|name| attribute.name == *name)
                && input.attribute_value.as_ref().is_none_or(|value| attribute.value.as_ref() == Some(value));
            if matches {
                let shown = views::attribute(attribute, Some(&arn));
                rows.push((format!("{}{SEPARATOR}{}", instance.id, attribute.name), shown));
            }
        }
    }
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    let (attributes, next_token) = pages.cut(rows.into_iter(), Order::Ascending);
    unchanged(ListAttributesResponse { attributes: Some(attributes), next_token })
}
