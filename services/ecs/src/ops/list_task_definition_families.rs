use api_ecs::{ListTaskDefinitionFamiliesRequest, ListTaskDefinitionFamiliesResponse};
use model::daemon::DAEMON_FAMILY;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};

/// An active family has an active revision; an inactive one has revisions, but none of them active.
pub(crate) fn apply(
    input: &ListTaskDefinitionFamiliesRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ListTaskDefinitionFamiliesResponse> {
    let request = ListTaskDefinitionFamiliesRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let prefix = input.family_prefix.as_deref().unwrap_or_default();
    let status = input.status.as_deref().unwrap_or("ACTIVE");
    let definitions = &ctx.snapshot.task_definitions;
    let families = ctx.snapshot.families.range(&format!("{}/{prefix}", ctx.scope)).filter(|family| {
        if family.name.starts_with(DAEMON_FAMILY) {
            return false;
        }
        let name = format!("{}/{}", ctx.scope, family.name);
        let active = definitions.by("active", &name).next().is_some();
        match status {
            "ACTIVE" => active,
            "INACTIVE" => !active && definitions.range(&format!("{name}/")).next().is_some(),
            _ => active || definitions.range(&format!("{name}/")).next().is_some(),
        }
    });
    let names = families.map(|family| (family.name.clone(), family.name.clone()));
    let (families, next_token) = pages.cut(names, Order::Ascending);
    unchanged(ListTaskDefinitionFamiliesResponse { families: Some(families), next_token })
}
