//! What holds of a commit, whoever makes it.

use model::capacity_provider::GROUP_ATTRIBUTE;
use model::cluster::CapacityProviderStrategyItem;
use model::{
    ContainerInstance, ContainerInstanceStatus, DeploymentController, HealthStatus, RolloutState, Service,
    ServiceStatus, Task, TaskSet, TaskSetStatus, TaskStatus,
};
use state::{Record, Snapshot};
use stdx::Timestamp;

use super::{Checker, live};
use crate::kind::Kind;
use crate::node::short;

pub fn forward(was: Option<&Task>, is: Option<&Task>) -> Result<(), String> {
    match (was, is) {
        (Some(was), None) if was.is_live() => Err(format!("the record of {} is gone while it lives", short(&was.id))),
        (Some(was), Some(is)) => {
            let id = short(&is.id);
            if is.last_status < was.last_status {
                return Err(format!("{id} goes from {} to {}", was.last_status.as_str(), is.last_status.as_str()));
            }
            if is.desired_status < was.desired_status {
                return Err(format!("{id} was asked to stop and shall run again"));
            }
            if !was.is_live() && was != is {
                return Err(format!("{id} has stopped, and its record changes"));
            }
            let has_moved = is.container_instance != was.container_instance && !was.is_waiting();
            if has_moved || is.reserved != was.reserved {
                return Err(format!("{id} has moved"));
            }
            let back = was.containers.iter().zip(&is.containers).find(|(was, is)| is.last_status < was.last_status);
            back.map_or(Ok(()), |(container, _)| Err(format!("container {} of {id} goes back", container.name)))
        }
        (None, Some(is)) if !is.is_live() => Err(format!("{} begins as stopped", short(&is.id))),
        _ => Ok(()),
    }
}

pub fn reason(task: &Task) -> Result<(), String> {
    let says = task.stop_code.is_some() && !task.stopped_reason.is_empty();
    match task.desired_status == TaskStatus::Stopped && !says {
        true => Err(format!("{} is to stop, and nobody says why", short(&task.id))),
        false => Ok(()),
    }
}

/// True for a deployment that was to stop, or whose tasks cannot even start and are enough for its circuit breaker.
pub fn should_have_ended(snapshot: &Snapshot, service: &Service) -> bool {
    let Some(primary) = service.primary().filter(|one| one.rollout_state == RolloutState::InProgress) else {
        return false;
    };
    let breaks = service.deployment_configuration.circuit_breaker.is_some_and(|breaker| breaker.enable);
    let hopeless = [Kind::Broken, Kind::Unready, Kind::Sickly];
    let is_hopeless = hopeless.iter().any(|kind| primary.family == kind.family()) && !primary.is_rollback();
    let enough = || {
        let threshold = service.deployment_configuration.failures_max(service.desired_count) as usize;
        reconcilers::service::failed_tasks(snapshot, service, primary) >= threshold
    };
    primary.stop_requested.is_some() || breaks && is_hopeless && enough()
}

/// The scheduler lets alone what is protected and works, unless its service or its task set is deleted.
pub fn spared(before: &Snapshot, was: Option<&Task>, is: &Task, now: Timestamp) -> Result<(), String> {
    let Some(was) = was.filter(|was| was.desired_status == TaskStatus::Running) else { return Ok(()) };
    let stays = was.last_status == TaskStatus::Running
        && was.health != HealthStatus::Unhealthy
        && was.protection(now).is_some();
    let name = was.service().map(|name| format!("{}/{}/{name}", was.scope, was.cluster)).unwrap_or_default();
    let service = before.services.get(&name).filter(|service| service.status == ServiceStatus::Active);
    let goes = service.is_none_or(|service| {
        service.task_sets.iter().any(|set| set.id == was.started_by && set.status == TaskSetStatus::Draining)
    });
    // What was never ready works for nobody.
    let given_up = was.awaits_readiness() && is.stopped_reason.starts_with("Task was not ready");
    match stays && !goes && !given_up && is.desired_status == TaskStatus::Stopped {
        true => Err(format!("{} is protected, and its scheduler stops it: {}", short(&is.id), is.stopped_reason)),
        false => Ok(()),
    }
}

