//! The instances that will soon need the images of a deployment that has begun.
//!
//! A rolling deployment goes on in steps, and each would wait for a pull of its own. It need not: where the next tasks will be
//! is nearly known when the first one starts. An instance that was named in vain has an image too much, and one that was not
//! named pulls as ever, so nothing here has to be right.

use std::collections::BTreeSet;

use model::container_instance::IMAGE_PREPULL;
use model::{
    ContainerInstance, ContainerInstanceStatus, DeploymentController, RolloutState, SchedulingStrategy, Service,
    ServiceStatus, Task,
};
use scheduler::{Indexes, Scheduler};
use state::{Record, Snapshot};
use stdx::{Ids, Timestamp};

use crate::daemon;
use crate::daemon::view::{DaemonView, Standing};
use crate::service::blue_green;
use crate::service::place::wanted;
use crate::service::view::ServiceView;
use crate::turn::Turn;

/// The most instances that begin to pull for one deployment: a registry is asked by all of them at once.
const INSTANCES_MAX: usize = 500;

/// True for a service that brings something new, step by step: all that [`instances`] needs, at nearly no cost.
pub fn may_be_of_use(service: &Service) -> bool {
    let is_new = |state| state == RolloutState::InProgress;
    service.status == ServiceStatus::Active
        && service.deployment_controller == DeploymentController::Ecs
        && service.deployments.len() > 1
        && service.primary().is_some_and(|primary| is_new(primary.rollout_state))
        // Its new tasks start all at once, beside the old ones.
        && !blue_green::is_on(service)
}

/// Those that run its older tasks, and those where the scheduler would put what is missing; each instance that can have
/// one, of a daemon. By the names of their records.
///
/// Nothing when no older task is there: what a service starts with starts everywhere at once.
pub fn instances(
    snapshot: &Snapshot,
    indexes: &Indexes,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> Vec<String> {
    if !may_be_of_use(service) {
        return Vec::new();
    }
    let named = match service.scheduling_strategy {
        SchedulingStrategy::Replica => of_replicas(snapshot, indexes, service, now, ids),
        SchedulingStrategy::Daemon => of_daemon(snapshot, indexes, service, now, ids),
    };
    let known = |id: &String| {
        let name = format!("{}/{}/{id}", service.scope, service.cluster);
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

fn of_replicas(
    snapshot: &Snapshot,
    indexes: &Indexes,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> BTreeSet<String> {
    let view = ServiceView::new(snapshot, service, now);
    let is_old = |task: &&&Task| !view.is_current(task) && !task.container_instance.is_empty();
    let mut named: BTreeSet<String> =
        view.live.iter().filter(is_old).map(|task| task.container_instance.clone()).collect();
    if named.is_empty() {
        return named;
    }
    let missing = (service.desired_count as usize).saturating_sub(view.current.len()).min(INSTANCES_MAX);
    let turn = Turn::new(snapshot, indexes, service, now, ids);
    if let Some(wanted) = wanted(&view, &turn) {
        let seed = turn.ids.number();
        let mut scheduler = Scheduler::new(indexes, snapshot, &service.scope, &service.cluster, seed);
        daemon::keep_room(&mut scheduler, snapshot, &service.scope, &service.cluster);
        let placed = (0..missing).map_while(|_| scheduler.place(&wanted.request));
        named.extend(placed.map(|placement| placement.instance.id));
    }
    named
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
