use api_ecs::{ListDaemonTaskDefinitionsRequest, ListDaemonTaskDefinitionsResponse};
use model::TaskDefinition;
use model::daemon::DAEMON_FAMILY;
use state::Record;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};
use crate::views;

/// Sorted by family, then by revision as a number.
pub(crate) fn apply(
    input: &ListDaemonTaskDefinitionsRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ListDaemonTaskDefinitionsResponse> {
    let request = ListDaemonTaskDefinitionsRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let prefix = match (&input.family, input.family_prefix.as_deref().unwrap_or_default()) {
        (Some(_), prefix) if !prefix.is_empty() => {
            return Err(invalid("Specify either family or familyPrefix. Not both."));
        }
        (Some(family), _) => format!("{}/{DAEMON_FAMILY}{family}/", ctx.scope),
        (None, prefix) => format!("{}/{DAEMON_FAMILY}{prefix}", ctx.scope),
    };
    let status = input.status.as_deref().unwrap_or("ACTIVE");
    let is_last = |one: &TaskDefinition| {
        let family = ctx.snapshot.families.get(&format!("{}/{}", ctx.scope, one.family));
        input.revision.is_none() || family.is_some_and(|family| family.last_revision == one.revision)
    };
    let matching = ctx.snapshot.task_definitions.range(&prefix);
    let matching = matching.filter(|one| (status == "ALL" || one.status.as_str() == status) && is_last(one));
    let mut rows: Vec<_> = matching.map(|one| (one.name(), views::daemon::task_definition_summary(one))).collect();
    let (rows, next_token) = if input.sort.as_deref() == Some("DESC") {
        rows.reverse();
        pages.cut(rows.into_iter(), Order::Descending)
    } else {
        pages.cut(rows.into_iter(), Order::Ascending)
    };
    unchanged(ListDaemonTaskDefinitionsResponse { daemon_task_definitions: Some(rows), next_token })
}
