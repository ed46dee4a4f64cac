use api_ecs::{ListServicesRequest, ListServicesResponse};
use model::ServiceStatus;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::limits::SERVICES_PAGE_DEFAULT;
use crate::lookup;
use crate::page::{Order, Pages};

pub(crate) fn apply(input: &ListServicesRequest, ctx: &mut Ctx<'_>) -> Applied<ListServicesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let request = ListServicesRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, SERVICES_PAGE_DEFAULT)?;
    let arns = ctx
        .snapshot
        .services
        .range(&format!("{}/{}/", ctx.scope, cluster.name))
        .filter(|service| service.status != ServiceStatus::Inactive)
        .filter(|service| match input.launch_type.as_deref() {
            Some(kind) => service.launch_type.is_some_and(|own| own.as_str() == kind),
            None => true,
        })
        .filter(|service| {
            let wanted = input.scheduling_strategy.as_deref();
            wanted.is_none_or(|strategy| service.scheduling_strategy.as_str() == strategy)
        })
        .map(|service| (service.name.clone(), service.arn().to_string()));
    let (arns, next_token) = pages.cut(arns, Order::Ascending);
    unchanged(ListServicesResponse { service_arns: Some(arns), next_token })
}