/// A task of a service with capacity providers is on an instance of the one that it names.
pub fn offered(after: &Snapshot, was: Option<&Task>, task: &Task) -> Result<(), String> {
    if was.is_some_and(|was| !was.is_waiting() || task.is_waiting()) || !task.is_live() {
        return Ok(());
    }
    let name = task.service().map(|name| format!("{}/{}/{name}", task.scope, task.cluster)).unwrap_or_default();
    let Some(service) = after.services.get(&name) else { return Ok(()) };
    let strategy = &service.capacity_provider_strategy;
    let place = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
    let group = after.container_instances.get(&place).and_then(|one| one.attribute(GROUP_ATTRIBUTE));
    let is_named = strategy.iter().any(|item| Some(&item.capacity_provider) == task.capacity_provider.as_ref());
    match strategy.is_empty() || is_named && (task.is_waiting() || group == task.capacity_provider.as_deref()) {
        true => Ok(()),
        false => Err(format!(
            "{} of {} is of the provider {:?}, on an instance of {group:?}",
            short(&task.id),
            service.name,
            task.capacity_provider
        )),
    }
}

/// What one turn starts is shared out among the capacity providers by their bases and weights: whoever is short of its base comes
/// first, and beyond the bases nobody is further ahead, by its weight, than one task more of another would be.
pub fn shares(view: &Snapshot, planned: &Snapshot, service: &Service) -> Result<(), String> {
    let strategy = &service.capacity_provider_strategy;
    // Who evens out the zones looks at nothing else.
    let known = service.events.first().map(|event| &event.id);
    let said = planned.services.get(&service.name()).map(|planned| planned.events.iter()).into_iter().flatten();
    let evens_out =
        said.take_while(|event| Some(&event.id) != known).any(|event| event.message.contains("AZ Rebalance"));
    let is_external = service.deployment_controller == DeploymentController::External;
    let applies = strategy.len() > 1 && !evens_out && !is_external;
    let Some(primary) = service.primary().filter(|_| applies) else { return Ok(()) };
    let counted = |task: &&Task| {
        let place = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
        let instance = view.container_instances.get(&place);
        let stays = task.is_waiting() || instance.is_some_and(|one| one.status == ContainerInstanceStatus::Active);
        let is_sick = task.last_status == TaskStatus::Running && task.health == HealthStatus::Unhealthy;
        primary.has(task) && task.desired_status == TaskStatus::Running && stays && !is_sick
    };
    // What was never ready in its time counts for nobody, and the turn knows better when that is.
    if live(view, service).any(Task::awaits_readiness) {
        return Ok(());
    }
    let of = |item: &CapacityProviderStrategyItem, task: &Task| {
        task.capacity_provider.as_ref() == Some(&item.capacity_provider)
    };
    let had = |item| live(view, service).filter(counted).filter(|task| of(item, task)).count() as u64;
    let is_new = |task: &&Task| view.tasks.get(&task.name()).is_none();
    let new = |item| live(planned, service).filter(is_new).filter(|task| of(item, task)).count() as u64;
    let numbers: Vec<(u64, u64, u64, u64)> =
        strategy.iter().map(|item| (had(item), new(item), item.base.into(), item.weight.into())).collect();
    let told = || format!("{} had, starts, base and weight: {numbers:?}", service.name);
    for (at, (had, new, base, weight)) in numbers.iter().enumerate().filter(|(_, (_, new, ..))| *new > 0) {
        for (other, (had_too, new_too, base_too, weight_too)) in numbers.iter().enumerate() {
            if other == at {
                continue;
            }
            let beyond = had + new > *base;
            if beyond && had_too + new_too < *base_too {
                return Err(format!("somebody is short of its base: {}", told()));
            }
            let (mine, theirs) = ((had + new).saturating_sub(*base), (had_too + new_too).saturating_sub(*base_too));
            if beyond && *weight_too > 0 && mine * weight_too > (theirs + 1) * weight {
                return Err(format!("somebody is ahead of its share: {}", told()));
            }
        }
    }
    Ok(())
}

