//! Whether a deployment has failed, and the way back to the last one that completed.
//!
//! Source: Amazon ECS Developer Guide, "How the Amazon ECS deployment circuit breaker detects failures". Beyond it we do not
//! wait for the threshold where the first tasks of a deployment all failed alike, and for a reason that no further try
//! changes: an image that is not there, a program that is not in it.

use model::lifecycle::HookStatus;
use model::service::{CircuitBreaker, CompletedDeployment, StopType};
use model::{Deployment, DeploymentStatus, RolloutState, Service, StopCode, Task};
use state::Snapshot;
use stdx::{Ids, Timestamp};

use super::backoff::{failed, left_sick, stopped};
use super::blue_green::{self, hooks};
use super::message;
use super::view::ServiceView;
use crate::alarms::{self, Alarms};
use crate::proof::Proof;

/// How every reason of the circuit breaker begins.
pub(crate) const NAME: &str = "ECS deployment circuit breaker";
const BY_A_USER: &str = "ECS deployment stopped by a user";
const BY_ALARMS: &str = "ECS deployment alarms";
const BY_A_HOOK: &str = "ECS deployment lifecycle hook";

/// So many tasks that fail alike are enough.
const ALIKE: usize = 3;
/// A service with this tag waits for the threshold, as on AWS.
const FAIL_FAST_TAG: &str = "berth:fail-fast";
const OFF: &str = "off";
/// What a further try does not change, in the words of those who report it.
const FOR_GOOD: [&str; 9] = [
    "no such image",
    "not found",
    "manifest unknown",
    "name unknown",
    "no matching manifest",
    "exec format error",
    "permission denied",
    "no such file or directory",
    "no command specified",
];

/// Why the newest deployment goes no further.
pub(crate) struct Failure {
    /// Who says so; the reasons of ECS begin with it.
    by: &'static str,
    reason: String,
    /// What its event says of it.
    why: String,
    rolls_back: bool,
    alarms: Vec<String>,
    /// What the first tasks had in common.
    alike: Option<String>,
}

/// Whether the newest deployment fails now.
pub(crate) fn judge(view: &ServiceView<'_>, alarms: &dyn Alarms) -> Option<Failure> {
    let primary = view.primary.filter(|one| one.rollout_state == RolloutState::InProgress)?;
    if let Some(failure) = by_a_user(primary) {
        return Some(failure);
    }
    // The way back is gone to its end: there is nothing behind it.
    if primary.is_rollback() {
        return None;
    }
    by_a_hook(view, primary).or_else(|| by_alarms(view, primary, alarms)).or_else(|| by_breaker(view, primary))
}

fn by_a_hook(view: &ServiceView<'_>, primary: &Deployment) -> Option<Failure> {
    let run = hooks::refusal(primary, view.now)?;
    let (kind, stage) = (run.target.as_str(), run.stage.as_str());
    let ended = if run.status == HookStatus::TimedOut { "timed out" } else { "failed" };
    let reason = format!("{BY_A_HOOK}: the {kind} hook {} at {stage} {ended}.", run.id);
    Some(Failure::new(BY_A_HOOK, reason, format!("lifecycle hook {ended}"), true))
}

/// Source: Amazon ECS Developer Guide, "How CloudWatch alarms detect Amazon ECS deployment failures".
fn by_alarms(view: &ServiceView<'_>, primary: &Deployment, alarms: &dyn Alarms) -> Option<Failure> {
    let configured = view.service.deployment_configuration.alarms.as_ref().filter(|alarms| alarms.enable)?;
    if primary.alarms_watched != Some(true) {
        return None;
    }
    let alarms = alarms::triggered(alarms, view.service);
    if alarms.is_empty() {
        return None;
    }
    let reason = format!("{BY_ALARMS}: {} in ALARM state.", alarms.join(", "));
    let failure = Failure::new(BY_ALARMS, reason, "alarm detected".into(), configured.rollback);
    Some(Failure { alarms, ..failure })
}

