//! Keeps one task of a daemon service on each instance that can have it, and brings these tasks from one definition to the
//! next.
//!
//! [`rollout`] decides who leaves and which instances lack a task; here that becomes tasks, placements and events.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS services", daemon scheduling strategy.

mod rollout;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet};

use model::service::CompletedDeployment;
use model::{
    Deployment, DeploymentStatus, Reservation, RolloutState, Scope, Service, ServiceStatus, Task, stop_reason,
};
use scheduler::{Explanation, Indexes, Rejection, Request, Scheduler, Shortage};
use state::{Record, Snapshot};
use stdx::{Ids, Timestamp};

use self::rollout::Rollout;
pub(crate) use self::rollout::{Superfluous, Why, superfluous};
use self::view::DaemonView;
use crate::service::{backoff, breaker, message};
use crate::turn::{STARTS_PER_TURN_MAX, Turn, Wanted, request};
use crate::{Plan, managed_daemon};

/// What the service needs next.
pub fn reconcile(snapshot: &Snapshot, indexes: &Indexes, service: &Service, now: Timestamp, ids: &mut Ids) -> Plan {
    if service.status == ServiceStatus::Inactive {
        return Plan::default();
    }
    let mut turn = Turn::new(snapshot, indexes, service, now, ids);
    if let Some(failure) = breaker::judge_daemon(snapshot, service, now) {
        let said = failure.write(snapshot, &mut turn.service, now, turn.ids);
        said.into_iter().for_each(|message| turn.record(message));
        return turn.plan(service, Some(now));
    }
    let primary = service.primary();
    let wanted = primary.and_then(|one| turn.wanted((&one.family, one.revision), service.launch_type, &one.id));
    let view = DaemonView::new(snapshot, service, wanted.as_ref().map(|wanted| &wanted.request), now);
    let rollout = rollout::decide(&view);
    let mut look_again = rollout.look_again;

    stop(&mut turn, &view, &rollout);
    match &wanted {
        Some(wanted) => look_again = [look_again, start(&mut turn, &rollout, wanted)].into_iter().flatten().min(),
        None if service.status == ServiceStatus::Active => {
            turn.record_cause(&service.name, message::nothing_to_place(&service.name));
        }
        None => {}
    }
    finish(&mut turn, &view);
    turn.plan(service, look_again)
}

/// Daemons are placed first: no other task of the cluster gets the room that they lack, nor what a new task of theirs needs more
/// than the old one that it follows.
///
/// Source: Amazon ECS Developer Guide, "Amazon ECS services": CPU, memory and network interfaces are reserved for daemon tasks.
pub fn keep_room(scheduler: &mut Scheduler<'_>, snapshot: &Snapshot, scope: &Scope, cluster: &str) {
    for service in snapshot.services.by("daemon", &format!("{scope}/{cluster}")) {
        let Some(primary) = service.primary() else { continue };
        let of = (primary.family.as_str(), primary.revision);
        if let Some((_, request)) = request(snapshot, service, of, service.launch_type) {
            let succeeds = succeeded(snapshot, service, &request);
            scheduler.keep_room_to_grow(request, succeeds);
        }
    }
    managed_daemon::keep_room(scheduler, snapshot, &format!("{scope}/{cluster}/"));
}

/// What the old tasks hold that a new one is to take over, by instance, while a deployment is under way.
fn succeeded(snapshot: &Snapshot, service: &Service, wanted: &Request) -> BTreeMap<String, Reservation> {
    let Some(primary) = service.primary().filter(|one| one.rollout_state == RolloutState::InProgress) else {
        return BTreeMap::new();
    };
    let desired = service.desired_count;
    let comes_beside = service.deployment_configuration.tasks_max(desired) > desired;
    let mut others = service.deployments.iter().filter(|one| one.id != primary.id);
    let grows = |other: &Deployment| {
        let held = request(snapshot, service, (&other.family, other.revision), service.launch_type);
        held.is_none_or(|(_, held)| comes_beside || !wanted.reservation.fits_within(&held.reservation))
    };
    if !others.any(grows) {
        return BTreeMap::new();
    }
    let tasks = snapshot.tasks.by("service", &service.name()).map(|task| &**task);
    held_by_old(tasks, |task| primary.has(task), comes_beside)
}

/// Where a new one is already, or comes beside the old one, nothing is taken over.
pub(crate) fn held_by_old<'a>(
    tasks: impl Iterator<Item = &'a Task>,
    is_new: impl Fn(&Task) -> bool,
    comes_beside: bool,
) -> BTreeMap<String, Reservation> {
    let (mut held, mut have_new) = (BTreeMap::<String, Reservation>::new(), BTreeSet::new());
    for task in tasks {
        if is_new(task) {
            have_new.insert(task.container_instance.as_str());
            continue;
        }
        let of_instance = held.entry(task.container_instance.clone()).or_default();
        if !comes_beside {
            of_instance.add(&task.reserved);
        }
    }
    held.retain(|instance, _| !have_new.contains(instance.as_str()));
    held
}

