//! Finds what a request names: by short name, by id or by ARN.

use std::sync::Arc;

use model::arn::looks_like_arn;
use model::capacity_provider::CapacityProviderStatus;
use model::daemon::DAEMON_FAMILY;
use model::{
    CapacityProvider, CapacityProviderArn, Cluster, ClusterArn, ClusterStatus, ContainerInstance, ContainerInstanceArn,
    ContainerInstanceStatus, Daemon, DaemonArn, DaemonDeployment, DaemonDeploymentArn, DaemonRevision,
    DaemonRevisionArn, Service, ServiceArn, ServiceDeployment, ServiceDeploymentArn, ServiceRevision,
    ServiceRevisionArn, Task, TaskArn, TaskDefinition, TaskDefinitionArn, TaskDefinitionStatus, TaskSetArn,
};

use crate::ctx::Ctx;
use crate::error::{Error, ErrorCode, client, cluster_not_found, invalid};
use crate::quirks::DEFAULT_CLUSTER;

/// The name behind `cluster`, which may be absent, a name or an ARN of this scope.
pub(crate) fn cluster_name(ctx: &Ctx<'_>, cluster: Option<&str>) -> Result<String, Error> {
    match cluster.unwrap_or_default() {
        "" => Ok(DEFAULT_CLUSTER.to_owned()),
        text if looks_like_arn(text) => {
            let arn: ClusterArn = text
                .parse()
                .map_err(|_| invalid("Invalid identifier: Identifier is for cluster. Your identifier is not valid."))?;
            if arn.scope == ctx.scope { Ok(arn.name) } else { Err(cluster_not_found()) }
        }
        name => Ok(name.to_owned()),
    }
}

/// An active cluster; an absent name means `default`.
pub(crate) fn cluster(ctx: &Ctx<'_>, cluster: Option<&str>) -> Result<Arc<Cluster>, Error> {
    let name = cluster_name(ctx, cluster)?;
    ctx.snapshot
        .clusters
        .get(&format!("{}/{name}", ctx.scope))
        .filter(|cluster| cluster.status == ClusterStatus::Active)
        .cloned()
        .ok_or_else(cluster_not_found)
}

/// A task definition by `family`, `family:revision` or ARN. A family means its latest active revision.
pub(crate) fn task_definition(ctx: &Ctx<'_>, text: &str) -> Option<Arc<TaskDefinition>> {
    let (family, revision) = if looks_like_arn(text) {
        let arn: TaskDefinitionArn = text.parse().ok()?;
        if arn.scope != ctx.scope {
            return None;
        }
        (arn.family, Some(arn.revision))
    } else {
        match text.split_once(':') {
            Some((family, revision)) => (family.to_owned(), Some(revision.parse().ok()?)),
            None => (text.to_owned(), None),
        }
    };
    // Those of daemons are other resources.
    if family.starts_with(DAEMON_FAMILY) {
        return None;
    }
    revision_of(ctx, &family, revision)
}

/// A daemon task definition, named like any other.
pub(crate) fn daemon_task_definition(ctx: &Ctx<'_>, text: &str) -> Option<Arc<TaskDefinition>> {
    if looks_like_arn(text) {
        let arn: TaskDefinitionArn = text.parse().ok()?;
        let is_it = arn.scope == ctx.scope && arn.family.starts_with(DAEMON_FAMILY);
        return revision_of(ctx, &arn.family, Some(arn.revision)).filter(|_| is_it);
    }
    let (family, revision) = match text.split_once(':') {
        Some((family, revision)) => (family, Some(revision.parse().ok()?)),
        None => (text, None),
    };
    revision_of(ctx, &format!("{DAEMON_FAMILY}{family}"), revision)
}

fn revision_of(ctx: &Ctx<'_>, family: &str, revision: Option<u32>) -> Option<Arc<TaskDefinition>> {
    let definitions = &ctx.snapshot.task_definitions;
    match revision {
        Some(revision) => definitions.get(&format!("{}/{family}/{revision:010}", ctx.scope)).cloned(),
        None => definitions.by("active", &format!("{}/{family}", ctx.scope)).last().cloned(),
    }
}

/// A definition that new tasks may be made of.
pub(crate) fn runnable_task_definition(ctx: &Ctx<'_>, text: Option<&str>) -> Result<Arc<TaskDefinition>, Error> {
    let definition =
        task_definition(ctx, text.unwrap_or_default()).ok_or_else(|| client("TaskDefinition not found."))?;
    match definition.status {
        TaskDefinitionStatus::Active => Ok(definition),
        TaskDefinitionStatus::Inactive => Err(invalid("TaskDefinition is inactive")),
        TaskDefinitionStatus::DeleteInProgress => Err(invalid("TaskDefinition is in the process of being deleted")),
    }
}

/// The id in a text that is an id or an ARN of this cluster.
fn id_in<A: std::str::FromStr>(text: &str, of: impl Fn(A) -> Option<String>) -> Option<String> {
    if looks_like_arn(text) { text.parse().ok().and_then(of) } else { Some(text.to_owned()) }
}

pub(crate) fn task(ctx: &Ctx<'_>, cluster: &Cluster, text: &str) -> Option<Arc<Task>> {
    let id = id_in(text, |arn: TaskArn| (arn.scope == ctx.scope && arn.cluster == cluster.name).then_some(arn.id))?;
    ctx.snapshot.tasks.get(&format!("{}/{}/{id}", ctx.scope, cluster.name)).cloned()
}

