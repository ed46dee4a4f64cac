//! Which tasks of a daemon leave, and which instances get one, within the bounds of its deployment configuration.
//!
//! At most 100 percent: the old task of an instance goes before the new one comes. More: the new one comes first, for as
//! many instances at a time as the maximum allows.
//!
//! Source: Amazon ECS API Reference, `DeploymentConfiguration`.

use std::cmp::Reverse;

use model::{ContainerInstance, HealthStatus, ServiceStatus, Task, TaskStatus};
use scheduler::Rejection;
use stdx::Timestamp;

use super::view::{DaemonView, Place, Standing};
use crate::readiness::Patience;
use crate::service::view::{serves, works};

#[derive(Default)]
pub(crate) struct Rollout<'a> {
    pub stop: Vec<(Why, Vec<&'a Task>)>,
    /// The instances that may have a new task now.
    pub start: Vec<&'a ContainerInstance>,
    /// Why old tasks stay where they are: nothing could follow them.
    pub refused: Vec<Rejection>,
    pub look_again: Option<Timestamp>,
    /// Of older deployments, or on an instance that goes, and not to be stopped.
    pub protected: Vec<&'a Task>,
    /// Old tasks are left, nothing is on its way, and the bounds leave no room.
    pub is_stalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A newer deployment takes over, or the service is deleted.
    Deployment,
    Unhealthy,
    /// It has run for long and was never ready.
    NeverReady,
    /// Its instance may not have it any more.
    Constraints,
    /// Its instance goes, and everybody else has left.
    Drained,
}

pub(crate) fn decide<'a>(view: &DaemonView<'a>) -> Rollout<'a> {
    let mut rollout = Rollout::default();
    if view.service.status == ServiceStatus::Draining {
        let all = view.places.iter().flat_map(|place| [&place.current[..], &place.old].concat());
        rollout.stop(Why::Deployment, all.collect());
        return rollout;
    }
    let on = |standing: Standing| {
        let places = view.places.iter().filter(move |place| place.standing == standing);
        places.flat_map(|place| [&place.current[..], &place.old].concat()).collect::<Vec<&Task>>()
    };
    rollout.stop(Why::Constraints, on(Standing::Barred));
    // What is protected stays until it is not, on an instance that goes as on any other.
    let protection = |task: &&Task| task.protection(view.now).filter(|_| works(task));
    let (protected, drained): (Vec<&Task>, Vec<&Task>) =
        on(Standing::Drained).into_iter().partition(|task| protection(task).is_some());
    rollout.stop(Why::Drained, drained);

    let eligible: Vec<&Place<'a>> = view.places.iter().filter(|place| place.standing == Standing::Eligible).collect();
    let Superfluous { mut extra, sick, late, late_at } = superfluous(&eligible, &view.patience);
    extra.retain(|task| protection(task).is_none());
    let leaving = |task: &Task| extra.iter().chain(&sick).chain(&late).any(|one| one.id == task.id);

    let desired = view.desired();
    let bounds = &view.service.deployment_configuration;
    let tasks_max = bounds.tasks_max(desired).max(desired) as usize;
    let tasks_min = bounds.tasks_min(desired).min(desired) as usize;
    let starts_first = tasks_max > desired as usize;

    let drained_at = protected.iter().filter_map(protection).min();
    let (mut old, mut look_again) = (OldTasks::default(), drained_at);
    rollout.protected = protected;
    // When the first of the new tasks that do not count yet will have proved itself.
    let (mut proven_at, mut awaited_at) = (None, None);
    let mut ready = 0;
    for place in &eligible {
        let successor = place.current.iter().find(|task| !leaving(task));
        let successor_counts = successor.is_some_and(|task| view.proof.counts(task));
        ready += usize::from(successor_counts);
        for task in &place.old {
            if let Some(until) = protection(task) {
                look_again = earliest(look_again, Some(until));
                rollout.protected.push(*task);
                old.protected += 1;
            } else if !serves(task) {
                old.idle.push(*task);
            } else if let Some(refusal) = &place.refusal {
                old.waiting += 1;
                rollout.refused.push(refusal.clone());
            } else if starts_first && !successor_counts && !(place.is_cramped && place.stopping.is_empty()) {
                // Its successor comes first, and then it waits until that one counts. Where there is room for one of them
                // only, it goes as far as the minimum allows.
                old.waiting += 1;
                awaited_at = earliest(awaited_at, successor.and_then(|task| view.proof.proven_at(task)));
            } else {
                old.working.push(*task);
            }
        }
        if !successor_counts {
            proven_at = earliest(proven_at, successor.and_then(|task| view.proof.proven_at(task)));
        }
    }
    if view.has_failed() {
        // It goes no further: what it has not replaced stays.
        rollout.protected.clear();
        rollout.refused.clear();
        rollout.look_again = drained_at;
        rollout.stop(Why::Deployment, extra);
        rollout.stop(Why::Unhealthy, sick);
        // What never worked stays to be looked at.
        return rollout;
    }
    let spare = (ready + old.working.len() + old.waiting + old.protected).saturating_sub(tasks_min);
    old.working.sort_by_key(|task| (task.created_at, &task.id));
    let held = old.working.len().saturating_sub(spare);
    old.working.truncate(spare);
    // One that is held waits for any of the new tasks, and one that waits, for its own successor.
    look_again = earliest(look_again, if held > 0 { proven_at } else { awaited_at });
    rollout.stop(Why::Deployment, [extra, old.idle, old.working].concat());
    rollout.stop(Why::Unhealthy, sick);
    rollout.stop(Why::NeverReady, late);
    look_again = earliest(look_again, late_at);

    let mut room = tasks_max.saturating_sub(view.live);
    for place in &eligible {
        if !place.current.is_empty() {
            continue;
        }
        let is_free = place.old.is_empty() && place.stopping.is_empty();
        let suits = !place.old.is_empty() && !place.is_cramped && place.old.iter().all(|task| works(task));
        let beside = starts_first && room > 0 && suits;
        if is_free || beside {
            rollout.start.push(place.instance);
            room = room.saturating_sub(1);
        }
    }
    // What waits for a task that has just started, or for one that stops, is on its way.
    let is_moving = !rollout.stop.is_empty()
        || !rollout.start.is_empty()
        || look_again.is_some()
        || eligible.iter().any(|place| !place.stopping.is_empty() || place.current.iter().any(|task| starts(task)));
    rollout.is_stalled = held > 0 && !is_moving;
    rollout.look_again = look_again;
    rollout
}

