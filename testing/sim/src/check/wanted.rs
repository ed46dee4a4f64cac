//! What a service looks like that has what it wants.

use model::{
    ContainerInstance, ContainerInstanceStatus, Deployment, DeploymentController, RolloutState, Service,
    ServiceDeploymentStatus, ServiceStatus, StabilityStatus, Task, TaskDefinition, TaskSetStatus, TaskStatus,
};
use state::{Record, Snapshot};

use super::live;
use crate::node::short;

pub fn as_wanted(snapshot: &Snapshot, service: &Service) -> Result<(), String> {
    let name = &service.name;
    let tasks: Vec<&Task> = live(snapshot, service).collect();
    if service.status != ServiceStatus::Active {
        return match service.status == ServiceStatus::Inactive && tasks.is_empty() {
            true => Ok(()),
            false => Err(format!("{name} is {} with {} tasks", service.status.as_str(), tasks.len())),
        };
    }
    if service.deployment_controller == DeploymentController::External {
        return sets_as_wanted(service, &tasks);
    }
    let Some(primary) = service.primary() else { return Err(format!("{name} has no deployment")) };
    if service.is_daemon() && daemon_waits_for_room(snapshot, service, primary, &tasks)? {
        return Ok(());
    }
    let good = tasks.iter().filter(|task| primary.has(task) && task.last_status == TaskStatus::Running).count();
    let desired = service.desired_count as usize;
    let last = service.events.first().map(|event| event.message.clone()).unwrap_or_default();
    if (good, tasks.len()) != (desired, desired) {
        let live = tasks.len();
        return Err(format!(
            "{name} has {good} of {desired} tasks of its newest deployment, {live} in all; last event: {last}"
        ));
    }
    if service.deployments.len() != 1 || primary.rollout_state != RolloutState::Completed {
        return Err(format!("{name} has all its tasks, and its deployment is {}", primary.rollout_state.as_str()));
    }
    let record = snapshot.service_deployments.get(&format!("{}/{}", service.name(), primary.service_deployment));
    let ends = if primary.is_rollback() {
        ServiceDeploymentStatus::RollbackSuccessful
    } else {
        ServiceDeploymentStatus::Successful
    };
    if record.is_none_or(|record| record.status != ends) {
        return Err(format!("{name} is deployed, and the record of it says {:?}", record.map(|record| record.status)));
    }
    evenly_spread(snapshot, service)?;
    match last.ends_with("has reached a steady state.") {
        true => Ok(()),
        false => Err(format!("{name} is steady and does not say so; it says {last}")),
    }
}

/// Each task set has its tasks, and nobody else has any.
fn sets_as_wanted(service: &Service, tasks: &[&Task]) -> Result<(), String> {
    let name = &service.name;
    for set in &service.task_sets {
        let desired = set.computed_desired_count(service.desired_count) as usize;
        let of_it = || tasks.iter().filter(|task| task.started_by == set.id);
        let good = of_it().filter(|task| task.last_status == TaskStatus::Running).count();
        if set.status == TaskSetStatus::Draining || (good, of_it().count()) != (desired, desired) {
            let (status, live) = (set.status.as_str(), of_it().count());
            return Err(format!("{} of {name} is {status} and has {good} of {desired} tasks, {live} in all", set.id));
        }
        if set.stability != StabilityStatus::SteadyState {
            return Err(format!("{} of {name} has all its tasks and is not steady", set.id));
        }
    }
    match tasks.iter().find(|task| service.task_sets.iter().all(|set| set.id != task.started_by)) {
        Some(task) => Err(format!("{} of {name} is of no task set", short(&task.id))),
        None => Ok(()),
    }
}

/// True when a daemon has all that the instances have room for, and that is not all: one without room has none, or keeps what it
/// has of an older deployment, where the new one would not fit in its place either.
fn daemon_waits_for_room(
    snapshot: &Snapshot,
    service: &Service,
    primary: &Deployment,
    tasks: &[&Task],
) -> Result<bool, String> {
    let name = &service.name;
    let definition = format!("{}/{}/{:010}", service.scope, primary.family, primary.revision);
    let Some(definition) = snapshot.task_definitions.get(&definition) else { return Ok(false) };
    let instances = snapshot.container_instances.range(&format!("{}/{}/", service.scope, service.cluster));
    let mut waits = false;
    for instance in instances.filter(|instance| instance.status == ContainerInstanceStatus::Active) {
        let here: Vec<&&Task> = tasks.iter().filter(|task| task.container_instance == instance.id).collect();
        let id = short(&instance.id);
        match here[..] {
            [task] if primary.has(task) => {}
            [] if has_room(snapshot, instance, definition, None) => {
                return Err(format!("{name} has no task on instance {id}, which has room for one"));
            }
            [old] if has_room(snapshot, instance, definition, Some(old)) => {
                return Err(format!("{name} has an old task on instance {id}, where a new one would fit in its place"));
            }
            [] | [_] => waits = true,
            _ => return Err(format!("{name} has {} tasks on instance {id}", here.len())),
        }
    }
    Ok(waits)
}

/// Counted from the definition itself, and not as the scheduler does.
pub(super) fn has_room(
    snapshot: &Snapshot,
    instance: &std::sync::Arc<ContainerInstance>,
    definition: &TaskDefinition,
    without: Option<&Task>,
) -> bool {
    let (load, containers) = (snapshot.load(instance), &definition.containers);
    let held = without.map(|task| task.reserved.clone()).unwrap_or_default();
    let memory: u32 = containers.iter().filter_map(|one| one.memory).map(|memory| memory.0).sum();
    let cpu: u32 = containers.iter().map(|one| one.cpu.0).sum();
    let ports = containers.iter().flat_map(|one| &one.port_mappings).filter_map(|one| one.host_port);
    let is_free = |port: u16| {
        port == 0 || held.ports.iter().any(|one| one.port == port) || load.ports.keys().all(|taken| taken.port != port)
    };
    load.memory.0 - held.memory.0 + memory <= instance.registered.memory.0
        && load.cpu.0 - held.cpu.0 + cpu <= instance.registered.cpu.0
        && ports.into_iter().all(is_free)
}

/// The zones of a service that balances them have as many tasks as each other, or one more.
fn evenly_spread(snapshot: &Snapshot, service: &Service) -> Result<(), String> {
    let zones = reconcilers::service::zones_of_cluster(snapshot, &format!("{}/{}", service.scope, service.cluster));
    match reconcilers::service::is_uneven(snapshot, service, &zones) {
        true => Err(format!("{} balances its zones, and they are uneven", service.name)),
        false => Ok(()),
    }
}
