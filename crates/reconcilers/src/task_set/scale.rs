//! How many tasks of a task set to start, and which to stop.
//!
//! Within a set all tasks are alike, so nothing is rolled: what is sick, or on an instance that drains, gets a successor, and
//! leaves when that one counts or when there is no room for it otherwise.
//!
//! Source: Amazon ECS API Reference, `DeploymentConfiguration`: of an external deployment, the percentages bound what is
//! replaced while instances drain.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::{ContainerInstanceStatus, HealthStatus, Service, ServiceStatus, Task, TaskSet, TaskSetStatus, TaskStatus};
use state::{Record, Snapshot};
use stdx::Timestamp;

use crate::proof::Proof;
use crate::readiness::Patience;
use crate::service::view::{serves, works};

pub(crate) struct TaskSetView<'a> {
    pub service: &'a Service,
    pub set: &'a TaskSet,
    pub desired: u32,
    /// All that have not stopped and can still be reached, those that are asked to stop included.
    pub live: Vec<&'a Task>,
    /// Meant to run, not found sick, on an instance that stays.
    current: Vec<&'a Task>,
    sick: Vec<&'a Task>,
    /// Never ready, for longer than anybody waits.
    late: Vec<&'a Task>,
    late_at: Option<Timestamp>,
    /// On an instance that drains.
    leaving: Vec<&'a Task>,
    proof: &'a Proof<'a>,
    now: Timestamp,
}

#[derive(Debug, Default)]
pub(crate) struct Scale<'a> {
    pub start: u32,
    pub stop: Vec<(Why, Vec<&'a Task>)>,
    /// More than desired, and not to be stopped.
    pub protected: Vec<&'a Task>,
    pub look_again: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Scaling,
    Unhealthy,
    /// It has run for long and was never ready.
    NeverReady,
}

impl<'a> TaskSetView<'a> {
    pub fn new(
        snapshot: &'a Snapshot,
        service: &'a Service,
        set: &'a TaskSet,
        proof: &'a Proof<'a>,
        now: Timestamp,
    ) -> Self {
        let is_ending = set.status == TaskSetStatus::Draining || service.status == ServiceStatus::Draining;
        let desired = if is_ending { 0 } else { set.computed_desired_count(service.desired_count) };
        let (live, current, leaving) = (Vec::new(), Vec::new(), Vec::new());
        let (sick, late, late_at) = (Vec::new(), Vec::new(), None);
        let mut view = TaskSetView { service, set, desired, live, current, sick, late, late_at, leaving, proof, now };
        let patience = Patience::of_service(snapshot, service, now);
        let mut standings: BTreeMap<&str, Option<ContainerInstanceStatus>> = BTreeMap::new();
        for task in snapshot.tasks.by("service", &service.name()).filter(|task| task.started_by == set.id) {
            let look = || {
                let name = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
                snapshot.container_instances.get(&name).map(|instance| instance.status)
            };
            let standing = *standings.entry(&task.container_instance).or_insert_with(look);
            if !task.is_waiting() && matches!(standing, None | Some(ContainerInstanceStatus::Inactive)) {
                // Nobody will report about it again; the janitor writes down its end.
                continue;
            }
            view.live.push(task);
            if task.desired_status == TaskStatus::Stopped {
                continue;
            }
            if patience.is_over(task) {
                view.late.push(task);
                continue;
            }
            view.late_at = view.late_at.into_iter().chain(patience.ends(task)).min();
            if standing != Some(ContainerInstanceStatus::Active) {
                view.leaving.push(task);
            } else if task.last_status == TaskStatus::Running && task.health == HealthStatus::Unhealthy {
                view.sick.push(task);
            } else {
                view.current.push(task);
            }
        }
        view
    }

    /// Source: Amazon ECS API Reference, `TaskSet.stabilityStatus`.
    pub fn is_steady(&self) -> bool {
        self.current.len() == self.desired as usize
            && self.live.len() == self.current.len()
            && self.current.iter().all(|task| self.proof.is_well(task))
    }
}