/// The tasks of older deployments on instances that stay.
#[derive(Default)]
struct OldTasks<'a> {
    /// They may go as far as the minimum allows.
    working: Vec<&'a Task>,
    /// Of no use to anybody.
    idle: Vec<&'a Task>,
    waiting: usize,
    /// Not to be stopped.
    protected: usize,
}

/// The tasks of the newest deployment that are not to stay.
pub(crate) struct Superfluous<'a> {
    /// Of several on one instance, all but the best.
    pub extra: Vec<&'a Task>,
    /// Their health check fails.
    pub sick: Vec<&'a Task>,
    /// Never ready, for longer than anybody waits.
    pub late: Vec<&'a Task>,
    /// When the first of the others will be late.
    pub late_at: Option<Timestamp>,
}

pub(crate) fn superfluous<'a>(eligible: &[&Place<'a>], patience: &Patience<'_>) -> Superfluous<'a> {
    let mut found = Superfluous { extra: Vec::new(), sick: Vec::new(), late: Vec::new(), late_at: None };
    for place in eligible {
        let is_sick = |task: &&Task| task.last_status == TaskStatus::Running && task.health == HealthStatus::Unhealthy;
        let (ill, others): (Vec<&Task>, Vec<&Task>) = place.current.iter().copied().partition(is_sick);
        let (late, mut well): (Vec<&Task>, Vec<&Task>) = others.into_iter().partition(|task| patience.is_over(task));
        found.sick.extend(ill);
        found.late.extend(late);
        well.sort_by_key(|task| (Reverse(works(task)), task.created_at, &task.id));
        found.late_at = found.late_at.into_iter().chain(well.iter().filter_map(|task| patience.ends(task))).min();
        found.extra.extend(well.into_iter().skip(1));
    }
    found
}

impl<'a> Rollout<'a> {
    fn stop(&mut self, why: Why, tasks: Vec<&'a Task>) {
        if !tasks.is_empty() {
            self.stop.push((why, tasks));
        }
    }
}

fn starts(task: &Task) -> bool {
    task.last_status < TaskStatus::Running
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
