//! The instances that will soon need the images of a deployment that has begun.
//!
//! A rolling deployment goes on in steps, and each would wait for a pull of its own. It need not: where the next tasks will be
//! is nearly known when the first one starts. An instance that was named in vain has an image too much, and one that was not
//! named pulls as ever, so nothing here has to be right.

use std::collections::BTreeSet;

use model::container_instance::IMAGE_PREPULL;
use model::{
    ContainerInstance, ContainerInstanceStatus, Daemon, DaemonStatus, DeploymentController, RolloutState,
    SchedulingStrategy, Scope, Service, ServiceStatus, Task, TaskSet, TaskSetStatus,
};
use scheduler::{Indexes, Request, Scheduler, Strategy};
use state::{Changes, Record, Snapshot};
use stdx::{Ids, Timestamp};

use crate::daemon::view::{DaemonView, Standing};
use crate::service::place::wanted;
use crate::service::view::ServiceView;
use crate::service::{blue_green, message};
use crate::turn::Turn;
use crate::{daemon, managed_daemon};

/// The most instances that begin to pull for one deployment: a registry is asked by all of them at once.
const INSTANCES_MAX: usize = 500;

/// Something new that will need its images on instances, in steps or later.
#[derive(Clone, Debug, PartialEq)]
pub struct Coming<'a> {
    /// What it is told once for, and how people know it: a deployment's, a task set's or a daemon deployment's id.
    pub id: String,
    pub scope: &'a Scope,
    pub cluster: &'a str,
    /// The family and revision of its task definition.
    pub definition: (&'a str, u32),
    /// The service revision that says which digests its images are pinned to, by the name of its record.
    pub revision: Option<String>,
    who: Who<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who<'a> {
    Deployment(&'a Service),
    TaskSet(&'a Service, &'a TaskSet),
    Daemon(&'a Daemon),
}

/// What of a service is coming, at nearly no cost.
pub fn of_service(service: &Service) -> Vec<Coming<'_>> {
    if service.status != ServiceStatus::Active {
        return Vec::new();
    }
    match service.deployment_controller {
        DeploymentController::Ecs => of_deployment(service).into_iter().collect(),
        DeploymentController::External => of_task_sets(service),
    }
}

/// A rolling deployment goes on step by step; the green tasks of another start at once, and often later than it: hooks come
/// before them.
fn of_deployment(service: &Service) -> Option<Coming<'_>> {
    let primary = service.primary().filter(|_| service.deployments.len() > 1)?;
    let is_new = primary.rollout_state == RolloutState::InProgress;
    is_new.then(|| Coming {
        id: primary.id.clone(),
        scope: &service.scope,
        cluster: &service.cluster,
        definition: (&primary.family, primary.revision),
        revision: Some(format!("{}/{}/{}/{}", service.scope, service.cluster, service.name, primary.service_revision)),
        who: Who::Deployment(service),
    })
}

/// Those beside a primary one: whoever made them scales them up when he likes.
fn of_task_sets(service: &Service) -> Vec<Coming<'_>> {
    let is = |status: TaskSetStatus| move |set: &&TaskSet| set.status == status;
    if !service.task_sets.iter().any(|set| is(TaskSetStatus::Primary)(&set)) {
        return Vec::new();
    }
    let active = service.task_sets.iter().filter(is(TaskSetStatus::Active));
    active.map(|set| of_task_set(service, set)).collect()
}

fn of_task_set<'a>(service: &'a Service, set: &'a TaskSet) -> Coming<'a> {
    Coming {
        id: set.id.clone(),
        scope: &service.scope,
        cluster: &service.cluster,
        definition: (&set.family, set.revision),
        revision: None,
        who: Who::TaskSet(service, set),
    }
}

/// What of a managed daemon is coming: its tasks are replaced a part of them at a time.
pub fn of_managed_daemon<'a>(snapshot: &'a Snapshot, daemon: &'a Daemon) -> Option<Coming<'a>> {
    let deployment = snapshot.daemon_deployments.get(&format!("{}/{}", daemon.name(), daemon.deployment))?;
    let is_on = daemon.status == DaemonStatus::Active && deployment.status.is_ongoing();
    let revision = snapshot.daemon_revisions.get(&format!("{}/{}", daemon.name(), daemon.revision))?;
    is_on.then(|| Coming {
        id: daemon.deployment.clone(),
        scope: &daemon.scope,
        cluster: &daemon.cluster,
        definition: (&revision.family, revision.revision),
        revision: None,
        who: Who::Daemon(daemon),
    })
}

/// Those that run its older tasks, and those where the scheduler would put what is missing; each instance that can have
/// one, of a daemon. By the names of their records.
///
/// Nothing when no older task is there: what begins there starts everywhere at once.
pub fn instances(
    snapshot: &Snapshot,
    indexes: &Indexes,
    coming: &Coming<'_>,
    now: Timestamp,
    ids: &mut Ids,
) -> Vec<String> {
    let named = match coming.who {
        Who::Deployment(service) => match service.scheduling_strategy {
            SchedulingStrategy::Replica => of_replicas(snapshot, indexes, service, now, ids),
            SchedulingStrategy::Daemon => of_daemon(snapshot, indexes, service, now, ids),
        },
        Who::TaskSet(service, set) => beside_primary(snapshot, indexes, (service, set), now, ids),
        Who::Daemon(daemon) => managed_daemon::about_to_change(snapshot, daemon, now),
    };
    let known = |id: &String| {
        let name = format!("{}/{}/{id}", coming.scope, coming.cluster);
        snapshot.container_instances.get(&name).filter(|instance| can_pull(instance)).map(|instance| instance.name())
    };
    named.iter().filter_map(known).take(INSTANCES_MAX).collect()
}

