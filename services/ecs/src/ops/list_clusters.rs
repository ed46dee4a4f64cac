use api_ecs::{ListClustersRequest, ListClustersResponse};
use model::ClusterStatus;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::limits::PAGE_MAX;
use crate::page::{Order, Pages};

pub(crate) fn apply(input: &ListClustersRequest, ctx: &mut Ctx<'_>) -> Applied<ListClustersResponse> {
    let request = ListClustersRequest::default();
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;
    let arns = ctx
        .snapshot
        .clusters
        .range(&format!("{}/", ctx.scope))
        .filter(|cluster| cluster.status == ClusterStatus::Active)
        .map(|cluster| (cluster.name.clone(), cluster.arn().to_string()));
    let (arns, next_token) = pages.cut(arns, Order::Ascending);
    unchanged(ListClustersResponse { cluster_arns: Some(arns), next_token })
}
