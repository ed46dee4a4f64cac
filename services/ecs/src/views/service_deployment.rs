//! A service's deployments and revisions, as its history shows them.

use model::lifecycle::{HookRun, HookTarget, Lifecycle};
use model::service_deployment::{CircuitBreakerRecord, MonitorStatus, RevisionCounts, ServiceRevision};
use model::{ClusterArn, Service, ServiceArn, ServiceDeployment, TaskDefinitionArn, TaskStatus, Weight};
use reconcilers::service::blue_green;
use state::{Record, Snapshot};

use crate::convert;

/// The revisions that a service has tasks of, or wants to have, the newest first.
pub(crate) fn revision_counts(snapshot: &Snapshot, service: &Service) -> Vec<RevisionCounts> {
    let deployments = service.deployments.iter().filter(|one| !one.service_revision.is_empty());
    let mut counts: Vec<RevisionCounts> = deployments
        .map(|one| {
            let weights = service.weights(one);
            RevisionCounts {
                revision: one.service_revision.clone(),
                requested: blue_green::wanted_of(service, one),
                production: weights.map(|weights| weights.0),
                test: weights.map(|weights| weights.1),
                ..Default::default()
            }
        })
        .collect();
    for task in snapshot.tasks.by("service", &service.name()) {
        if task.desired_status != TaskStatus::Running {
            continue;
        }
        let Some(deployment) = service.deployments.iter().find(|one| one.has(task)) else { continue };
        let Some(of_it) = counts.iter_mut().find(|one| one.revision == deployment.service_revision) else { continue };
        match task.last_status {
            TaskStatus::Running => of_it.running += 1,
            _ => of_it.pending += 1,
        }
    }
    counts
}

pub(crate) fn brief(kept: &ServiceDeployment) -> api_ecs::ServiceDeploymentBrief {
    api_ecs::ServiceDeploymentBrief {
        service_deployment_arn: Some(kept.arn().to_string()),
        service_arn: Some(kept.service_arn().to_string()),
        cluster_arn: Some(ClusterArn::new(&kept.scope, &kept.cluster).to_string()),
        started_at: kept.started_at,
        created_at: Some(kept.created_at),
        finished_at: kept.finished_at,
        target_service_revision_arn: Some(kept.revision_arn(&kept.target.revision).to_string()),
        status: Some(kept.status.as_str().into()),
        status_reason: reason(kept),
    }
}

pub(crate) fn service_deployment(snapshot: &Snapshot, kept: &ServiceDeployment) -> api_ecs::ServiceDeployment {
    let target = match current_counts(snapshot, kept) {
        Some(counts) if kept.status.is_ongoing() => counts,
        _ => kept.target.clone(),
    };
    let lifecycle = lifecycle(snapshot, kept);
    api_ecs::ServiceDeployment {
        service_deployment_arn: Some(kept.arn().to_string()),
        service_arn: Some(kept.service_arn().to_string()),
        cluster_arn: Some(ClusterArn::new(&kept.scope, &kept.cluster).to_string()),
        created_at: Some(kept.created_at),
        started_at: kept.started_at,
        finished_at: kept.finished_at,
        stopped_at: kept.stopped_at,
        updated_at: Some(kept.updated_at),
        source_service_revisions: Some(kept.sources.iter().map(|counts| summary(kept, counts)).collect()),
        target_service_revision: Some(summary(kept, &target)),
        status: Some(kept.status.as_str().into()),
        status_reason: reason(kept),
        deployment_configuration: Some(convert::service::deployment_configuration_view(&kept.configuration)),
        rollback: kept.rollback.as_ref().map(|rollback| api_ecs::Rollback {
            reason: Some(rollback.reason.clone()),
            started_at: Some(rollback.started_at),
            service_revision_arn: Some(kept.revision_arn(&rollback.revision).to_string()),
        }),
        deployment_circuit_breaker: Some(circuit_breaker(kept.circuit_breaker)),
        alarms: Some(alarms(kept)),
        lifecycle_stage: lifecycle.map(|lifecycle| lifecycle.stage.as_str().into()),
        lifecycle_hook_details: lifecycle.map(|lifecycle| lifecycle.runs.iter().map(hook).collect()),
    }
}

/// What the tasks say while the deployment is on its way.
fn current_counts(snapshot: &Snapshot, kept: &ServiceDeployment) -> Option<RevisionCounts> {
    let service = snapshot.services.get(&format!("{}/{}/{}", kept.scope, kept.cluster, kept.service))?;
    revision_counts(snapshot, service).into_iter().find(|counts| counts.revision == kept.target.revision)
}

fn reason(kept: &ServiceDeployment) -> Option<String> {
    Some(kept.status_reason.clone()).filter(|reason| !reason.is_empty())
}

