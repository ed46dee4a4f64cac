use api_ecs::{DeleteClusterRequest, DeleteClusterResponse, Error, ErrorCode};
use model::{ClusterStatus, ContainerInstanceStatus, ServiceStatus};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::{lookup, views};

pub(crate) fn apply(input: &DeleteClusterRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteClusterResponse> {
    let mut cluster = (*lookup::cluster(ctx, input.cluster.as_deref())?).clone();
    let within = format!("{}/{}/", ctx.scope, cluster.name);
    let snapshot = ctx.snapshot;
    if snapshot.services.range(&within).any(|service| service.status != ServiceStatus::Inactive) {
        return Err(Error::new(
            ErrorCode::ClusterContainsServicesException,
            "The Cluster cannot be deleted while Services are active.",
        ));
    }
    if snapshot.daemons.range(&within).next().is_some() {
        return Err(Error::new(
            ErrorCode::ClusterContainsServicesException,
            "The Cluster cannot be deleted while Daemons are active.",
        ));
    }
    let here = |status| matches!(status, ContainerInstanceStatus::Active | ContainerInstanceStatus::Draining);
    if snapshot.container_instances.range(&within).any(|instance| here(instance.status)) {
        return Err(Error::new(
            ErrorCode::ClusterContainsContainerInstancesException,
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        ));
    }
    if snapshot.tasks.under("live", &within).next().is_some() {
        return Err(Error::new(
            ErrorCode::ClusterContainsTasksException,
            "The Cluster cannot be deleted while Tasks are active.",
        ));
    }
    cluster.status = ClusterStatus::Inactive;
    let mut changes = Changes::new();
    changes.put(snapshot, &cluster);
    Ok((changes, DeleteClusterResponse { cluster: Some(views::cluster(snapshot, &cluster, None)) }))
}
