//! Availability Zone rebalancing: a service at rest whose tasks lie unevenly over the zones gets new ones where there are fewest,
//! and when those do their work, as many leave where there are most.
//!
//! Nothing is remembered of it. A service with more tasks than desired keeps the best spread of them, and lets one that does its
//! work go only when enough others do theirs; so the second half follows from what the first half has left.
//!
//! Source: Amazon ECS Developer Guide, "Balancing an Amazon ECS service across Availability Zones".

use std::collections::{BTreeMap, BTreeSet};

use model::{RolloutState, Service, ServiceStatus, Task, TaskStatus};
use scheduler::{Placement, Request, Scheduler, Shortage};
use state::{Record, Snapshot};
use stdx::Timestamp;

use super::backoff;
use super::message::{self, Cause};
use super::place::wanted;
use super::victims;
use super::view::{ServiceView, works};
use crate::daemon;
use crate::turn::{STARTS_PER_TURN_MAX, Turn, Wanted};

pub use model::container_instance::ZONE;

/// How many tasks are in each zone.
type Counts<'a> = BTreeMap<&'a str, usize>;

/// What a turn has done about the zones.
#[derive(Default)]
pub(crate) struct Balance {
    /// Tasks are on their way; the service is not at rest.
    pub moves: bool,
    pub look_again: Option<Timestamp>,
}

/// The tasks of a service that has too many.
pub(crate) struct Surplus<'a> {
    pub leaving: Vec<&'a Task>,
    /// One that is to leave waits for others to do its work.
    pub waits: bool,
}

/// True for a service whose zones are evened out now: it has no deployment on its way, and no instance of it drains.
pub(crate) fn are_balanced(view: &ServiceView<'_>) -> bool {
    view.service.availability_zone_rebalancing
        && view.service.status == ServiceStatus::Active
        && view.primary.is_some_and(|primary| primary.rollout_state == RolloutState::Completed)
        && view.outgoing.is_empty()
}

/// The zones of a cluster that have an instance which takes tasks. It looks at one instance of each.
pub fn of_cluster<'a>(snapshot: &'a Snapshot, cluster: &str) -> BTreeSet<&'a str> {
    let (prefix, mut zones) = (format!("{cluster}/"), BTreeSet::new());
    let mut next = snapshot.container_instances.under("zone", &prefix).next();
    while let Some(zone) = next.and_then(|instance| instance.attribute(ZONE)) {
        zones.insert(zone);
        // No name of an instance comes behind this one.
        let last = (&*format!("{prefix}{zone}"), "\u{10ffff}");
        next = snapshot.container_instances.under_after("zone", &prefix, last).next();
    }
    zones
}

/// True for a service that may have to move tasks from one of these zones to another.
pub fn is_uneven(snapshot: &Snapshot, service: &Service, zones: &BTreeSet<&str>) -> bool {
    if !service.availability_zone_rebalancing || service.status != ServiceStatus::Active || zones.len() < 2 {
        return false;
    }
    let mut counts: Counts<'_> = zones.iter().map(|zone| (*zone, 0)).collect();
    for task in snapshot.tasks.by("service", &service.name()) {
        let name = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
        let instance = snapshot.container_instances.get(&name).filter(|_| task.desired_status == TaskStatus::Running);
        if let Some(zone) = instance.and_then(|instance| instance.attribute(ZONE)) {
            *counts.entry(zone).or_default() += 1;
        }
    }
    span(&counts) > 1
}