/// Its agent understands the request, is there to hear it, and has room for an image.
fn can_pull(instance: &ContainerInstance) -> bool {
    instance.status == ContainerInstanceStatus::Active
        && instance.agent_connected
        && instance.has_attribute(IMAGE_PREPULL)
        && !instance.has_disk_pressure()
}

/// An instance could not bring an image. It is said once of each image of a deployment, whoever it was: the instances of a
/// cluster fail alike, and a task that needs the image says what is wrong with it. Of managed daemons, which have no events,
/// nothing is said.
pub fn failed(
    snapshot: &Snapshot,
    instance: &ContainerInstance,
    (deployment, image, reason): (&str, &str, &str),
    now: Timestamp,
    event_id: &str,
) -> Changes {
    let mut changes = Changes::new();
    let of_cluster = snapshot.services.range(&format!("{}/{}/", instance.scope, instance.cluster));
    let is_its_own = |service: &&std::sync::Arc<Service>| {
        service.deployments.iter().any(|one| one.id == deployment)
            || service.task_sets.iter().any(|set| set.id == deployment)
    };
    let Some(service) = of_cluster.into_iter().find(is_its_own) else { return changes };
    let begins = message::not_pulled_in_advance(&service.name, deployment, image);
    if service.events.iter().any(|event| event.message.starts_with(&begins)) {
        return changes;
    }
    let mut service = Service::clone(service);
    let reason = reason.trim_end_matches('.');
    service.record(event_id.to_owned(), now, format!("{begins}on (container-instance {}): {reason}.", instance.id));
    changes.put(snapshot, &service);
    changes
}

fn of_replicas(
    snapshot: &Snapshot,
    indexes: &Indexes,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> BTreeSet<String> {
    let view = ServiceView::new(snapshot, service, now);
    let is_old = |task: &&&Task| !view.is_current(task) && !task.container_instance.is_empty();
    let old: BTreeSet<String> = view.live.iter().filter(is_old).map(|task| task.container_instance.clone()).collect();
    if old.is_empty() {
        return old;
    }
    // Green tasks come beside the blue ones: where those are says nothing.
    let mut named = if blue_green::is_on(service) { BTreeSet::new() } else { old };
    let missing = (service.desired_count as usize).saturating_sub(view.current.len());
    let turn = Turn::new(snapshot, indexes, service, now, ids);
    if let Some(wanted) = wanted(&view, &turn) {
        let seed = turn.ids.number();
        named.extend(places(snapshot, indexes, service, &wanted.request, missing, seed));
    }
    named
}

/// As if it were scaled up to the whole service, which is what it is made for.
fn beside_primary(
    snapshot: &Snapshot,
    indexes: &Indexes,
    (service, set): (&Service, &TaskSet),
    now: Timestamp,
    ids: &mut Ids,
) -> BTreeSet<String> {
    let live = || snapshot.tasks.by("service", &service.name()).filter(|task| task.is_live());
    let own = live().filter(|task| task.started_by == set.id).count();
    if own == live().count() {
        return BTreeSet::new();
    }
    let missing = (service.desired_count as usize).saturating_sub(own);
    let turn = Turn::new(snapshot, indexes, service, now, ids);
    let Some(mut wanted) = turn.wanted((&set.family, set.revision), set.launch_type, &set.id) else {
        return BTreeSet::new();
    };
    let strategies = service.placement_strategy.iter();
    wanted.request.strategies = strategies.filter_map(|one| Strategy::parse(one).ok()).collect();
    wanted.request.providers =
        scheduler::providers(snapshot, &service.scope, &set.capacity_provider_strategy, std::iter::empty());
    let seed = turn.ids.number();
    places(snapshot, indexes, service, &wanted.request, missing, seed)
}

/// Where the scheduler would put so many of them now.
fn places(
    snapshot: &Snapshot,
    indexes: &Indexes,
    service: &Service,
    request: &Request,
    count: usize,
    seed: u64,
) -> BTreeSet<String> {
    let mut scheduler = Scheduler::new(indexes, snapshot, &service.scope, &service.cluster, seed);
    daemon::keep_room(&mut scheduler, snapshot, &service.scope, &service.cluster);
    let placed = (0..count.min(INSTANCES_MAX)).map_while(|_| scheduler.place(request));
    placed.map(|placement| placement.instance.id).collect()
}

fn of_daemon(
    snapshot: &Snapshot,
    indexes: &Indexes,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> BTreeSet<String> {
    let turn = Turn::new(snapshot, indexes, service, now, ids);
    let Some(primary) = service.primary() else { return BTreeSet::new() };
    let definition = (primary.family.as_str(), primary.revision);
    let wanted = turn.wanted(definition, service.launch_type, &primary.id);
    let view = DaemonView::new(snapshot, service, wanted.as_ref().map(|wanted| &wanted.request), now);
    if view.places.iter().all(|place| place.old.is_empty() && place.stopping.is_empty()) {
        return BTreeSet::new();
    }
    let eligible = view.places.iter().filter(|place| place.standing == Standing::Eligible && place.current.is_empty());
    eligible.map(|place| place.instance.id.clone()).collect()
}
