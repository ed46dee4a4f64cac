//! The record of a service's newest deployment follows what its reconciler decides, whichever kind of service it is.
//!
//! Source: Amazon ECS Developer Guide, "View service history using Amazon ECS service deployments".

use model::service_deployment::{CircuitBreakerRecord, MonitorStatus, RevisionCounts, Rollback};
use model::{Deployment, RolloutState, Service, ServiceDeployment, ServiceDeploymentStatus, Task, TaskStatus, Weight};
use state::{Changes, Record, Snapshot};
use stdx::Timestamp;

use crate::service::breaker;

/// Writes down where the newest deployment of `service` stands, if the record does not say so yet.
pub(crate) fn follow(snapshot: &Snapshot, service: &Service, now: Timestamp, changes: &mut Changes) {
    let Some(deployment) = service.primary() else { return };
    let name = format!("{}/{}", service.name(), deployment.service_deployment);
    let Some(known) = snapshot.service_deployments.get(&name).filter(|known| known.status.is_ongoing()) else { return };
    let mut record = ServiceDeployment::clone(known);
    if record.started_at.is_none() {
        record.started_at = Some(now);
    }
    if record.status == ServiceDeploymentStatus::Pending {
        record.status = ServiceDeploymentStatus::InProgress;
    }
    let is_back = deployment.is_rollback();
    if is_back && record.rollback.is_none() {
        let reason = deployment.rollout_state_reason.clone();
        record.becomes(ServiceDeploymentStatus::RollbackInProgress, &reason, now);
        record.rollback = Some(Rollback { reason, started_at: now, revision: deployment.service_revision.clone() });
    }
    watch(snapshot, service, deployment, &mut record);
    record.triggered_alarms = deployment.triggered_alarms.clone();
    if deployment.lifecycle.is_some() {
        record.lifecycle = deployment.lifecycle.clone();
        weigh(service, &mut record);
    }
    match (deployment.rollout_state, is_back) {
        (RolloutState::InProgress, _) => {}
        (RolloutState::Completed, false) => {
            end(snapshot, service, &mut record, ServiceDeploymentStatus::Successful, now)
        }
        (RolloutState::Completed, true) => {
            end(snapshot, service, &mut record, ServiceDeploymentStatus::RollbackSuccessful, now);
        }
        (RolloutState::Failed, false) => end(snapshot, service, &mut record, ServiceDeploymentStatus::Stopped, now),
        (RolloutState::Failed, true) => {
            end(snapshot, service, &mut record, ServiceDeploymentStatus::RollbackFailed, now)
        }
    }
    if record != **known {
        record.updated_at = now;
        changes.put(snapshot, &record);
    }
}

/// The shares of traffic that are wanted for each revision.
fn weigh(service: &Service, record: &mut ServiceDeployment) {
    for counts in record.sources.iter_mut().chain([&mut record.target]) {
        let mut of_it = service.deployments.iter().filter(|one| one.service_revision == counts.revision);
        let weights = of_it.next().and_then(|one| service.weights(one)).unwrap_or((Weight::NONE, Weight::NONE));
        (counts.production, counts.test) = (Some(weights.0), Some(weights.1));
    }
}

fn end(
    snapshot: &Snapshot,
    service: &Service,
    record: &mut ServiceDeployment,
    status: ServiceDeploymentStatus,
    now: Timestamp,
) {
    let reason = match (service.primary(), status) {
        (Some(deployment), ServiceDeploymentStatus::Stopped | ServiceDeploymentStatus::RollbackFailed) => {
            deployment.rollout_state_reason.clone()
        }
        _ => record.status_reason.clone(),
    };
    record.becomes(status, &reason, now);
    let of_target: Vec<&Deployment> =
        service.deployments.iter().filter(|one| one.service_revision == record.target.revision).collect();
    let tasks = snapshot.tasks.by("service", &service.name());
    let wanted = tasks.filter(|task| task.desired_status == TaskStatus::Running);
    let tasks: Vec<&Task> =
        wanted.map(|task| &**task).filter(|task| of_target.iter().any(|one| one.has(task))).collect();
    let running = tasks.iter().filter(|task| task.last_status == TaskStatus::Running).count();
    record.target = RevisionCounts {
        revision: record.target.revision.clone(),
        requested: if status == ServiceDeploymentStatus::Successful { service.desired_count } else { 0 },
        running: running as u32,
        pending: (tasks.len() - running) as u32,
        production: record.target.production,
        test: record.target.test,
    };
}

/// What the circuit breaker has seen. What it saw of a deployment that failed stays as it was then.
fn watch(snapshot: &Snapshot, service: &Service, deployment: &Deployment, record: &mut ServiceDeployment) {
    let Some(seen) = &mut record.circuit_breaker else { return };
    if deployment.is_rollback() || seen.status != MonitorStatus::Monitoring {
        if deployment.is_rollback() && seen.status == MonitorStatus::Monitoring {
            let is_its_own = deployment.rollout_state_reason.starts_with(breaker::NAME);
            seen.status = if is_its_own { MonitorStatus::Triggered } else { MonitorStatus::MonitoringComplete };
            // Those that came with its end have not been seen before.
            let mut failed = service.deployments.iter().filter(|one| one.rollout_state == RolloutState::Failed);
            if let Some(failed) = failed.find(|one| one.service_deployment == deployment.service_deployment) {
                seen.failures = breaker::failures(snapshot, service, failed, record.updated_at).len() as u32;
            }
        }
        return;
    }
    let threshold = service.deployment_configuration.failures_max(service.desired_count);
    let status = match deployment.rollout_state {
        RolloutState::InProgress => MonitorStatus::Monitoring,
        RolloutState::Completed => MonitorStatus::MonitoringComplete,
        RolloutState::Failed if deployment.rollout_state_reason.starts_with(breaker::NAME) => MonitorStatus::Triggered,
        RolloutState::Failed => MonitorStatus::MonitoringComplete,
    };
    let failures = match deployment.rollout_state {
        RolloutState::Completed => seen.failures,
        _ => breaker::failures(snapshot, service, deployment, record.updated_at).len() as u32,
    };
    *seen = CircuitBreakerRecord { status, failures, threshold };
}