/// A deployment that was under way and has succeeded has as many working tasks as its owner wants of one that has.
pub fn succeeded(planned: &Snapshot, was: &Service) -> Result<(), String> {
    let Some(service) = planned.services.get(&was.name()) else { return Ok(()) };
    let primary = service.primary().filter(|one| one.rollout_state == RolloutState::Completed);
    let went_on = was.primary().filter(|one| one.rollout_state == RolloutState::InProgress);
    let has_ended = primary.zip(went_on).filter(|(is, was)| is.id == was.id);
    let Some((primary, _)) = has_ended.filter(|_| !service.is_daemon()) else { return Ok(()) };
    let works = |task: &&Task| {
        primary.has(task)
            && task.desired_status == TaskStatus::Running
            && task.last_status == TaskStatus::Running
            && task.health != HealthStatus::Unhealthy
            && task.is_ready()
    };
    let early = was.deployment_configuration.early_success.filter(|early| early.enable);
    let needed = early.map_or(was.desired_count, |early| early.tasks(was.desired_count));
    let has = live(planned, service).filter(works).count();
    match has < needed as usize {
        true => Err(format!("the deployment of {} has succeeded with {has} working tasks, not {needed}", service.name)),
        false => Ok(()),
    }
}

/// Whoever starts a daemon's task starts it where none of the same deployment is, and none at all where the old one goes first.
pub fn one_each(before: &Snapshot, after: &Snapshot, service: &Service) -> Result<(), String> {
    if !service.is_daemon() {
        return Ok(());
    }
    let beside = service.deployment_configuration.maximum_percent > 100;
    for new in live(after, service).filter(|task| before.tasks.get(&task.name()).is_none()) {
        let mut others =
            live(after, service).filter(|task| task.id != new.id && task.container_instance == new.container_instance);
        let other = others
            .find(|task| !beside || task.started_by == new.started_by && task.desired_status == TaskStatus::Running);
        if let Some(other) = other {
            let (one, two) = (short(&new.id), short(&other.id));
            return Err(format!("{} starts {one} on an instance that has {two}", service.name));
        }
    }
    Ok(())
}

/// Whoever starts a task leaves no more of them than the maximum. What is stopping still counts.
pub fn maximum(before: &Snapshot, after: &Snapshot, service: &Service) -> Result<(), String> {
    let bounds = &service.deployment_configuration;
    if has_colours(before, service) {
        return Ok(());
    }
    for part in parts(service) {
        let counts = |snapshot| live(snapshot, service).filter(|task| part.has(task)).count();
        let (had, has) = (counts(before), counts(after));
        let maximum = bounds.tasks_max(part.desired).max(if part.is_bound { 0 } else { part.desired }) as usize;
        if has > had && has > maximum {
            return Err(format!("{} has {has} tasks after {had}, and {maximum} is the maximum", service.name));
        }
    }
    Ok(())
}

/// The scheduler's own stops leave as many working tasks as the minimum, unless there were fewer before.
pub fn minimum(before: &Snapshot, after: &Snapshot, service: &Service) -> Result<(), String> {
    let works = |task: &&Task| {
        task.desired_status == TaskStatus::Running
            && task.last_status == TaskStatus::Running
            && task.health != HealthStatus::Unhealthy
            && task.is_ready()
    };
    if has_colours(before, service) {
        return one_colour_is_whole(before, after, service, works);
    }
    for part in parts(service) {
        let working = |snapshot| live(snapshot, service).filter(|task| part.has(task)).filter(works).count();
        let minimum = service.deployment_configuration.tasks_min(part.desired).min(part.desired) as usize;
        let (had, has) = (working(before), working(after));
        if has < had && has < minimum {
            return Err(format!("{} has {has} working tasks after {had}, and {minimum} is the minimum", service.name));
        }
    }
    Ok(())
}

/// What the bounds of a service are about: all its tasks, or those of a task set.
struct Part<'a> {
    set: Option<&'a str>,
    desired: u32,
    /// The maximum may be less than what is desired.
    is_bound: bool,
}

