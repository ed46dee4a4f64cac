use api_ecs::{DeleteAttributesRequest, DeleteAttributesResponse};
use model::Attribute;

use super::put_attributes::{Targets, custom_name, within_limit};
use crate::ctx::{Applied, Ctx};
use crate::{lookup, views};

/// Takes custom attributes away, by their names. One that is not there is as good as deleted.
pub(crate) fn apply(input: &DeleteAttributesRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteAttributesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut targets = Targets::default();
    let mut shown = Vec::new();
    for given in within_limit(input.attributes.as_ref())? {
        let name = custom_name(given)?;
        let instance = targets.find(ctx, &cluster, given)?;
        instance.attributes.retain(|known| known.name != name);
        shown.push(views::attribute(&Attribute { name, value: given.value.clone() }, Some(&instance.arn())));
    }
    Ok((targets.changes(ctx), DeleteAttributesResponse { attributes: Some(shown) }))
}
