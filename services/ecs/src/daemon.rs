//! What the operations of managed daemons have in common: what a daemon may be made of, and the beginning of a deployment.

use model::service::FailureThreshold;
use model::service_deployment::{CircuitBreakerRecord, MonitorStatus, RevisionImage};
use model::{
    Cluster, Daemon, DaemonDeployment, DaemonDeploymentStatus, DaemonRevision, DaemonStatus, TaskDefinition,
    TaskDefinitionStatus,
};
use state::{Changes, Record};
use std::sync::Arc;

use crate::ctx::Ctx;
use crate::error::{Error, ErrorCode, client, invalid, unsupported};
use crate::views::PREDEFINED;
use crate::{capacity, lookup};

/// As long as that of a daemon deployment on AWS.
const ID_CHARS: usize = 16;
const SUPERSEDED: &str = "A newer daemon deployment took its place.";

/// What a deployment brings.
pub(crate) struct NewRevision<'a> {
    pub definition: &'a TaskDefinition,
    pub propagate_tags: bool,
    pub ecs_managed_tags_enabled: bool,
    pub execute_command_enabled: bool,
    pub critical: bool,
}

/// One that daemons may be made of.
pub(crate) fn definition(ctx: &Ctx<'_>, text: Option<&str>) -> Result<Arc<TaskDefinition>, Error> {
    let found = lookup::daemon_task_definition(ctx, text.unwrap_or_default());
    let definition = found.ok_or_else(|| client("Daemon task definition not found."))?;
    match definition.status {
        TaskDefinitionStatus::Active => Ok(definition),
        _ => Err(invalid("The daemon task definition is not in ACTIVE status.")),
    }
}

/// Of the cluster, and of a kind that has instances. ECS has daemons on Managed Instances alone; here an Auto Scaling group
/// will do, as nothing else has instances.
pub(crate) fn capacity_providers(
    ctx: &Ctx<'_>,
    cluster: &Cluster,
    named: Option<&[String]>,
) -> Result<Vec<String>, Error> {
    let named = named.unwrap_or_default();
    if named.is_empty() {
        return Err(invalid("Capacity provider ARNs cannot be empty."));
    }
    let names = capacity::providers(ctx, named)?;
    if let Some(name) = names.iter().find(|name| PREDEFINED.contains(&name.as_str())) {
        return Err(unsupported(&format!("A daemon on the capacity provider {name}")));
    }
    match names.iter().find(|name| !cluster.capacity_providers.contains(name)) {
        Some(name) => {
            Err(invalid(format!("The specified capacity provider '{name}' is not associated with the cluster.")))
        }
        None => Ok(names),
    }
}

pub(crate) fn active(daemon: &Daemon) -> Result<(), Error> {
    match daemon.status {
        DaemonStatus::Active => Ok(()),
        DaemonStatus::DeleteInProgress => {
            Err(Error::new(ErrorCode::DaemonNotActiveException, "Daemon was not ACTIVE."))
        }
    }
}

/// Brings a new revision to every instance.
pub(crate) fn deploy(ctx: &mut Ctx<'_>, daemon: &mut Daemon, new: NewRevision<'_>, changes: &mut Changes) {
    let image = |one: &model::ContainerDefinition| RevisionImage {
        container: one.name.clone(),
        image: one.image.clone(),
        digest: None,
    };
    let revision = DaemonRevision {
        scope: daemon.scope.clone(),
        cluster: daemon.cluster.clone(),
        daemon: daemon.name.clone(),
        id: ctx.ids.digits(),
        family: new.definition.family.clone(),
        revision: new.definition.revision,
        images: new.definition.containers.iter().map(image).collect(),
        propagate_tags: new.propagate_tags,
        ecs_managed_tags_enabled: new.ecs_managed_tags_enabled,
        execute_command_enabled: new.execute_command_enabled,
        critical: new.critical,
        created_at: ctx.now,
    };
    daemon.revision.clone_from(&revision.id);
    begin(ctx, daemon, changes);
    changes.put(ctx.snapshot, &revision);
}

/// The daemon's newest deployment, from now on, of the revision that the daemon says. What was on its way before is over.
pub(crate) fn begin(ctx: &mut Ctx<'_>, daemon: &mut Daemon, changes: &mut Changes) {
    let known = ctx.snapshot.daemon_deployments.get(&format!("{}/{}", daemon.name(), daemon.deployment));
    if let Some(ongoing) = known.filter(|one| one.status.is_ongoing()) {
        let mut ongoing = DaemonDeployment::clone(ongoing);
        ongoing.becomes(DaemonDeploymentStatus::Stopped, SUPERSEDED, ctx.now);
        changes.put(ctx.snapshot, &ongoing);
    }
    let mut id = ctx.ids.hex();
    id.truncate(ID_CHARS);
    let before = ctx.snapshot.daemons.get(&daemon.name());
    let running = reconcilers::managed_daemon::running(ctx.snapshot, daemon);
    let mut sources: Vec<String> = running.into_keys().map(|(revision, _)| revision).collect();
    sources.extend(before.map(|before| before.revision.clone()));
    sources.sort_unstable();
    sources.dedup();
    sources.retain(|revision| *revision != daemon.revision);
    let deployment = DaemonDeployment {
        scope: daemon.scope.clone(),
        cluster: daemon.cluster.clone(),
        daemon: daemon.name.clone(),
        id,
        status: DaemonDeploymentStatus::Pending,
        status_reason: String::new(),
        sources,
        target: daemon.revision.clone(),
        capacity_providers: daemon.capacity_providers.clone(),
        configuration: daemon.configuration,
        circuit_breaker: CircuitBreakerRecord {
            status: MonitorStatus::Monitoring,
            failures: 0,
            threshold: FailureThreshold::default().tasks(0),
        },
        rollback: None,
        baking_since: None,
        created_at: ctx.now,
        started_at: None,
        stopped_at: None,
        finished_at: None,
    };
    daemon.deployment.clone_from(&deployment.id);
    changes.put(ctx.snapshot, &deployment);
}