/// Which `count` of the tasks go, so that those which stay are spread evenly: of the fullest zone first. What does not work can
/// go at once.
pub(crate) fn surplus<'a>(view: &ServiceView<'a>, count: usize) -> Surplus<'a> {
    let mut free: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    let mut counts = Counts::new();
    for task in &view.current {
        let zone = view.instance(&task.container_instance).and_then(|one| one.attribute(ZONE)).unwrap_or_default();
        *counts.entry(zone).or_default() += 1;
        if !view.is_protected(task) {
            free.entry(zone).or_default().push(task);
        }
    }
    let mut chosen: Vec<&Task> = Vec::new();
    while chosen.len() < count {
        let youngest = |tasks: &[&'a Task]| tasks.iter().map(|task| (task.created_at, &task.id)).max();
        let fullest = free.iter().max_by_key(|(zone, tasks)| (counts[*zone], youngest(tasks)));
        let Some(zone) = fullest.map(|(zone, _)| *zone) else { break };
        let tasks = free.get_mut(zone).expect("it was there just now");
        let one = victims::newest_first(view, tasks, 1);
        tasks.retain(|task| one.iter().all(|chosen| chosen.id != task.id));
        if tasks.is_empty() || one.is_empty() {
            free.remove(zone);
        }
        *counts.get_mut(zone).expect("it was counted") -= one.len();
        chosen.extend(one);
    }
    // As many as desired run without those that leave, and as many have proved themselves without those of them that have.
    let spare = |is_needed: &dyn Fn(&Task) -> bool| {
        let count = view.current.iter().filter(|task| is_needed(task)).count();
        count.saturating_sub(view.service.desired_count as usize)
    };
    let (mut running, mut proven) = (spare(&works), spare(&|task| view.counts(task)));
    let count = chosen.len();
    let leaving: Vec<&Task> = chosen
        .into_iter()
        .filter(|task| {
            let (runs, is_proven) = (usize::from(works(task)), usize::from(view.counts(task)));
            let leaves = runs <= running && is_proven <= proven;
            if leaves {
                (running, proven) = (running - runs, proven - is_proven);
            }
            leaves
        })
        .collect();
    let waits = leaving.len() < count;
    Surplus { leaving, waits }
}

/// True between the event that says so and the one that says that the zones are balanced.
pub(crate) fn is_rebalancing(service: &Service) -> bool {
    let name = &service.name;
    let said = service.events.iter().find(|event| message::is_about_zones(name, &event.message));
    said.is_some_and(|event| message::begins_rebalancing(name, &event.message))
}

/// Starts tasks in the poorer zones if a service at rest is uneven, and says what it finds.
pub(crate) fn rebalance<'a>(view: &ServiceView<'a>, turn: &mut Turn<'a>) -> Balance {
    if !are_balanced(view) || !view.is_steady() {
        return Balance::default();
    }
    let cluster = format!("{}/{}", view.service.scope, view.service.cluster);
    let mut counts: Counts<'a> = of_cluster(view.snapshot, &cluster).into_iter().map(|zone| (zone, 0)).collect();
    let mut movable = Counts::new();
    let mut unprotected_at = None;
    for task in &view.current {
        let Some(zone) = view.instance(&task.container_instance).and_then(|one| one.attribute(ZONE)) else { continue };
        *counts.entry(zone).or_default() += 1;
        match task.protection(view.now).filter(|_| view.is_protected(task)) {
            None => *movable.entry(zone).or_default() += 1,
            until => unprotected_at = unprotected_at.into_iter().chain(until).min(),
        }
    }
    if span(&counts) <= 1 {
        if is_rebalancing(&turn.service) {
            turn.record(message::zones_are_balanced(&view.service.name, &counts));
        }
        return Balance::default();
    }
    let configuration = &view.service.deployment_configuration;
    let room = (configuration.tasks_max(view.service.desired_count) as usize).saturating_sub(view.live.len());
    let unproven = view.current.iter().filter_map(|task| view.awaited_at(task)).min();
    let waits = unproven.or_else(|| backoff::retry_at(view.snapshot, view, view.now));
    if room == 0 || waits.is_some() {
        return Balance { moves: false, look_again: waits.filter(|_| room > 0) };
    }
    let Some(wanted) = wanted(view, turn) else { return Balance::default() };
    let before = counts.clone();
    let (placements, full) = places(view, turn, &wanted.request, counts, movable, room.min(STARTS_PER_TURN_MAX));
    let moves = !placements.is_empty();
    if moves && !is_rebalancing(&turn.service) {
        turn.record(message::zones_are_uneven(&view.service.name, &before));
    }
    start(view, turn, &wanted, placements);
    full.into_iter().for_each(|cause| turn.record_obstacle(cause));
    Balance { moves, look_again: unprotected_at.filter(|_| !moves) }
}