pub(crate) fn container_instance(ctx: &Ctx<'_>, cluster: &Cluster, text: &str) -> Option<Arc<ContainerInstance>> {
    let own = |arn: ContainerInstanceArn| (arn.scope == ctx.scope && arn.cluster == cluster.name).then_some(arn.id);
    let id = id_in(text, own)?;
    ctx.snapshot.container_instances.get(&format!("{}/{}/{id}", ctx.scope, cluster.name)).cloned()
}

/// One that has not been deregistered.
pub(crate) fn active_container_instance(
    ctx: &Ctx<'_>,
    cluster: &Cluster,
    text: &str,
) -> Option<Arc<ContainerInstance>> {
    container_instance(ctx, cluster, text).filter(|instance| instance.status != ContainerInstanceStatus::Inactive)
}

/// The name of a capacity provider, by itself or in an ARN of this scope; whether it exists is another question.
pub(crate) fn capacity_provider_name(ctx: &Ctx<'_>, text: &str) -> Option<String> {
    id_in(text, |arn: CapacityProviderArn| (arn.scope == ctx.scope).then_some(arn.name))
}

/// An active capacity provider that somebody has made.
pub(crate) fn capacity_provider(ctx: &Ctx<'_>, text: &str) -> Result<CapacityProvider, Error> {
    let name = capacity_provider_name(ctx, text);
    let kept = name.and_then(|name| ctx.snapshot.capacity_providers.get(&format!("{}/{name}", ctx.scope)));
    kept.filter(|kept| kept.status == CapacityProviderStatus::Active)
        .map(|kept| CapacityProvider::clone(kept))
        .ok_or_else(|| {
            invalid("The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
        })
}

/// The id of a task set of the service, by that id, by its digits alone, or by its ARN.
pub(crate) fn task_set_id(ctx: &Ctx<'_>, service: &Service, text: &str) -> Option<String> {
    if !looks_like_arn(text) {
        return Some(if text.starts_with("ecs-svc/") { text.to_owned() } else { format!("ecs-svc/{text}") });
    }
    let arn: TaskSetArn = text.parse().ok()?;
    let own = arn.scope == ctx.scope && arn.cluster == service.cluster && arn.service == service.name;
    own.then_some(arn.id)
}

/// By its ARN. One of another account or region is not seen.
pub(crate) fn service_deployment(ctx: &Ctx<'_>, text: &str) -> Result<Option<Arc<ServiceDeployment>>, Error> {
    let arn: ServiceDeploymentArn =
        text.parse().map_err(|_| invalid(format!("Invalid service deployment ARN: {text}.")))?;
    let name = format!("{}/{}/{}/{}", arn.scope, arn.cluster, arn.service, arn.id);
    Ok(ctx.snapshot.service_deployments.get(&name).filter(|_| arn.scope == ctx.scope).cloned())
}

pub(crate) fn service_revision(ctx: &Ctx<'_>, text: &str) -> Result<Option<Arc<ServiceRevision>>, Error> {
    let arn: ServiceRevisionArn =
        text.parse().map_err(|_| invalid(format!("Invalid service revision ARN: {text}.")))?;
    let name = format!("{}/{}/{}/{}", arn.scope, arn.cluster, arn.service, arn.id);
    Ok(ctx.snapshot.service_revisions.get(&name).filter(|_| arn.scope == ctx.scope).cloned())
}

pub(crate) fn daemon(ctx: &Ctx<'_>, text: &str) -> Result<Arc<Daemon>, Error> {
    let arn: DaemonArn = text.parse().map_err(|_| invalid(format!("Invalid daemon ARN: {text}.")))?;
    let name = format!("{}/{}/{}", arn.scope, arn.cluster, arn.name);
    let found = ctx.snapshot.daemons.get(&name).filter(|_| arn.scope == ctx.scope).cloned();
    found.ok_or_else(|| Error::new(ErrorCode::DaemonNotFoundException, "Daemon not found."))
}

pub(crate) fn daemon_deployment(ctx: &Ctx<'_>, text: &str) -> Result<Option<Arc<DaemonDeployment>>, Error> {
    let arn: DaemonDeploymentArn =
        text.parse().map_err(|_| invalid(format!("Invalid daemon deployment ARN: {text}.")))?;
    let name = format!("{}/{}/{}/{}", arn.scope, arn.cluster, arn.daemon, arn.id);
    Ok(ctx.snapshot.daemon_deployments.get(&name).filter(|_| arn.scope == ctx.scope).cloned())
}

pub(crate) fn daemon_revision(ctx: &Ctx<'_>, text: &str) -> Result<Option<Arc<DaemonRevision>>, Error> {
    let arn: DaemonRevisionArn = text.parse().map_err(|_| invalid(format!("Invalid daemon revision ARN: {text}.")))?;
    let name = format!("{}/{}/{}/{}", arn.scope, arn.cluster, arn.daemon, arn.id);
    Ok(ctx.snapshot.daemon_revisions.get(&name).filter(|_| arn.scope == ctx.scope).cloned())
}

pub(crate) fn service(ctx: &Ctx<'_>, cluster: &Cluster, text: &str) -> Option<Arc<Service>> {
    let own = |arn: ServiceArn| (arn.scope == ctx.scope && arn.cluster == cluster.name).then_some(arn.name);
    let name = id_in(text, own)?;
    ctx.snapshot.services.get(&format!("{}/{}/{name}", ctx.scope, cluster.name)).cloned()
}
