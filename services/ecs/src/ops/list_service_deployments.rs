use api_ecs::{Error, ErrorCode, ListServiceDeploymentsRequest, ListServiceDeploymentsResponse};
use state::Record;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};
use crate::{lookup, views};

/// The newest first.
pub(crate) fn apply(
    input: &ListServiceDeploymentsRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ListServiceDeploymentsResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let service = lookup::service(ctx, &cluster, input.service.as_deref().unwrap_or_default())
        .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))?;
    let request = ListServiceDeploymentsRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let statuses = input.status.as_deref().unwrap_or_default();
    let (before, after) = input.created_at.as_ref().map_or((None, None), |range| (range.before, range.after));
    let mut places: Vec<_> = ctx
        .snapshot
        .service_deployments
        .range(&format!("{}/", service.name()))
        .filter(|one| statuses.is_empty() || statuses.iter().any(|status| status == one.status.as_str()))
        .filter(|one| before.is_none_or(|before| one.created_at < before))
        .filter(|one| after.is_none_or(|after| one.created_at > after))
        .map(|one| (format!("{:016} {}", one.created_at.as_millis().max(0), one.id), one))
        .collect();
    places.sort_by(|one, other| other.0.cmp(&one.0));
    let (page, next_token) = pages.cut(places.into_iter(), Order::Descending);
    let shown = page.into_iter().map(|one| views::service_deployment::brief(one)).collect();
    unchanged(ListServiceDeploymentsResponse { service_deployments: Some(shown), next_token })
}
