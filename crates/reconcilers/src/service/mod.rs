//! Keeps a replica service at its desired count, and brings its tasks from one definition to the next.
//!
//! [`rollout`] decides how many to start and whom to stop; here that becomes tasks, placements and events.

pub(crate) mod backoff;
pub mod blue_green;
pub(crate) mod breaker;
mod early;
pub(crate) mod message;
pub(crate) mod place;
mod rollout;
mod victims;
pub(crate) mod view;
pub(crate) mod zones;

use model::service::CompletedDeployment;
use model::{DeploymentStatus, RolloutState, Service, ServiceStatus, Task};
use scheduler::Indexes;
use state::Snapshot;
use stdx::{Ids, Timestamp};

use crate::Plan;
use crate::alarms::Alarms;
use crate::readiness::Patience;
use crate::turn::{STARTS_PER_TURN_MAX, Turn};
pub use backoff::failed_tasks;
use place::Trial;
use rollout::{Capacity, Need, Rollout, Why};
use view::ServiceView;
pub use zones::{ZONE, is_uneven, of_cluster as zones_of_cluster};

/// What the service needs next. Nothing to change and no time to look again: it is as it should be, or waits for the world.
///
/// `indexes` decide nothing; they only save the work of looking at every instance again.
pub fn reconcile(
    snapshot: &Snapshot,
    indexes: &Indexes,
    alarms: &dyn Alarms,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> Plan {
    if service.status == ServiceStatus::Inactive {
        return Plan::default();
    }
    let view = ServiceView::new(snapshot, service, now);
    let failure = breaker::judge(&view, alarms);
    if failure.is_none() && service.status == ServiceStatus::Active && blue_green::is_on(service) {
        return blue_green::reconcile(snapshot, indexes, alarms, service, now, ids);
    }
    let mut act = Act::new(Turn::new(snapshot, indexes, service, now, ids));
    act.watch_alarms(alarms);
    if let Some(failure) = failure {
        let said = failure.write(snapshot, &mut act.turn.service, now, act.turn.ids);
        said.into_iter().for_each(|message| act.turn.record(message));
        return act.turn.plan(service, Some(now));
    }
    let scaled = scale(&mut act, &view);
    let balance = zones::rebalance(&view, &mut act.turn);
    let steady = if balance.moves { None } else { act.finish(&view) };
    act.turn.plan(service, [scaled, balance.look_again, steady].into_iter().flatten().min())
}

/// Starts and stops tasks of the view's newest deployment, towards the desired count. Says when to look again.
fn scale<'a>(act: &mut Act<'a>, view: &ServiceView<'a>) -> Option<Timestamp> {
    let now = view.now;
    let need = Need::new(view);
    let startable = need.startable;
    let retry_at = if need.missing > 0 { backoff::retry_at(view.snapshot, view, now) } else { None };
    let mut later = None;
    let (trial, capacity) = match retry_at {
        // A deployment that has failed starts no more tasks.
        _ if view.has_failed() => (None, Capacity::Closed),
        // What was started already in this turn is in no snapshot yet: this would be given the same room.
        _ if act.has_started && startable > 0 => {
            later = Some(now);
            (None, Capacity::Closed)
        }
        Some(_) => (None, Capacity::Closed),
        None if startable == 0 => (None, Capacity::Fits(0)),
        None => {
            let trial = Trial::new(view, &need, &mut act.turn);
            let capacity = trial.capacity(view);
            (Some(trial), capacity)
        }
    };
    let rollout = rollout::decide(view, need, capacity);
    for (why, tasks) in &rollout.stop {
        act.stop(view, tasks, *why);
    }
    act.turn.record_protected(&view.service.name, &rollout.protected);
    if rollout.is_stalled {
        act.turn.record_cause(&view.service.name, message::stalled(&view.service.name));
    }
    let retry_at = retry_at.filter(|_| startable > 0 && !view.has_failed());
    if retry_at.is_some() {
        act.turn.record_cause(&view.service.name, message::keeps_failing(&view.service.name));
    }
    let more = trial.and_then(|trial| act.start(&trial, &rollout));
    [rollout.look_again, retry_at, more, later].into_iter().flatten().min()
}

/// What was decided, done and said.
struct Act<'a> {
    turn: Turn<'a>,
    name: String,
    has_started: bool,
}

