//! How many tasks to start and which to stop, so that a service gets to its desired count on its newest definition, and
//! never leaves the bounds of its deployment configuration on the way.
//!
//! This is the room of the deployment controller: the rolling update by minimum and maximum percent.
//!
//! Source: Amazon ECS API Reference, `DeploymentConfiguration`; Amazon ECS Developer Guide, "Amazon ECS services", how the
//! service scheduler replaces unhealthy tasks.

use std::cmp::Reverse;

use model::{ServiceStatus, Task};
use stdx::Timestamp;

use super::view::{ServiceView, works};

/// What to do, and to whom.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rollout<'a> {
    pub start: u32,
    pub stop: Vec<(Why, Vec<&'a Task>)>,
    /// When a task will have proved itself that another one waits for.
    pub look_again: Option<Timestamp>,
    /// Nothing can move, and nothing is on its way: the bounds of the deployment configuration leave no room.
    pub is_stalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There are more than desired, or a newer deployment takes over.
    Scaling,
    Unhealthy,
}

pub(crate) fn decide<'a>(view: &ServiceView<'a>) -> Rollout<'a> {
    let mut rollout = Rollout::default();
    if view.service.status == ServiceStatus::Draining {
        let all = [&view.current[..], &view.sick, &view.outgoing].concat();
        rollout.stop(Why::Scaling, all);
        return rollout;
    }
    let desired = view.service.desired_count as usize;
    let bounds = &view.service.deployment_configuration;
    let tasks_max = bounds.tasks_max(view.service.desired_count) as usize;
    // More than the desired count never comes up, so a higher minimum would hold the old tasks for ever.
    let tasks_min = bounds.tasks_min(view.service.desired_count).min(view.service.desired_count) as usize;

    let (kept, extra) = keep_best(&view.current, desired);
    let missing = desired - kept.len();
    // Tasks on their way out still have their ports and memory, and count until they have stopped.
    let room = tasks_max.saturating_sub(view.live.len());
    rollout.start = missing.min(room) as u32;
    rollout.stop(Why::Scaling, extra);

    let ready = kept.iter().filter(|task| view.counts(task)).count();
    let sick_leaving = sick_leaving(view, &kept, ready, room);
    rollout.stop(Why::Unhealthy, sick_leaving);

    // Outgoing tasks that don't work are of no use to anybody; working ones go as far as the minimum allows.
    let (mut working, idle): (Vec<&Task>, Vec<&Task>) = view.outgoing.iter().partition(|task| works(task));
    let spare = (ready + working.len()).saturating_sub(tasks_min);
    working.sort_by_key(|task| (task.created_at, &task.id));
    working.truncate(spare);
    rollout.stop(Why::Scaling, [idle, working].concat());

    let leaving: usize = rollout.stop.iter().map(|(_, tasks)| tasks.len()).sum();
    let waiting = kept.len() + leaving < view.live.len() - view.stopping;
    if waiting {
        rollout.look_again =
            kept.iter().filter(|task| !view.counts(task)).filter_map(|task| view.proven_at(task)).min();
    }
    rollout.is_stalled = missing > 0 && rollout.start == 0 && leaving == 0 && view.stopping == 0 && ready == kept.len();
    rollout
}

impl<'a> Rollout<'a> {
    fn stop(&mut self, why: Why, tasks: Vec<&'a Task>) {
        if !tasks.is_empty() {
            self.stop.push((why, tasks));
        }
    }
}

/// Sick tasks stay until their successors count. Where there is no room for a successor, one of them makes room, and only
/// when nothing else is on its way.
fn sick_leaving<'a>(view: &ServiceView<'a>, kept: &[&Task], ready: usize, room: usize) -> Vec<&'a Task> {
    let desired = view.service.desired_count as usize;
    let still_needed = desired.saturating_sub(ready);
    let mut sick = view.sick.clone();
    sick.sort_by_key(|task| (task.created_at, &task.id));
    let replaced = sick.len().saturating_sub(still_needed);
    let is_stuck = replaced == 0 && kept.len() < desired && room == 0 && view.stopping == 0 && ready == kept.len();
    sick.truncate(if is_stuck { 1 } else { replaced });
    sick
}

/// Those to keep, and those that are too many. What does not work goes first, then the youngest: what has run longest has
/// proved itself.
fn keep_best<'a>(tasks: &[&'a Task], count: usize) -> (Vec<&'a Task>, Vec<&'a Task>) {
    let mut kept = tasks.to_vec();
    kept.sort_by_key(|task| (Reverse(works(task)), task.created_at, &task.id));
    let extra = kept.split_off(count.min(kept.len()));
    (kept, extra)
}