fn stop(turn: &mut Turn<'_>, view: &DaemonView<'_>, rollout: &Rollout<'_>) {
    let name = turn.service.name.clone();
    let deployment = turn.service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
    for (why, tasks) in &rollout.stop {
        let reason = match why {
            Why::NeverReady => {
                turn.give_up(tasks, &view.patience, &name);
                continue;
            }
            Why::Deployment | Why::Drained => stop_reason::scaling(&deployment),
            Why::Unhealthy => stop_reason::UNHEALTHY.to_owned(),
            Why::Constraints => stop_reason::CONSTRAINTS.to_owned(),
        };
        turn.stop(tasks, &reason);
        for task in tasks {
            match why {
                Why::Unhealthy => turn.record(message::failed_health_checks(&name, &task.id)),
                Why::Constraints => turn.record(message::no_longer_satisfies(&name, &task.id)),
                Why::Deployment | Why::Drained | Why::NeverReady => {}
            }
        }
        turn.record(message::stopped(&name, tasks));
    }
    turn.record_protected(&name, &rollout.protected);
    if rollout.is_stalled {
        turn.record_cause(&name, message::stalled(&name));
    }
}

/// One task on each instance that lacks one. Says when to go on with what has to wait.
fn start(turn: &mut Turn<'_>, rollout: &Rollout<'_>, wanted: &Wanted<'_>) -> Option<Timestamp> {
    if rollout.start.is_empty() && rollout.refused.is_empty() {
        return None;
    }
    let name = turn.service.name.clone();
    let failed = failed(turn, &wanted.started_by, rollout.start.len());
    let (scope, cluster) = (turn.service.scope.clone(), turn.service.cluster.clone());
    let seed = turn.ids.number();
    let mut scheduler = Scheduler::new(turn.indexes, turn.snapshot, &scope, &cluster, seed);
    let (mut started, mut rejected, mut look_again) =
        (Vec::new(), Explanation { rejections: rollout.refused.clone() }, None);
    let mut keeps_failing = false;
    for instance in &rollout.start {
        if started.len() == STARTS_PER_TURN_MAX {
            look_again = Some(turn.now);
            break;
        }
        let stopped = failed.get(instance.id.as_str()).into_iter().flatten().copied();
        if let Some(at) = backoff::after(stopped, std::iter::empty(), turn.now) {
            keeps_failing = true;
            look_again = Some(look_again.map_or(at, |known: Timestamp| known.min(at)));
            continue;
        }
        match scheduler.place_on(&instance.id, &wanted.request) {
            Ok(placement) => started.push(turn.start(wanted, &placement)),
            // Its agent comes back, or its instance goes.
            Err(Some(Rejection { why: Shortage::AgentDisconnected, .. })) | Err(None) => {}
            Err(Some(rejection)) => rejected.rejections.push(rejection),
        }
    }
    if !started.is_empty() {
        turn.record(message::started(&name, &started));
    }
    if !rejected.rejections.is_empty() {
        turn.record_cause(&name, message::not_placed(&name, &rejected));
    }
    if keeps_failing {
        turn.record_cause(&name, message::keeps_failing(&name));
    }
    look_again
}

/// What has stopped of the deployment, the newest first, by instance: a daemon that fails on one is not held back on others.
fn failed<'a>(turn: &Turn<'a>, deployment: &str, instances: usize) -> BTreeMap<&'a str, Vec<&'a Task>> {
    let mut by_instance: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    let looked_at_max = instances * backoff::ROW_MAX as usize;
    for task in backoff::stopped(turn.snapshot, &turn.service).take(looked_at_max) {
        if task.started_by == deployment {
            by_instance.entry(&task.container_instance).or_default().push(task);
        }
    }
    by_instance
}

/// Deployments that are through, and states that were reached.
fn finish(turn: &mut Turn<'_>, view: &DaemonView<'_>) {
    let is_draining = view.service.status == ServiceStatus::Draining;
    turn.service.desired_count = if is_draining { 0 } else { view.desired() };
    if is_draining {
        if view.live == 0 {
            turn.service.status = ServiceStatus::Inactive;
        }
        return;
    }
    let has_tasks = |one: &Deployment| view.places.iter().any(|place| place.all().any(|task| one.has(task)));
    turn.service.deployments.retain(|one| one.status == DeploymentStatus::Primary || has_tasks(one));
    if !view.is_steady() {
        return;
    }
    let (name, now) = (turn.service.name.clone(), turn.now);
    let primary = turn.service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary);
    if let Some(primary) = primary.filter(|primary| primary.rollout_state == RolloutState::InProgress) {
        primary.rollout_state = RolloutState::Completed;
        primary.rollout_state_reason = format!("ECS deployment {} completed.", primary.id);
        primary.updated_at = now;
        let completed = CompletedDeployment {
            id: primary.id.clone(),
            adopted: primary.adopted.clone(),
            family: primary.family.clone(),
            revision: primary.revision,
            service_revision: primary.service_revision.clone(),
        };
        turn.record(message::deployment_completed(&name, &completed.id));
        turn.service.last_completed = Some(completed);
    }
    turn.record_once(message::steady_state(&name));
}
