//! How many tasks to start and which to stop, so that a service gets to its desired count on its newest definition, and
//! never leaves the bounds of its deployment configuration on the way.
//!
//! This is the room of the deployment controller: the rolling update by minimum and maximum percent. An old task leaves
//! for one of two reasons: a successor does its work, or it has to make room for one. The second is taken only where the
//! successors do not all fit beside the old tasks, and only as far as the minimum allows.
//!
//! Source: Amazon ECS API Reference, `DeploymentConfiguration`; Amazon ECS Developer Guide, "Amazon ECS services", how the
//! service scheduler replaces unhealthy tasks.

use std::time::Duration;

use model::{ServiceStatus, StopCode, Task, TaskStatus};
use stdx::Timestamp;

use super::view::{ServiceView, works};
use super::{victims, zones};

/// How long new tasks wait for old ones that make room. A stop that takes longer holds nobody up: what fits is started then.
const ROOM_AWAITED_MAX: Duration = Duration::from_secs(45);

/// What to do, and to whom.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rollout<'a> {
    pub start: u32,
    /// What has no place yet may have one when those that are leaving have left.
    pub room_comes: bool,
    pub stop: Vec<(Why, Vec<&'a Task>)>,
    /// When a task will have proved itself that another one waits for.
    pub look_again: Option<Timestamp>,
    /// What would leave if its task scale-in protection let it.
    pub protected: Vec<&'a Task>,
    /// Nothing can move, and nothing is on its way: the bounds of the deployment configuration leave no room.
    pub is_stalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There are more than desired, or a newer deployment takes over.
    Scaling,
    Unhealthy,
    /// It has run for long and was never ready.
    NeverReady,
    /// Another one does its work in a zone with fewer tasks.
    Rebalancing,
}

/// What the cluster says to the tasks that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// So many of those that may start now have a place.
    Fits(u32),
    /// So many have a place, and for more there would be one if older tasks left.
    Lacks(u32),
    /// None is to be started, whatever leaves: they keep failing, or nothing can be made of their definition.
    Closed,
}

/// The counts that everything follows from.
pub(crate) struct Need<'a> {
    kept: Vec<&'a Task>,
    extra: Vec<&'a Task>,
    /// Kept only because they are protected.
    protected: Vec<&'a Task>,
    /// Some are kept only until others do their work.
    waits: bool,
    /// How many tasks the newest deployment lacks.
    pub missing: u32,
    /// How many of them the maximum lets start now.
    pub startable: u32,
    /// Of those that are kept, how many do their work.
    ready: usize,
}

