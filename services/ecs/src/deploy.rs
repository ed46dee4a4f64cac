//! The beginning of a deployment: its place in the service, its record, and the revision that it brings.

use model::lifecycle::Router;
use model::service_deployment::{CircuitBreakerRecord, MonitorStatus, RevisionCounts, RevisionImage};
use model::{
    Deployment, DeploymentStatus, RolloutState, Service, ServiceDeployment, ServiceDeploymentStatus, ServiceRevision,
    TaskDefinition,
};
use reconcilers::service::blue_green;
use state::{Changes, Record};

use crate::ctx::Ctx;
use crate::views;

/// As long as that of a service deployment on AWS.
const ID_CHARS: usize = 22;
const SUPERSEDED: &str = "A newer service deployment took its place.";

/// The service's newest deployment, from now on. What was on its way before is on its way out.
pub(crate) fn begin(ctx: &mut Ctx<'_>, service: &mut Service, definition: &TaskDefinition, changes: &mut Changes) {
    let now = ctx.now;
    let sources = views::service_deployment::revision_counts(ctx.snapshot, service);
    let ongoing = service.primary().and_then(|primary| record(ctx, service, primary));
    if let Some(mut ongoing) = ongoing.filter(|one| one.status.is_ongoing()) {
        ongoing.becomes(ServiceDeploymentStatus::Stopped, SUPERSEDED, now);
        changes.put(ctx.snapshot, &ongoing);
    }
    let revision = ServiceRevision {
        scope: service.scope.clone(),
        cluster: service.cluster.clone(),
        service: service.name.clone(),
        id: ctx.ids.digits(),
        family: definition.family.clone(),
        revision: definition.revision,
        launch_type: service.launch_type,
        capacity_provider_strategy: service.capacity_provider_strategy.clone(),
        images: definition
            .containers
            .iter()
            .map(|one| RevisionImage { container: one.name.clone(), image: one.image.clone(), digest: None })
            .collect(),
        created_at: now,
    };
    let mut id = ctx.ids.hex();
    id.truncate(ID_CHARS);
    let breaker = service.deployment_configuration.circuit_breaker.filter(|breaker| breaker.enable);
    let deployment = ServiceDeployment {
        scope: service.scope.clone(),
        cluster: service.cluster.clone(),
        service: service.name.clone(),
        id,
        status: ServiceDeploymentStatus::Pending,
        status_reason: String::new(),
        sources,
        target: RevisionCounts { revision: revision.id.clone(), ..Default::default() },
        configuration: service.deployment_configuration.clone(),
        rollback: None,
        circuit_breaker: breaker.map(|_| CircuitBreakerRecord {
            status: MonitorStatus::Monitoring,
            failures: 0,
            threshold: service.deployment_configuration.failures_max(service.desired_count),
        }),
        triggered_alarms: Vec::new(),
        lifecycle: None,
        created_at: now,
        started_at: None,
        stopped_at: None,
        finished_at: None,
        updated_at: now,
    };
    let lifecycle = blue_green::begin(service, Router::Nobody, now).map(Box::new);
    for old in &mut service.deployments {
        old.status = DeploymentStatus::Active;
    }
    let name = format!("ecs-svc/{}", ctx.ids.digits());
    let newest = Deployment {
        rollout_state_reason: format!("ECS deployment {name} in progress."),
        id: name,
        status: DeploymentStatus::Primary,
        family: definition.family.clone(),
        revision: definition.revision,
        rollout_state: RolloutState::InProgress,
        service_deployment: deployment.id.clone(),
        service_revision: revision.id.clone(),
        adopted: Vec::new(),
        stop_requested: None,
        lifecycle,
        alarms_watched: None,
        baking_since: None,
        triggered_alarms: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    service.deployments.insert(0, newest);
    changes.put(ctx.snapshot, &revision);
    changes.put(ctx.snapshot, &deployment);
}

/// The record of a deployment, where one was written.
fn record(ctx: &Ctx<'_>, service: &Service, deployment: &Deployment) -> Option<ServiceDeployment> {
    let name = format!("{}/{}", service.name(), deployment.service_deployment);
    ctx.snapshot.service_deployments.get(&name).map(|record| ServiceDeployment::clone(record))
}
