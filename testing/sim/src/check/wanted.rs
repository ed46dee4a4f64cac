//! What a service looks like that has what it wants.

use model::{
    ContainerInstance, ContainerInstanceStatus, DeploymentController, RolloutState, Service, ServiceDeploymentStatus,
    ServiceStatus, StabilityStatus, Task, TaskSetStatus, TaskStatus,
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
    let good = tasks.iter().filter(|task| primary.has(task) && task.last_status == TaskStatus::Running).count();
    let desired = if service.is_daemon() { places(snapshot, service) } else { service.desired_count as usize };
    let last = service.events.first().map(|event| event.message.clone()).unwrap_or_default();
    if (good, tasks.len()) != (desired, desired) {
        let live = tasks.len();
        return Err(format!(
            "{name} has {good} of {desired} tasks of its newest deployment, {live} in all; last event: {last}"
        ));
    }
    // An instance without room for a daemon has none, and its deployment waits for it.
    if service.is_daemon() && (service.desired_count as usize) > desired {
        return Ok(());
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

/// How many instances have a task of the daemon, or room for one.
fn places(snapshot: &Snapshot, service: &Service) -> usize {
    let prefix = format!("{}/{}/", service.scope, service.cluster);
    let instances = snapshot.container_instances.range(&prefix);
    let has_place = |instance: &&std::sync::Arc<ContainerInstance>| {
        let load = snapshot.load(instance);
        let fits = load.memory.0 + crate::kind::MIB as u32 <= instance.registered.memory.0
            && load.cpu.0 + crate::kind::CPU as u32 <= instance.registered.cpu.0;
        let has = live(snapshot, service).any(|task| task.container_instance == instance.id);
        instance.status == ContainerInstanceStatus::Active && (fits || has)
    };
    instances.filter(has_place).count()
}

/// The zones of a service that balances them have as many tasks as each other, or one more.
fn evenly_spread(snapshot: &Snapshot, service: &Service) -> Result<(), String> {
    let zones = reconcilers::service::zones_of_cluster(snapshot, &format!("{}/{}", service.scope, service.cluster));
    match reconcilers::service::is_uneven(snapshot, service, &zones) {
        true => Err(format!("{} balances its zones, and they are uneven", service.name)),
        false => Ok(()),
    }
}
