use api_ecs::{ListDaemonsRequest, ListDaemonsResponse};
use state::Record;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};
use crate::{lookup, views};

/// Those of all clusters, or of one.
pub(crate) fn apply(input: &ListDaemonsRequest, ctx: &mut Ctx<'_>) -> Applied<ListDaemonsResponse> {
    let request = ListDaemonsRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let prefix = match input.cluster_arn.as_deref() {
        Some(text) => format!("{}/{}/", ctx.scope, lookup::cluster(ctx, Some(text))?.name),
        None => format!("{}/", ctx.scope),
    };
    let mut providers = Vec::new();
    for text in input.capacity_provider_arns.iter().flatten() {
        let name = lookup::capacity_provider_name(ctx, text);
        providers.push(name.ok_or_else(|| invalid(format!("Invalid capacity provider ARN: {text}.")))?);
    }
    let matching =
        ctx.snapshot.daemons.range(&prefix).filter(|daemon| {
            providers.is_empty() || providers.iter().any(|name| daemon.capacity_providers.contains(name))
        });
    let rows = matching.map(|daemon| (daemon.name(), views::daemon::summary(daemon)));
    let (rows, next_token) = pages.cut(rows, Order::Ascending);
    unchanged(ListDaemonsResponse { daemon_summaries_list: Some(rows), next_token })
}