/// Where tasks of the fullest zones would better be, with what keeps them from coming there.
fn places<'a>(
    view: &ServiceView<'a>,
    turn: &mut Turn<'a>,
    request: &Request,
    mut counts: Counts<'a>,
    mut movable: Counts<'a>,
    most: usize,
) -> (Vec<(&'a str, Placement)>, Vec<Cause>) {
    let service = view.service;
    let mut scheduler =
        Scheduler::new(turn.indexes, view.snapshot, &service.scope, &service.cluster, turn.ids.number());
    daemon::keep_room(&mut scheduler, view.snapshot, &service.scope, &service.cluster);
    let (mut placements, mut causes) = (Vec::new(), Vec::new());
    let mut closed: BTreeSet<&str> = BTreeSet::new();
    while placements.len() < most {
        let fullest = movable.iter().filter(|(_, free)| **free > 0).max_by_key(|(zone, _)| counts[*zone]);
        let Some(from) = fullest.map(|(zone, _)| *zone) else { break };
        let poorest = counts.iter().filter(|(zone, _)| !closed.contains(*zone)).min_by_key(|(_, count)| **count);
        let Some(to) = poorest.filter(|(_, count)| **count + 2 <= counts[from]).map(|(zone, _)| *zone) else { break };
        let Some(there) = within(request, to) else {
            closed.insert(to);
            continue;
        };
        if let Some(placement) = scheduler.place(&there) {
            *counts.get_mut(to).expect("it was counted") += 1;
            *counts.get_mut(from).expect("it was counted") -= 1;
            *movable.get_mut(from).expect("it was counted") -= 1;
            placements.push((to, placement));
            continue;
        }
        closed.insert(to);
        // A zone that no task of it could ever have is none of its own.
        let rejections = scheduler.explain(&there).rejections;
        let lacks_room = rejections.iter().any(|one| {
            let instance = view.instance(&one.instance.id);
            let is_there = instance.is_some_and(|instance| instance.attribute(ZONE) == Some(to));
            is_there
                && !matches!(
                    &one.why,
                    Shortage::NotActive { .. } | Shortage::AgentDisconnected | Shortage::DiskPressure
                )
                && !matches!(&one.why, Shortage::LaunchType | Shortage::Attribute { .. } | Shortage::MemberOf { .. })
        });
        causes.extend(lacks_room.then(|| message::zone_is_full(&service.name, to)));
    }
    (placements, causes)
}

fn start(view: &ServiceView<'_>, turn: &mut Turn<'_>, wanted: &Wanted<'_>, placements: Vec<(&str, Placement)>) {
    let mut by_zone: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (zone, placement) in &placements {
        by_zone.entry(zone).or_default().push(turn.start(wanted, placement));
    }
    for (zone, ids) in by_zone {
        turn.record(message::started_in_zone(&view.service.name, zone, &ids));
    }
}

/// The same, in that zone only. Nothing when nobody can ask for a zone of that name.
fn within(request: &Request, zone: &str) -> Option<Request> {
    let mut request = request.clone();
    request.member_of.push(format!("attribute:{ZONE} == {zone}").parse().ok()?);
    Some(request)
}

/// By how many tasks the fullest zone is ahead of the poorest.
fn span(counts: &Counts<'_>) -> usize {
    counts.values().max().zip(counts.values().min()).map_or(0, |(most, fewest)| most - fewest)
}

/// What leaves, by its zone.
pub(crate) fn by_zone<'a>(view: &ServiceView<'a>, tasks: &[&'a Task]) -> BTreeMap<&'a str, Vec<&'a Task>> {
    let mut by_zone: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        let zone = view.instance(&task.container_instance).and_then(|one| one.attribute(ZONE)).unwrap_or_default();
        by_zone.entry(zone).or_default().push(task);
    }
    by_zone
}
