//! Where the newest deployment of a managed daemon stands: begun, failed and on its way back, baking, or through.
//!
//! Source: Amazon ECS Developer Guide, "Daemon deployments", the deployment lifecycle.

use std::time::Duration;

use model::daemon::{DaemonStatus, started_by};
use model::service::FailureThreshold;
use model::service_deployment::{MonitorStatus, Rollback};
use model::{DaemonDeployment, DaemonDeploymentStatus};
use state::Record;
use stdx::Timestamp;

use super::Act;
use super::view::DaemonView;
use crate::service::backoff::{failed, left_sick};

const TRIPPED: &str = "ECS deployment circuit breaker: daemon tasks failed to start.";

/// Whether the newest deployment fails now; what follows is written down. Daemons always have a circuit breaker.
pub(crate) fn fails(view: &DaemonView<'_>, act: &mut Act<'_>) -> bool {
    let Some(deployment) = act.deployment.as_mut().filter(|one| one.status.is_ongoing()) else { return false };
    if deployment.status == DaemonDeploymentStatus::Pending {
        deployment.becomes(DaemonDeploymentStatus::InProgress, "", view.now);
    }
    let threshold = FailureThreshold::default().tasks(view.eligible().count() as u32);
    let failures = failures(view, deployment, threshold as usize);
    if deployment.rollback.is_none() {
        (deployment.circuit_breaker.failures, deployment.circuit_breaker.threshold) = (failures as u32, threshold);
    }
    if failures < threshold as usize {
        return false;
    }
    deployment.circuit_breaker.status = MonitorStatus::Triggered;
    let is_there = |id: &String| {
        let name = format!("{}/{id}", view.daemon.name());
        *id != view.daemon.revision && act.snapshot.daemon_revisions.get(&name).is_some()
    };
    let back = view.daemon.last_completed.clone().filter(is_there);
    match (back, &deployment.rollback) {
        (_, Some(_)) => deployment.becomes(DaemonDeploymentStatus::RollbackFailed, TRIPPED, view.now),
        (None, None) => deployment.becomes(DaemonDeploymentStatus::Stopped, TRIPPED, view.now),
        (Some(revision), None) => {
            deployment.becomes(DaemonDeploymentStatus::RollbackInProgress, TRIPPED, view.now);
            deployment.baking_since = None;
            deployment.rollback =
                Some(Rollback { reason: TRIPPED.to_owned(), started_at: view.now, revision: revision.clone() });
            act.daemon.revision = revision;
        }
    }
    true
}

/// The tasks of the revision that failed, since the deployment began or one of them has proved itself. No more than matter.
fn failures(view: &DaemonView<'_>, deployment: &DaemonDeployment, threshold: usize) -> usize {
    let began = deployment.rollback.as_ref().map_or(deployment.created_at, |rollback| rollback.started_at);
    let own = started_by(&view.daemon.revision);
    let live = view.places.iter().flat_map(|place| &place.current);
    let proven = live.filter(|task| view.proof.counts(task));
    let proven = proven.filter_map(|task| view.proof.proven_at(task).or(task.started_at));
    let since = proven.max().unwrap_or(began).max(began);
    let stopped = view.stopped().take_while(|task| task.stopped_at >= Some(since));
    let of_revision = stopped.filter(|task| task.started_by == own);
    of_revision.filter(|task| failed(task) || left_sick(task)).take(threshold).count()
}

/// A deployment that is through, and a daemon that is gone. Says when to look again.
pub(crate) fn finish(view: &DaemonView<'_>, act: &mut Act<'_>) -> Option<Timestamp> {
    let now = view.now;
    let unplaced = std::mem::take(&mut act.unplaced);
    let ongoing = act.deployment.as_mut().filter(|one| one.status.is_ongoing());
    if view.daemon.status == DaemonStatus::DeleteInProgress {
        if view.live > 0 {
            return None;
        }
        if let Some(deployment) = ongoing {
            deployment.becomes(DaemonDeploymentStatus::Successful, "", now);
            act.changes.put(act.snapshot, deployment);
        }
        act.deployment = None;
        act.daemon = view.daemon.clone();
        act.changes.delete(act.snapshot, view.daemon);
        return None;
    }
    let deployment = ongoing?;
    if deployment.rollback.is_none() {
        deployment.status_reason = unplaced;
    }
    if !view.is_steady() {
        deployment.baking_since = None;
        return view.proven_at();
    }
    let since = *deployment.baking_since.get_or_insert(now);
    let bakes_for = if deployment.rollback.is_some() { 0 } else { deployment.configuration.bake_minutes };
    let until = since + Duration::from_secs(u64::from(bakes_for) * 60);
    if until > now {
        return Some(until);
    }
    if deployment.circuit_breaker.status == MonitorStatus::Monitoring {
        deployment.circuit_breaker.status = MonitorStatus::MonitoringComplete;
    }
    let (status, reason) = match deployment.rollback {
        None => (DaemonDeploymentStatus::Successful, String::new()),
        Some(_) => (DaemonDeploymentStatus::RollbackSuccessful, deployment.status_reason.clone()),
    };
    deployment.becomes(status, &reason, now);
    act.daemon.last_completed = Some(view.daemon.revision.clone());
    None
}