impl<'a> Act<'a> {
    fn new(turn: Turn<'a>) -> Self {
        let name = turn.service.name.clone();
        Act { turn, name, has_started: false }
    }

    /// Alarms that are on already when a deployment begins say nothing about it: it may be what mends them.
    fn watch_alarms(&mut self, alarms: &dyn Alarms) {
        let triggered = crate::alarms::triggered(alarms, &self.turn.service);
        let Some(primary) = breaker::unwatched(&mut self.turn.service) else { return };
        primary.alarms_watched = Some(triggered.is_empty());
        if !triggered.is_empty() {
            let message = message::alarms_ignored(&self.name, &primary.id, &triggered);
            self.turn.record(message);
        }
    }

    fn stop(&mut self, view: &ServiceView<'_>, tasks: &[&Task], why: Why) {
        let primary = self.turn.service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
        if why == Why::NeverReady {
            let service = &view.service;
            return self.turn.give_up(tasks, &Patience::of_service(view.snapshot, service, view.now), &service.name);
        }
        self.turn.stop(tasks, &message::stopped_reason(why, &primary));
        if why == Why::Unhealthy {
            for task in tasks {
                self.turn.record(message::failed_health_checks(&self.name, &task.id));
            }
        }
        if why == Why::Rebalancing {
            for (zone, tasks) in zones::by_zone(view, tasks) {
                self.turn.record(message::stopped_in_zone(&self.name, zone, &tasks));
            }
            return;
        }
        self.turn.record(message::stopped(&self.name, tasks));
    }

    /// Starts those that have a place. Says when to go on with what one turn leaves over.
    fn start(&mut self, trial: &Trial<'_>, rollout: &Rollout<'_>) -> Option<Timestamp> {
        let count = (rollout.start as usize).min(STARTS_PER_TURN_MAX);
        let started = trial.record(&mut self.turn, count);
        if !started.is_empty() {
            self.has_started = true;
            self.turn.record(message::started(&self.name, &started));
        }
        if rollout.start as usize > count {
            return Some(self.turn.now);
        }
        if let Some(cause) = trial.complaint(&self.name).filter(|_| !rollout.room_comes) {
            self.turn.record_cause(&self.name, cause);
        }
        None
    }

    /// Deployments that are through, and states that were reached. Says when to look whether one is.
    fn finish(&mut self, view: &ServiceView<'_>) -> Option<Timestamp> {
        let service = &mut self.turn.service;
        if view.service.status == ServiceStatus::Draining {
            if view.live.is_empty() {
                service.status = ServiceStatus::Inactive;
            }
            return None;
        }
        service
            .deployments
            .retain(|one| one.status == DeploymentStatus::Primary || view.live.iter().any(|task| one.has(task)));
        let (is_steady, early) = (view.is_steady(), early::Early::of(view));
        if !is_steady && early.is_none() {
            return None;
        }
        let mut also = None;
        let primary = service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary);
        if let Some(primary) = primary.filter(|one| one.rollout_state == RolloutState::InProgress) {
            if let Some(until) = early.as_ref().map(|early| early.waits(primary, view.now)).unwrap_or_default() {
                return until;
            }
            // What ends right after its start would have completed its deployment before anybody saw it fail.
            let awaited = view.current.iter().filter_map(|task| view.awaited_at(task)).min();
            if view.has_breaker() && awaited.is_some() && early.is_none() {
                return awaited;
            }
            primary.rollout_state = RolloutState::Completed;
            primary.rollout_state_reason = format!("ECS deployment {} completed.", primary.id);
            primary.updated_at = self.turn.now;
            let completed = CompletedDeployment {
                id: primary.id.clone(),
                adopted: primary.adopted.clone(),
                family: primary.family.clone(),
                revision: primary.revision,
                service_revision: primary.service_revision.clone(),
            };
            let message = message::deployment_completed(&self.name, &completed.id);
            service.last_completed = Some(completed);
            self.turn.record(message);
            // A service that has just become steady may lie unevenly over the zones.
            also = view.service.availability_zone_rebalancing.then_some(self.turn.now);
        }
        if is_steady {
            self.turn.record_once(message::steady_state(&self.name));
        }
        also
    }
}
