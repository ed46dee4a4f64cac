//! How long to wait before a task that keeps failing is started again.
//!
//! Source: Amazon ECS Developer Guide, "Service throttle logic": repeated failures to start delay the next start more and
//! more, up to 27 minutes. A task that ran and then ended is replaced at once. We replace within milliseconds, so a
//! container that ends right after its start would be restarted hundreds of times a second; one that ran for less
//! than [`PROVEN_AFTER`] therefore counts as a failure too, with a gentler maximum.

use std::time::Duration;

use model::{Deployment, HealthStatus, RolloutState, Service, StopCode, Task};
use state::{Record, Snapshot};
use stdx::Timestamp;

use super::view::{PROVEN_AFTER, ServiceView};
use crate::readiness;

/// So many failures in a row cost nothing: the world stumbles now and then.
const FREE_FAILURES: u32 = 3;
const DELAY_FIRST: Duration = Duration::from_secs(1);
const DELAY_MAX_AFTER_START: Duration = Duration::from_secs(30);
const DELAY_MAX_WITHOUT_START: Duration = Duration::from_secs(27 * 60);
/// The longest row of failures that makes a difference: the delay has doubled to its maximum long before.
pub(crate) const ROW_MAX: u32 = 16;
/// The most failed tasks that `failedTasks` counts.
const FAILED_TASKS_MAX: usize = 1000;

/// How many tasks of a deployment have failed to start or to stay, until it has completed: the `failedTasks` of ECS.
pub fn failed_tasks(snapshot: &Snapshot, service: &Service, deployment: &Deployment) -> usize {
    if deployment.rollout_state == RolloutState::Completed {
        return 0;
    }
    let stopped = stopped(snapshot, service).take(FAILED_TASKS_MAX);
    stopped.filter(|task| task.started_by == deployment.id && (failed(task) || left_sick(task))).count()
}

/// The tasks of a service that have stopped and are still remembered, the newest first.
pub(crate) fn stopped<'a>(snapshot: &'a Snapshot, service: &Service) -> impl Iterator<Item = &'a Task> + use<'a> {
    snapshot.tasks.under("service-stopped", &format!("{}/", service.name())).rev().map(|task| &**task)
}

/// It left without being asked, before it had proved itself.
pub(crate) fn failed(task: &Task) -> bool {
    let left = matches!(task.stop_code, Some(StopCode::TaskFailedToStart | StopCode::EssentialContainerExited));
    left && proven_at(task, task.stopped_at).is_none()
}

/// Its scheduler stopped it because its health check failed, or because it was never ready.
pub(crate) fn left_sick(task: &Task) -> bool {
    let by_scheduler = task.stop_code == Some(StopCode::ServiceSchedulerInitiated);
    by_scheduler && task.health == HealthStatus::Unhealthy || readiness::was_given_up(task)
}

/// When the task had proved itself by having run for a while, if it had by `until`.
pub(crate) fn proven_at(task: &Task, until: Option<Timestamp>) -> Option<Timestamp> {
    let proven = task.started_at? + PROVEN_AFTER;
    (proven <= until?).then_some(proven)
}

/// When the next start may be, if not now.
pub(crate) fn retry_at(snapshot: &Snapshot, view: &ServiceView<'_>, now: Timestamp) -> Option<Timestamp> {
    let primary = view.primary?;
    let looked_at_max = (view.service.desired_count.max(1) * ROW_MAX) as usize;
    let of_primary = |task: &&Task| task.started_by == primary.id;

    let live = view.live.iter().copied().filter(of_primary);
    after(stopped(snapshot, view.service).take(looked_at_max).filter(of_primary), live, now)
}

/// When the next start may be, if not now, after these have stopped, the newest first, and these live.
pub(crate) fn after<'a>(
    stopped: impl Iterator<Item = &'a Task>,
    live: impl Iterator<Item = &'a Task>,
    now: Timestamp,
) -> Option<Timestamp> {
    // A task that has proved itself forgives the failures before it.
    let mut forgiven = live.filter_map(|task| proven_at(task, Some(now))).max();
    let mut failures: Vec<&Task> = Vec::new();
    for task in stopped {
        if task.stopped_at <= forgiven {
            break;
        }
        forgiven = forgiven.max(proven_at(task, task.stopped_at));
        if failed(task) {
            failures.push(task);
        }
    }
    failures.retain(|task| task.stopped_at > forgiven);

    let last = failures.first()?;
    let over = row(&failures).saturating_sub(FREE_FAILURES);
    if over == 0 {
        return None;
    }
    let longest = if last.started_at.is_some() { DELAY_MAX_AFTER_START } else { DELAY_MAX_WITHOUT_START };
    let delay = DELAY_FIRST.saturating_mul(1 << (over - 1).min(ROW_MAX)).min(longest);
    let at = last.stopped_at? + delay;
    (at > now).then_some(at)
}

/// The longest row of failures in which each task was started after the one before had ended. Hundred tasks that fail side by
/// side are one failure, and one task that fails a hundred times is a hundred.
fn row(newest_first: &[&Task]) -> u32 {
    let (mut length, mut ended) = (0, None);
    for task in newest_first.iter().rev() {
        if Some(task.created_at) >= ended {
            length += 1;
            ended = task.stopped_at;
        }
    }
    length
}