/// The newest deployment, if nobody has looked at its alarms yet.
pub(super) fn unwatched(service: &mut Service) -> Option<&mut Deployment> {
    service.deployment_configuration.alarms.as_ref().filter(|alarms| alarms.enable)?;
    let primary = service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary)?;
    let is_new = primary.rollout_state == RolloutState::InProgress && !primary.is_rollback();
    (is_new && primary.alarms_watched.is_none()).then_some(primary)
}

fn by_breaker(view: &ServiceView<'_>, primary: &Deployment) -> Option<Failure> {
    let breaker = view.service.deployment_configuration.circuit_breaker.filter(|breaker| breaker.enable)?;
    let failures = failures(view.snapshot, view.service, primary, view.now);
    let alike = failed_alike(view, primary, &failures);
    let threshold = failures_max(view.service);
    if failures.len() < threshold && alike.is_none() {
        return None;
    }
    Some(Failure { alike, ..too_many(breaker) })
}

/// The same of a daemon, whose tasks wait for each other less: it is held back on each instance alone.
pub(crate) fn judge_daemon(snapshot: &Snapshot, service: &Service, now: Timestamp) -> Option<Failure> {
    let primary = service.primary().filter(|one| one.rollout_state == RolloutState::InProgress)?;
    if let Some(failure) = by_a_user(primary) {
        return Some(failure);
    }
    let breaker = service.deployment_configuration.circuit_breaker.filter(|breaker| breaker.enable)?;
    let threshold = failures_max(service);
    if primary.is_rollback() || failures(snapshot, service, primary, now).len() < threshold {
        return None;
    }
    Some(too_many(breaker))
}

fn failures_max(service: &Service) -> usize {
    service.deployment_configuration.failures_max(service.desired_count) as usize
}

fn too_many(breaker: CircuitBreaker) -> Failure {
    let reason = format!("{NAME}: tasks failed to start.");
    Failure::new(NAME, reason, "tasks failed to start".into(), breaker.rollback)
}

fn by_a_user(deployment: &Deployment) -> Option<Failure> {
    let stop = deployment.stop_requested?;
    // Of two colours one always has to serve: to stop in between is to go back.
    let rolls_back = stop == StopType::Rollback || deployment.stage().is_some();
    Some(Failure::new(BY_A_USER, format!("{BY_A_USER}."), "stopped by a user".into(), rolls_back))
}

/// The tasks of a deployment that failed, since one of its tasks has proved itself unless that does not count; the newest
/// first. No more than matter.
pub(crate) fn failures<'a>(
    snapshot: &'a Snapshot,
    service: &Service,
    deployment: &Deployment,
    now: Timestamp,
) -> Vec<&'a Task> {
    let own = |task: &&Task| task.started_by == deployment.id;
    let resets = service.deployment_configuration.circuit_breaker.is_none_or(|breaker| breaker.reset_on_healthy_task);
    let live = snapshot.tasks.by("service", &state::Record::name(service)).map(|task| &**task).filter(own);
    // Whose health check has not passed yet, or fails, has proved nothing by having run for a while.
    let proof = Proof::new(snapshot, now);
    let proven = live.filter(|task| proof.counts(task)).filter_map(|task| proof.proven_at(task).or(task.started_at));
    let since = proven.max().filter(|_| resets).unwrap_or(deployment.created_at).max(deployment.created_at);
    let stopped = stopped(snapshot, service).take_while(|task| task.stopped_at >= Some(since)).filter(own);
    stopped.filter(|task| failed(task) || left_sick(task)).take(failures_max(service)).collect()
}

/// What the first tasks of the deployment have in common, if no further try will change it. One that ever ran speaks against it.
fn failed_alike(view: &ServiceView<'_>, deployment: &Deployment, failures: &[&Task]) -> Option<String> {
    let is_off = view.service.tags.iter().any(|tag| tag.key == FAIL_FAST_TAG && tag.value == OFF);
    let ran = view.live.iter().any(|task| task.started_by == deployment.id && task.started_at.is_some());
    if is_off || ran || failures.len() < ALIKE {
        return None;
    }
    let reason = reason(failures[0])?;
    let is_for_good = FOR_GOOD.iter().any(|words| reason.to_lowercase().contains(words));
    let are_alike = failures.iter().all(|task| {
        task.stop_code == Some(StopCode::TaskFailedToStart)
            && task.started_at.is_none()
            && self::reason(task).as_ref() == Some(&reason)
    });
    (is_for_good && are_alike).then_some(reason)
}