impl<'a> Need<'a> {
    pub fn new(view: &ServiceView<'a>) -> Need<'a> {
        if view.service.status == ServiceStatus::Draining {
            return Need {
                kept: Vec::new(),
                extra: Vec::new(),
                protected: Vec::new(),
                waits: false,
                missing: 0,
                startable: 0,
                ready: 0,
            };
        }
        let desired = view.service.desired_count as usize;
        let tasks_max = view.service.deployment_configuration.tasks_max(view.service.desired_count) as usize;
        let Kept { kept, extra, protected, waits } = keep_best(view, desired);
        let missing = desired.saturating_sub(kept.len());
        // Tasks on their way out still have their ports and memory, and count until they have stopped.
        let room = tasks_max.saturating_sub(view.live.len());
        let ready = kept.iter().filter(|task| view.counts(task)).count();
        let (missing, startable) = (missing as u32, missing.min(room) as u32);
        Need { kept, extra, protected, waits, missing, startable, ready }
    }

    /// True when it makes a difference whether all that are missing fit.
    pub fn asks_for_all(&self, view: &ServiceView<'a>) -> bool {
        self.startable == self.missing && (!view.outgoing.is_empty() || view.stopping > 0)
    }
}

pub(crate) fn decide<'a>(view: &ServiceView<'a>, need: Need<'a>, capacity: Capacity) -> Rollout<'a> {
    let mut rollout = Rollout::default();
    if view.service.status == ServiceStatus::Draining {
        let all = [&view.current[..], &view.sick, &view.late, &view.outgoing].concat();
        rollout.stop(Why::Scaling, all);
        return rollout;
    }
    let desired = view.service.desired_count as usize;
    let tasks_min = view.service.deployment_configuration.tasks_min(view.service.desired_count) as usize;
    // More than the desired count never comes up, so a higher minimum would hold the old tasks for ever.
    let tasks_min = tasks_min.min(desired);
    let Need { kept, extra, protected, waits, missing, startable, ready } = need;
    rollout.protected = protected;
    let evens_out = zones::are_balanced(view) && zones::is_rebalancing(view.service);
    rollout.stop(if evens_out { Why::Rebalancing } else { Why::Scaling }, extra);

    // They never did any work, so nobody waits for their successors.
    rollout.stop(Why::NeverReady, view.late.clone());
    let sick_leaving = sick_leaving(view, &kept, ready, startable);
    rollout.stop(Why::Unhealthy, sick_leaving);

    // Outgoing tasks that don't work are of no use to anybody. Those that only want no work may want some again.
    let (working, idle): (Vec<&Task>, Vec<&Task>) = view.outgoing.iter().partition(|task| works(task));
    let (working, unready): (Vec<&Task>, Vec<&Task>) = working.into_iter().partition(|task| task.is_ready());
    let (held, unready): (Vec<&Task>, Vec<&Task>) = unready.into_iter().partition(|task| view.is_protected(task));
    let at_work = ready + working.len();
    let replaced = at_work.saturating_sub(desired);
    let dispensable = at_work.saturating_sub(tasks_min);
    let (fitting, would_fit) = match capacity {
        Capacity::Fits(count) => (count, startable < missing),
        Capacity::Lacks(count) => (count, true),
        Capacity::Closed => (0, false),
    };
    // Those that wait for an instance have room, too, when older ones leave.
    let would_fit = would_fit || kept.iter().any(|task| task.is_waiting());
    let free = working.iter().filter(|task| !view.is_protected(task)).count();
    let room_leaves = would_fit && dispensable.min(free) > replaced;
    let leaving = if room_leaves { dispensable } else { replaced };
    let (protected, free): (Vec<&Task>, Vec<&Task>) = working.iter().partition(|task| view.is_protected(task));
    // Also what would make room if it were let: when its protection ends, somebody has to look.
    let would_leave = if would_fit { dispensable.max(replaced) } else { replaced };
    if would_leave > free.len() {
        rollout.protected.extend(protected);
    }
    let leaving = victims::oldest_first(view, free, leaving);
    // They give way to newer ones that do, and before others to those that find no room.
    let would_yield = if would_fit { unready.len() + held.len() } else { (unready.len() + held.len()).min(ready) };
    let yielding = would_yield.min(unready.len());
    if would_yield > yielding {
        rollout.protected.extend(held);
    }
    let yielding = victims::oldest_first(view, unready, yielding);
    let leaving = [idle, yielding, leaving].concat();
    // Some of what is missing would fit already. It waits for the rest of the room, if that comes soon.
    let awaited = if fitting > 0 && would_fit && (room_leaves || at_work < desired) {
        let asked_now = (!leaving.is_empty()).then_some(view.now + ROOM_AWAITED_MAX);
        [asked_now, room_awaited(view)].into_iter().flatten().max()
    } else {
        None
    };
    rollout.stop(Why::Scaling, leaving);
    if !room_leaves && awaited.is_none() {
        rollout.start = fitting;
    }
    let leaving: usize = rollout.stop.iter().map(|(_, tasks)| tasks.len()).sum();
    rollout.room_comes = matches!(capacity, Capacity::Lacks(_)) && leaving + view.stopping > 0;
    let waiting = waits || kept.len() + leaving < view.live.len() - view.stopping;
    let proven = if waiting { kept.iter().filter_map(|task| view.awaited_at(task)).min() } else { None };
    let unprotected = rollout.protected.iter().filter_map(|task| task.protection(view.now)).min();
    rollout.look_again = [awaited, proven, unprotected, view.grace_ends(), view.late_at].into_iter().flatten().min();
    rollout.is_stalled = !view.has_failed()
        && rollout.protected.is_empty()
        && missing > 0
        && startable == 0
        && leaving == 0
        && view.stopping == 0
        && ready == kept.len();
    rollout
}

impl<'a> Rollout<'a> {
    fn stop(&mut self, why: Why, tasks: Vec<&'a Task>) {
        if !tasks.is_empty() {
            self.stop.push((why, tasks));
        }
    }
}

/// Until when to wait for the tasks that make room; nothing when none does, or they take too long.
fn room_awaited(view: &ServiceView<'_>) -> Option<Timestamp> {
    let leaving = view.live.iter().filter(|task| {
        task.desired_status == TaskStatus::Stopped && task.stop_code == Some(StopCode::ServiceSchedulerInitiated)
    });
    let until = leaving.filter_map(|task| task.stopping_at);
    until.map(|asked| asked + ROOM_AWAITED_MAX).filter(|until| *until > view.now).max()
}

/// Sick tasks stay until their successors count. Where there is no room for a successor, one of them makes room, and only
/// when nothing else is on its way.
fn sick_leaving<'a>(view: &ServiceView<'a>, kept: &[&Task], ready: usize, startable: u32) -> Vec<&'a Task> {
    let desired = view.service.desired_count as usize;
    let still_needed = desired.saturating_sub(ready);
    let mut sick = view.sick.clone();
    sick.sort_by_key(|task| (task.created_at, &task.id));
    let replaced = sick.len().saturating_sub(still_needed);
    let is_stuck = !view.has_failed()
        && replaced == 0
        && kept.len() < desired
        && startable == 0
        && view.stopping == 0
        && ready == kept.len();
    sick.truncate(if is_stuck { 1 } else { replaced });
    sick
}

/// Those to keep, those that are too many, and those of the first that would be too many if they were not protected.
#[derive(Default)]
struct Kept<'a> {
    kept: Vec<&'a Task>,
    extra: Vec<&'a Task>,
    protected: Vec<&'a Task>,
    waits: bool,
}

fn keep_best<'a>(view: &ServiceView<'a>, count: usize) -> Kept<'a> {
    let too_many = view.current.len().saturating_sub(count);
    if too_many == 0 {
        return Kept { kept: view.current.clone(), ..Kept::default() };
    }
    let (protected, free): (Vec<&Task>, Vec<&Task>) = view.current.iter().partition(|task| view.is_protected(task));
    let mut waits = false;
    let extra = if zones::are_balanced(view) {
        let surplus = zones::surplus(view, too_many);
        waits = surplus.waits;
        surplus.leaving
    } else {
        victims::newest_first(view, &free, too_many.min(free.len()))
    };
    let leaves = |task: &&Task| extra.iter().any(|one| one.id == task.id);
    let kept = view.current.iter().copied().filter(|task| !leaves(task)).collect();
    let protected = if too_many > free.len() { protected } else { Vec::new() };
    Kept { kept, extra, protected, waits }
}
