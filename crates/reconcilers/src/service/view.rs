//! A service with its tasks, sorted by what they are to its newest deployment.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    ContainerInstance, ContainerInstanceStatus, Deployment, HealthStatus, RolloutState, Service, Task, TaskStatus,
};
use state::{Record, Snapshot};
use stdx::Timestamp;

use crate::proof::proven_without_check;
use crate::readiness::Patience;

/// A task without a health check that ran this long has proved itself: it may replace another, and its end is no failure
/// to start.
///
/// AWS waits 40 seconds (Amazon ECS API Reference, `DeploymentConfiguration.minimumHealthyPercent`), for machines where a
/// start takes that long. Ours takes milliseconds; what is broken ends within the first seconds.
pub(crate) const PROVEN_AFTER: Duration = Duration::from_secs(10);

pub(crate) struct ServiceView<'a> {
    pub snapshot: &'a Snapshot,
    pub service: &'a Service,
    pub primary: Option<&'a Deployment>,
    /// All that have not stopped and can still be reached, those that are asked to stop included.
    pub live: Vec<&'a Task>,
    /// Of the newest deployment, meant to run, on an instance that stays.
    pub current: Vec<&'a Task>,
    /// Like `current`, but its health check fails: each needs a successor.
    pub sick: Vec<&'a Task>,
    /// Meant to run, but never ready, for longer than anybody waits: of no use, and followed by others. None of a deployment
    /// that has failed: what it has is left as it is.
    pub late: Vec<&'a Task>,
    /// When the first of the others will be late, if it goes on as it is.
    pub late_at: Option<Timestamp>,
    /// Meant to run, but of an older deployment, or on an instance that drains: each needs a successor.
    pub outgoing: Vec<&'a Task>,
    /// How many were asked to stop and have not stopped yet.
    pub stopping: usize,
    pub now: Timestamp,
    /// The definitions whose essential containers have a health check.
    checked: BTreeMap<(&'a str, u32), bool>,
}

/// What becomes of the tasks of an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Stays,
    Drains,
    /// Nobody will ever report about its tasks again; the janitor writes down their end.
    Gone,
}

impl<'a> ServiceView<'a> {
    pub fn new(snapshot: &'a Snapshot, service: &'a Service, now: Timestamp) -> Self {
        let primary = service.primary();
        let mut view = ServiceView {
            snapshot,
            service,
            primary,
            live: Vec::new(),
            current: Vec::new(),
            sick: Vec::new(),
            late: Vec::new(),
            late_at: None,
            outgoing: Vec::new(),
            stopping: 0,
            now,
            checked: BTreeMap::new(),
        };
        let mut standings = BTreeMap::new();
        let patience = Patience::of_service(snapshot, service, now);
        let gives_up = !view.has_failed();
        for task in snapshot.tasks.by("service", &service.name()) {
            let standing = *standings.entry(&task.container_instance).or_insert_with(|| standing(snapshot, task));
            if standing == Standing::Gone {
                continue;
            }
            let definition = (task.family.as_str(), task.revision);
            view.checked.entry(definition).or_insert_with(|| has_health_check(snapshot, task));
            view.live.push(task);
            let of_primary = view.is_current(task);
            if gives_up && task.desired_status == TaskStatus::Running {
                let ends = patience.ends(task).filter(|at| *at > now);
                view.late_at = view.late_at.into_iter().chain(ends).min();
            }
            if task.desired_status == TaskStatus::Stopped {
                view.stopping += 1;
            } else if gives_up && patience.is_over(task) {
                view.late.push(task);
            } else if !of_primary || standing == Standing::Drains {
                view.outgoing.push(task);
            } else if is_sick(task) && view.grace_until(task).is_none() {
                view.sick.push(task);
            } else {
                view.current.push(task);
            }
        }
        view
    }

    /// Without the tasks of other deployments.
    pub fn alone(mut self) -> Self {
        let own = |task: &&'a Task| self.primary.is_some_and(|primary| primary.has(task));
        self.live.retain(own);
        self.outgoing.retain(own);
        self.late.retain(own);
        self.stopping = self.live.iter().filter(|task| task.desired_status == TaskStatus::Stopped).count();
        self
    }