/// Why the task did not start, as its agent said it.
fn reason(task: &Task) -> Option<String> {
    let of_container = task.containers.iter().map(|container| container.reason.as_str()).find(|text| !text.is_empty());
    let text = of_container.unwrap_or(&task.stopped_reason);
    (!text.is_empty()).then(|| text.to_owned())
}

impl Failure {
    fn new(by: &'static str, reason: String, why: String, rolls_back: bool) -> Failure {
        Failure { by, reason, why, rolls_back, alarms: Vec::new(), alike: None }
    }

    /// Ends the newest deployment, and begins the way back where there is one. Gives what is to be said.
    pub fn write(&self, snapshot: &Snapshot, service: &mut Service, now: Timestamp, ids: &mut Ids) -> Vec<String> {
        let mut said = Vec::new();
        let Some(primary) = service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary) else {
            return said;
        };
        primary.rollout_state = RolloutState::Failed;
        primary.rollout_state_reason = self.reason.clone();
        primary.updated_at = now;
        primary.triggered_alarms = self.alarms.clone();
        let back = blue_green::way_back(primary, now);
        if let Some(lifecycle) = &mut primary.lifecycle {
            hooks::close(&mut lifecycle.runs, now);
        }
        let failed = primary.clone();
        said.push(message::deployment_failed(&service.name, &failed.id, &self.why));
        if let Some(reason) = &self.alike {
            said.push(message::failed_alike(&service.name, &failed.id, ALIKE, reason));
        }
        let last = service.last_completed.clone().filter(|last| self.rolls_back && is_there(snapshot, service, last));
        let Some(last) = last else { return said };
        for one in &mut service.deployments {
            one.status = DeploymentStatus::Active;
        }
        let adopted = adopted(snapshot, service, &last, &failed.id);
        // Its tasks are those of the new one from now on; it has none of its own any more.
        service.deployments.retain(|one| !adopted.contains(&one.id));
        service.deployments.insert(
            0,
            Deployment {
                id: format!("ecs-svc/{}", ids.digits()),
                status: DeploymentStatus::Primary,
                family: last.family,
                revision: last.revision,
                rollout_state: RolloutState::InProgress,
                rollout_state_reason: format!("{}: rolling back to deploymentId {}.", self.by, last.id),
                service_deployment: failed.service_deployment,
                service_revision: last.service_revision,
                adopted,
                stop_requested: None,
                lifecycle: back,
                alarms_watched: None,
                baking_since: None,
                triggered_alarms: failed.triggered_alarms,
                created_at: now,
                updated_at: now,
            },
        );
        said.push(message::rolling_back(&service.name, &last.id));
        said
    }
}

/// The deployments whose tasks are kept: that one, those whose tasks it had taken over itself and still has, and an earlier way
/// back to it, which was cut short.
fn adopted(snapshot: &Snapshot, service: &Service, last: &CompletedDeployment, failed: &str) -> Vec<String> {
    let tasks = || snapshot.tasks.by("service", &state::Record::name(service));
    let has_tasks = |id: &&String| tasks().any(|task| task.started_by == **id);
    let ways_back = service.deployments.iter().filter(|one| one.id != failed && one.adopted.contains(&last.id));
    let ways_back = ways_back.flat_map(|one| [&one.id].into_iter().chain(one.adopted.iter().filter(has_tasks)));
    let mut adopted = vec![last.id.clone()];
    for id in last.adopted.iter().filter(has_tasks).chain(ways_back) {
        if !adopted.contains(id) {
            adopted.push(id.clone());
        }
    }
    adopted
}

fn is_there(snapshot: &Snapshot, service: &Service, last: &CompletedDeployment) -> bool {
    let name = format!("{}/{}/{:010}", service.scope, last.family, last.revision);
    snapshot.task_definitions.get(&name).is_some()
}
