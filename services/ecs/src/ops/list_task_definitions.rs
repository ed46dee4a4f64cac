use api_ecs::{ListTaskDefinitionsRequest, ListTaskDefinitionsResponse};
use state::Record;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};

/// Sorted by family, then by revision as a number; so the place of each is its padded name and not its ARN.
pub(crate) fn apply(input: &ListTaskDefinitionsRequest, ctx: &mut Ctx<'_>) -> Applied<ListTaskDefinitionsResponse> {
    let request = ListTaskDefinitionsRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let status = input.status.as_deref().unwrap_or("ACTIVE");
    let prefix = match input.family_prefix.as_deref().unwrap_or_default() {
        "" => format!("{}/", ctx.scope),
        // Despite its name it is the whole family here.
        family => format!("{}/{family}/", ctx.scope),
    };
    let matching =
        ctx.snapshot.task_definitions.range(&prefix).filter(|one| !one.is_of_daemon() && one.status.as_str() == status);
    let mut arns: Vec<_> = matching.map(|one| (one.name(), one.arn().to_string())).collect();
    let (arns, next_token) = match input.sort.as_deref().unwrap_or("ASC") {
        "ASC" => pages.cut(arns.into_iter(), Order::Ascending),
        "DESC" => {
            arns.reverse();
            pages.cut(arns.into_iter(), Order::Descending)
        }
        other => return Err(invalid(format!("Invalid sort order: {other}"))),
    };
    unchanged(ListTaskDefinitionsResponse { task_definition_arns: Some(arns), next_token })
}