impl Part<'_> {
    fn has(&self, task: &Task) -> bool {
        self.set.is_none_or(|set| task.started_by == set)
    }
}

/// A daemon's tasks are counted by their instances.
fn parts(service: &Service) -> Vec<Part<'_>> {
    let is_active = service.status == ServiceStatus::Active;
    if service.is_daemon() {
        return Vec::new();
    }
    if service.deployment_controller == DeploymentController::External {
        let part = |set: &TaskSet| {
            let is_wanted = is_active && set.status != TaskSetStatus::Draining;
            let desired = if is_wanted { set.computed_desired_count(service.desired_count) } else { 0 };
            (set.id.clone(), desired)
        };
        let sets = service.task_sets.iter();
        return sets.map(|set| Part { set: Some(&set.id), desired: part(set).1, is_bound: false }).collect();
    }
    vec![Part { set: None, desired: if is_active { service.desired_count } else { 0 }, is_bound: true }]
}

pub fn resources(snapshot: &Snapshot, instance: &ContainerInstance) -> Result<(), (Checker, String)> {
    let load = snapshot.load(instance);
    let id = short(&instance.id);
    if load.cpu > instance.registered.cpu {
        let what = format!("tasks hold {} CPU units of instance {id}, which has {}", load.cpu, instance.registered.cpu);
        return Err((Checker::Overcommitted, what));
    }
    if load.memory > instance.registered.memory {
        let what = format!("tasks hold {} MiB of instance {id}, which has {}", load.memory, instance.registered.memory);
        return Err((Checker::Overcommitted, what));
    }
    match load.ports.iter().find(|(_, tasks)| **tasks > 1) {
        Some((port, tasks)) => {
            Err((Checker::PortTwice, format!("{tasks} tasks hold port {} of instance {id}", port.port)))
        }
        None => Ok(()),
    }
}

/// Its newest deployment grows up beside the one that serves, or has until now.
pub fn has_colours(before: &Snapshot, service: &Service) -> bool {
    let was = before.services.get(&service.name());
    let stage = |service: &Service| service.primary().and_then(|primary| primary.stage()).is_some();
    stage(service) || was.is_some_and(|was| stage(was))
}

/// Of two colours one always has its tasks, if one had them before, and the scheduler does not scale in.
pub fn one_colour_is_whole(
    before: &Snapshot,
    after: &Snapshot,
    service: &Service,
    works: impl Fn(&&Task) -> bool,
) -> Result<(), String> {
    let Some(was) = before.services.get(&service.name()).filter(|_| service.status == ServiceStatus::Active) else {
        return Ok(());
    };
    let deployments = || was.deployments.iter().chain(&service.deployments);
    let most = |snapshot| {
        let count =
            |one: &model::Deployment| live(snapshot, service).filter(|task| one.has(task)).filter(&works).count();
        deployments().map(count).max().unwrap_or(0)
    };
    let (desired, had, has) = (service.desired_count as usize, most(before), most(after));
    match had >= desired && has < desired {
        true => {
            Err(format!("no colour of {} has its {desired} tasks: the fullest had {had} and has {has}", service.name))
        }
        false => Ok(()),
    }
}

/// It has fewer tasks of its newest deployment than desired, and none is on its way in or out.
pub fn lacks(snapshot: &Snapshot, service: &Service) -> bool {
    let Some(primary) = service.primary().filter(|_| service.status == ServiceStatus::Active) else { return false };
    // A daemon lacks what an instance has no room for, and what has failed waits for its owner.
    if service.is_daemon() || primary.rollout_state == RolloutState::Failed {
        return false;
    }
    let mut of_primary = 0;
    for task in live(snapshot, service) {
        // Who is not ready says so in the reason of its container, and is waited for.
        let moves =
            task.desired_status == TaskStatus::Stopped || task.last_status < TaskStatus::Running || !task.is_ready();
        if moves {
            return false;
        }
        of_primary += usize::from(primary.has(task));
    }
    of_primary < service.desired_count as usize
}