fn summary(of: &ServiceDeployment, counts: &RevisionCounts) -> api_ecs::ServiceRevisionSummary {
    api_ecs::ServiceRevisionSummary {
        arn: Some(of.revision_arn(&counts.revision).to_string()),
        requested_task_count: Some(counts.requested as i32),
        running_task_count: Some(counts.running as i32),
        pending_task_count: Some(counts.pending as i32),
        requested_test_traffic_weight: counts.test.map(Weight::percent),
        requested_production_traffic_weight: counts.production.map(Weight::percent),
    }
}

/// Where it is now; its record says where it was when it was last looked at.
fn lifecycle<'a>(snapshot: &'a Snapshot, kept: &'a ServiceDeployment) -> Option<&'a Lifecycle> {
    let of_service = || {
        let service = snapshot.services.get(&format!("{}/{}/{}", kept.scope, kept.cluster, kept.service))?;
        let of_it = service.deployments.iter().find(|one| one.service_deployment == kept.id)?;
        of_it.lifecycle.as_deref()
    };
    of_service().or(kept.lifecycle.as_deref())
}

fn hook(run: &HookRun) -> api_ecs::DeploymentLifecycleHookDetail {
    let target_arn = match &run.target {
        HookTarget::Pause => None,
        HookTarget::AwsLambda { arn, .. } => Some(arn.clone()),
    };
    api_ecs::DeploymentLifecycleHookDetail {
        hook_id: Some(run.id.clone()),
        target_type: Some(run.target.as_str().into()),
        target_arn,
        status: Some(run.status.as_str().into()),
        expires_at: Some(run.expires_at),
        timeout_action: Some(run.timeout_action.as_str().into()),
    }
}

fn circuit_breaker(kept: Option<CircuitBreakerRecord>) -> api_ecs::ServiceDeploymentCircuitBreaker {
    let disabled = CircuitBreakerRecord { status: MonitorStatus::Disabled, failures: 0, threshold: 0 };
    let kept = kept.unwrap_or(disabled);
    api_ecs::ServiceDeploymentCircuitBreaker {
        status: Some(kept.status.as_str().into()),
        failure_count: Some(kept.failures as i32),
        threshold: Some(kept.threshold as i32),
    }
}

fn alarms(kept: &ServiceDeployment) -> api_ecs::ServiceDeploymentAlarms {
    let enabled = kept.configuration.alarms.as_ref().filter(|alarms| alarms.enable);
    let status = match enabled {
        None => MonitorStatus::Disabled,
        Some(_) if !kept.triggered_alarms.is_empty() => MonitorStatus::Triggered,
        Some(_) if kept.status.is_ongoing() => MonitorStatus::Monitoring,
        Some(_) => MonitorStatus::MonitoringComplete,
    };
    api_ecs::ServiceDeploymentAlarms {
        status: Some(status.as_str().into()),
        alarm_names: enabled.map(|alarms| alarms.names.clone()),
        triggered_alarm_names: enabled.map(|_| kept.triggered_alarms.clone()),
    }
}

/// The revisions of a service that is looked at now.
pub(crate) fn current_revisions(snapshot: &Snapshot, service: &Service) -> Vec<api_ecs::ServiceCurrentRevisionSummary> {
    let arn = |id: &str| model::ServiceRevisionArn::new(&service.scope, &service.cluster, &service.name, id);
    let counts = revision_counts(snapshot, service).into_iter();
    counts
        .map(|counts| api_ecs::ServiceCurrentRevisionSummary {
            arn: Some(arn(&counts.revision).to_string()),
            requested_task_count: Some(counts.requested as i32),
            running_task_count: Some(counts.running as i32),
            pending_task_count: Some(counts.pending as i32),
        })
        .collect()
}

pub(crate) fn service_revision(kept: &ServiceRevision) -> api_ecs::ServiceRevision {
    let images = kept.images.iter().map(|one| api_ecs::ContainerImage {
        container_name: Some(one.container.clone()),
        image: Some(one.image.clone()),
        image_digest: one.digest.clone(),
    });
    api_ecs::ServiceRevision {
        service_revision_arn: Some(kept.arn().to_string()),
        service_arn: Some(ServiceArn::new(&kept.scope, &kept.cluster, &kept.service).to_string()),
        cluster_arn: Some(ClusterArn::new(&kept.scope, &kept.cluster).to_string()),
        task_definition: Some(TaskDefinitionArn::new(&kept.scope, &kept.family, kept.revision).to_string()),
        launch_type: kept.launch_type.map(|kind| kind.as_str().to_owned()),
        container_images: Some(images.collect()),
        guard_duty_enabled: Some(false),
        created_at: Some(kept.created_at),
        ..Default::default()
    }
}