    /// Every task does its work, none is on its way in or out, and nothing of an older deployment is left.
    pub fn is_steady(&self) -> bool {
        self.current.len() == self.service.desired_count as usize
            && self.live.len() == self.current.len()
            && self.current.iter().all(|task| {
                works(task) && task.is_ready() && (task.health == HealthStatus::Healthy || !self.is_checked(task))
            })
    }

    /// True when the newest deployment goes no further.
    pub fn has_failed(&self) -> bool {
        self.primary.is_some_and(|primary| primary.rollout_state == RolloutState::Failed)
    }

    /// True when neither scale-in nor a deployment ends it. What does not work is protected from nothing.
    pub fn is_protected(&self, task: &Task) -> bool {
        works(task) && task.protection(self.now).is_some()
    }

    /// Until when a failing health check says nothing about the task yet.
    ///
    /// Source: Amazon ECS API Reference, `Service.healthCheckGracePeriodSeconds`: from the task's start.
    fn grace_until(&self, task: &Task) -> Option<Timestamp> {
        let grace = Duration::from_secs(self.service.health_check_grace_period_seconds?.into());
        Some(task.started_at? + grace).filter(|until| *until > self.now)
    }

    /// When the first failing health check of a task in its grace period will count.
    pub fn grace_ends(&self) -> Option<Timestamp> {
        self.current.iter().filter(|task| is_sick(task)).filter_map(|task| self.grace_until(task)).min()
    }

    pub fn has_breaker(&self) -> bool {
        self.service.deployment_configuration.circuit_breaker.is_some_and(|breaker| breaker.enable)
    }

    /// True for a task of the newest deployment, or one that it has taken over.
    pub fn is_current(&self, task: &Task) -> bool {
        self.primary.is_some_and(|primary| primary.has(task))
    }

    pub fn instance(&self, id: &str) -> Option<&'a ContainerInstance> {
        let name = format!("{}/{}/{id}", self.service.scope, self.service.cluster);
        self.snapshot.container_instances.get(&name).map(|instance| &**instance)
    }

    /// True when the task counts towards the minimum: its health check says so, or it has run for a while without one.
    pub fn counts(&self, task: &Task) -> bool {
        if self.is_checked(task) {
            return works(task) && task.is_ready() && task.health == HealthStatus::Healthy;
        }
        works(task) && self.proven_at(task).is_some_and(|at| at <= self.now)
    }

    /// When a task that does not count yet will, if it goes on as it is. What waits for a report is not waited for here.
    pub fn awaited_at(&self, task: &Task) -> Option<Timestamp> {
        if self.counts(task) { None } else { self.proven_at(task) }
    }

    /// When a task without a health check will have proved itself, if it keeps running.
    pub fn proven_at(&self, task: &Task) -> Option<Timestamp> {
        if self.is_checked(task) { None } else { proven_without_check(task) }
    }

    fn is_checked(&self, task: &Task) -> bool {
        self.checked.get(&(task.family.as_str(), task.revision)).copied().unwrap_or_default()
    }
}

/// Running, and not found sick.
pub(crate) fn works(task: &Task) -> bool {
    task.last_status == TaskStatus::Running && task.health != HealthStatus::Unhealthy
}

/// Works, and wants work.
pub(crate) fn serves(task: &Task) -> bool {
    works(task) && task.is_ready()
}

fn is_sick(task: &Task) -> bool {
    task.last_status == TaskStatus::Running && task.health == HealthStatus::Unhealthy
}

fn standing(snapshot: &Snapshot, task: &Task) -> Standing {
    if task.container_instance.is_empty() {
        return Standing::Stays;
    }
    let name = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
    match snapshot.container_instances.get(&name).map(|instance| instance.status) {
        Some(ContainerInstanceStatus::Active) => Standing::Stays,
        Some(ContainerInstanceStatus::Inactive) | None => Standing::Gone,
        Some(_) => Standing::Drains,
    }
}

fn has_health_check(snapshot: &Snapshot, task: &Task) -> bool {
    let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
    let definition = snapshot.task_definitions.get(&name);
    definition.is_some_and(|definition| definition.containers.iter().any(|one| one.essential && one.has_health_check()))
}
