//! Keeps each task set of a service at its computed desired count. Which task sets there are, and how large, an external
//! deployment controller says.
//!
//! [`scale`] decides how many to start and whom to stop; here that becomes tasks, placements and events.
//!
//! Source: Amazon ECS API Reference, `CreateTaskSet`, `TaskSet`.

mod scale;

use model::{Service, ServiceStatus, StabilityStatus, Task, TaskSet, TaskSetStatus, stop_reason};
use scheduler::{Indexes, Scheduler, Strategy};
use state::{Record, Snapshot};
use stdx::{Ids, Timestamp};

use self::scale::{Scale, TaskSetView, Why};
use crate::proof::Proof;
use crate::readiness::Patience;
use crate::service::{backoff, message};
use crate::turn::{STARTS_PER_TURN_MAX, Spots, Turn};
use crate::{Plan, daemon};

/// What the service needs next.
pub fn reconcile(snapshot: &Snapshot, indexes: &Indexes, service: &Service, now: Timestamp, ids: &mut Ids) -> Plan {
    if service.status == ServiceStatus::Inactive {
        return Plan::default();
    }
    let mut turn = Turn::new(snapshot, indexes, service, now, ids);
    let mut look_again: Option<Timestamp> = None;
    let proof = Proof::new(snapshot, now);
    let mut sets = service.task_sets.clone();
    // One for all sets: what the first of them gets, the next does not.
    let mut scheduler = None;
    for (set, after) in service.task_sets.iter().zip(&mut sets) {
        let view = TaskSetView::new(snapshot, service, set, &proof, now);
        let scale = scale::decide(&view);
        let again = [scale.look_again, carry_out(&mut turn, &view, &scale, &mut scheduler)];
        look_again = again.into_iter().flatten().chain(look_again).min();
        settle(&mut turn, &view, after);
    }
    // A set that is deleted is gone with its last task.
    let has_tasks = |set: &TaskSet| snapshot.tasks.by("service", &service.name()).any(|task| task.started_by == set.id);
    sets.retain(|set| set.status != TaskSetStatus::Draining || has_tasks(set));
    turn.service.task_sets = sets;
    finish(&mut turn, snapshot);
    turn.plan(service, look_again)
}

/// Stops and starts. Says when to go on with what has to wait.
fn carry_out<'a>(
    turn: &mut Turn<'a>,
    view: &TaskSetView<'_>,
    scale: &Scale<'_>,
    scheduler: &mut Option<Scheduler<'a>>,
) -> Option<Timestamp> {
    let set = view.set;
    let speaker = speaker(view.service, set);
    for (why, tasks) in &scale.stop {
        let reason = match why {
            Why::NeverReady => {
                let patience = Patience::of_service(turn.snapshot, view.service, turn.now);
                turn.give_up(tasks, &patience, &speaker);
                continue;
            }
            Why::Scaling => stop_reason::scaling_of_task_set(&set.id),
            Why::Unhealthy => stop_reason::UNHEALTHY.to_owned(),
        };
        turn.stop(tasks, &reason);
        if *why == Why::Unhealthy {
            for task in tasks {
                turn.record(message::failed_health_checks(&speaker, &task.id));
            }
        }
        turn.record(message::stopped(&speaker, tasks));
    }
    turn.record_protected(&speaker, &scale.protected);
    if scale.start == 0 {
        return None;
    }
    let of_set = |task: &&Task| task.started_by == set.id;
    let looked_at_max = (view.desired.max(1) * backoff::ROW_MAX) as usize;
    let stopped = backoff::stopped(turn.snapshot, view.service).take(looked_at_max).filter(of_set);
    if let Some(at) = backoff::after(stopped, view.live.iter().copied(), turn.now) {
        turn.record_cause(&speaker, message::keeps_failing(&speaker));
        return Some(at);
    }
    let Some(mut wanted) = turn.wanted((&set.family, set.revision), set.launch_type, &set.id) else {
        turn.record_cause(&speaker, message::nothing_to_place(&speaker));
        return None;
    };
    let strategies = view.service.placement_strategy.iter();
    wanted.request.strategies = strategies.filter_map(|one| Strategy::parse(one).ok()).collect();
    let service = view.service;
    let live = view.live.iter().copied();
    wanted.request.providers =
        scheduler::providers(turn.snapshot, &service.scope, &set.capacity_provider_strategy, live);
    let scheduler = scheduler.get_or_insert_with(|| {
        let seed = turn.ids.number();
        let mut scheduler = Scheduler::new(turn.indexes, turn.snapshot, &service.scope, &service.cluster, seed);
        daemon::keep_room(&mut scheduler, turn.snapshot, &service.scope, &service.cluster);
        scheduler
    });
    scheduler.share_anew();
    let mut started = Vec::new();
    let count = (scale.start as usize).min(STARTS_PER_TURN_MAX);
    let mut spots = Spots::new(turn.snapshot, service, &wanted.request);
    while started.len() < count
        && let Some(spot) = spots.next(scheduler, &wanted.request)
    {
        started.push(turn.start_at(&wanted, &spot));
    }
    let is_short = started.len() < count;
    let complaint = spots.rejected.map(|explanation| message::not_placed(&speaker, &explanation));
    if !started.is_empty() {
        turn.record(message::started(&speaker, &started));
    }
    if let Some(complaint) = complaint {
        turn.record_cause(&speaker, complaint);
    }
    (!is_short && scale.start as usize > count).then_some(turn.now)
}

/// Whether it is where it should be, and since when.
fn settle(turn: &mut Turn<'_>, view: &TaskSetView<'_>, set: &mut TaskSet) {
    let stability = if view.is_steady() { StabilityStatus::SteadyState } else { StabilityStatus::Stabilizing };
    if stability == set.stability {
        return;
    }
    set.stability = stability;
    set.stability_at = turn.now;
    if stability == StabilityStatus::SteadyState && set.status != TaskSetStatus::Draining {
        turn.record(message::steady_state(&speaker(view.service, set)));
    }
}

/// What the service itself has reached.
fn finish(turn: &mut Turn<'_>, snapshot: &Snapshot) {
    let service = &mut turn.service;
    if service.status == ServiceStatus::Draining && service.task_sets.is_empty() {
        let mut tasks = snapshot.tasks.by("service", &service.name());
        if tasks.next().is_none() {
            service.status = ServiceStatus::Inactive;
        }
    }
}

/// As ECS names a task set in the events of its service.
fn speaker(service: &Service, set: &TaskSet) -> String {
    format!("{}, taskSet {}", service.name, set.id)
}