pub(crate) fn decide<'a>(view: &TaskSetView<'a>) -> Scale<'a> {
    let mut scale = Scale::default();
    let desired = view.desired as usize;
    let deleted = view.set.status == TaskSetStatus::Draining || view.service.status == ServiceStatus::Draining;
    // What does not work is protected from nothing.
    let protected = |task: &Task| if deleted || !works(task) { None } else { task.protection(view.now) };

    // What does not work goes first, then the youngest: what has run longest has proved itself. What is protected stays.
    let mut kept = view.current.clone();
    kept.sort_by_key(|task| (protected(task).is_none(), Reverse(serves(task)), task.created_at, &task.id));
    let protected_count = kept.iter().filter(|task| protected(task).is_some()).count();
    let extra = kept.split_off(desired.max(protected_count).min(kept.len()));
    if kept.len() > desired {
        scale.look_again = kept.iter().filter_map(|task| protected(task)).min();
        scale.protected = kept[desired..].to_vec();
    }
    scale.stop(Why::Scaling, extra);
    scale.stop(if deleted { Why::Scaling } else { Why::NeverReady }, view.late.clone());

    let bounds = &view.service.deployment_configuration;
    let tasks_max = (bounds.tasks_max(view.desired) as usize).max(desired);
    let tasks_min = bounds.tasks_min(view.desired).min(view.desired) as usize;
    let missing = desired.saturating_sub(kept.len());
    let room = tasks_max.saturating_sub(view.live.len());
    scale.start = missing.min(room) as u32;

    let ready = kept.iter().filter(|task| view.proof.counts(task)).count();
    // Sick tasks stay until their successors count, or make room for them where there is none.
    let mut sick = view.sick.clone();
    sick.sort_by_key(|task| (task.created_at, &task.id));
    let needed = if missing > scale.start as usize { 0 } else { desired.saturating_sub(ready) };
    sick.truncate(sick.len().saturating_sub(needed));
    scale.stop(Why::Unhealthy, sick);

    // On an instance that drains, working ones go as far as the minimum allows.
    let (working, idle): (Vec<&Task>, Vec<&Task>) = view.leaving.iter().partition(|task| works(task));
    // Who is not ready does nobody's work, and gives way to who does.
    let (working, mut unready): (Vec<&Task>, Vec<&Task>) = working.into_iter().partition(|task| task.is_ready());
    unready.retain(|task| protected(task).is_none());
    unready.sort_by_key(|task| (task.created_at, &task.id));
    let still_there = unready.split_off(ready.min(unready.len()));
    let spare = (ready + working.len()).saturating_sub(tasks_min);
    let (stays, mut working): (Vec<&Task>, Vec<&Task>) =
        working.into_iter().partition(|task| protected(task).is_some());
    let unprotected = stays.iter().filter_map(|task| protected(task)).min();
    scale.look_again = scale.look_again.into_iter().chain(unprotected).min();
    scale.protected.extend(stays);
    working.sort_by_key(|task| (task.created_at, &task.id));
    let held = working.split_off(spare.min(working.len()));
    scale.stop(Why::Scaling, [idle, unready, working].concat());

    if !held.is_empty() || !still_there.is_empty() || needed > 0 && !view.sick.is_empty() {
        let unproven = kept.iter().filter(|task| !view.proof.counts(task));
        let proven_at = unproven.filter_map(|task| view.proof.proven_at(task)).min();
        scale.look_again = [scale.look_again, proven_at].into_iter().flatten().min();
    }
    scale.look_again = scale.look_again.into_iter().chain(view.late_at).min();
    scale
}

impl<'a> Scale<'a> {
    fn stop(&mut self, why: Why, tasks: Vec<&'a Task>) {
        if !tasks.is_empty() {
            self.stop.push((why, tasks));
        }
    }
}
