use api_ecs::{ListDaemonDeploymentsRequest, ListDaemonDeploymentsResponse};
use state::Record;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::limits::DAEMON_DEPLOYMENTS_PAGE_DEFAULT;
use crate::page::{Order, Pages};
use crate::{lookup, views};

/// The newest first.
pub(crate) fn apply(input: &ListDaemonDeploymentsRequest, ctx: &mut Ctx<'_>) -> Applied<ListDaemonDeploymentsResponse> {
    let daemon = lookup::daemon(ctx, input.daemon_arn.as_deref().unwrap_or_default())?;
    let request = ListDaemonDeploymentsRequest { next_token: None, max_results: None, ..input.clone() };
    let size = DAEMON_DEPLOYMENTS_PAGE_DEFAULT;
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, size)?;
    let statuses = input.status.as_deref().unwrap_or_default();
    let (before, after) = input.created_at.as_ref().map_or((None, None), |range| (range.before, range.after));
    let of_daemon = ctx.snapshot.daemon_deployments.range(&format!("{}/", daemon.name()));
    let matching = of_daemon.filter(|one| {
        (statuses.is_empty() || statuses.iter().any(|status| status == one.status.as_str()))
            && before.is_none_or(|before| one.created_at < before)
            && after.is_none_or(|after| one.created_at > after)
    });
    let place = |millis: i64, id: &str| format!("{:016} {id}", millis.max(0));
    let mut rows: Vec<_> = matching.map(|one| (place(one.created_at.as_millis(), &one.id), one)).collect();
    rows.sort_by(|one, other| other.0.cmp(&one.0));
    let (page, next_token) = pages.cut(rows.into_iter(), Order::Descending);
    let shown = page.into_iter().map(|one| views::daemon::deployment_summary(one)).collect();
    unchanged(ListDaemonDeploymentsResponse { daemon_deployments: Some(shown), next_token })
}
