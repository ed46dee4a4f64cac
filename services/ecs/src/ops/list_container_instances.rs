use api_ecs::{ListContainerInstancesRequest, ListContainerInstancesResponse};
use model::ContainerInstanceStatus;
use scheduler::{Candidate, Expression};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::PAGE_MAX;
use crate::lookup;
use crate::page::{Order, Pages};

/// Without a status those that are there: active and draining ones.
pub(crate) fn apply(
    input: &ListContainerInstancesRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ListContainerInstancesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let filter: Option<Expression> = input
        .filter
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error: scheduler::ConstraintError| invalid(error.to_string())))
        .transpose()?;
    let request = ListContainerInstancesRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let snapshot = ctx.snapshot;
    let status = input.status.as_deref();
    let arns = snapshot
        .container_instances
        .range(&format!("{}/{}/", ctx.scope, cluster.name))
        .filter(|instance| match status {
            Some(status) => instance.status.as_str() == status,
            None => matches!(instance.status, ContainerInstanceStatus::Active | ContainerInstanceStatus::Draining),
        })
        .filter(|instance| filter.as_ref().is_none_or(|filter| filter.matches(&Candidate::new(snapshot, instance))))
        .map(|instance| (instance.id.clone(), instance.arn().to_string()));
    let (arns, next_token) = pages.cut(arns, Order::Ascending);
    unchanged(ListContainerInstancesResponse { container_instance_arns: Some(arns), next_token })
}
