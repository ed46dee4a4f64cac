//! What a task is, as far as its engine cares: names, order, limits of patience.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a container may take to end after its stop signal, when its definition does not say.
pub const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    pub containers: Vec<ContainerSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    pub name: String,
    pub essential: bool,
    /// `dependsOn`, and a [`Condition::Start`] for each link and each `volumesFrom`.
    pub depends_on: Vec<Dependency>,
    /// How long the conditions that others wait for may take to come true, counted from this container's start.
    pub start_timeout: Option<Duration>,
    pub stop_timeout: Duration,
    pub restart: Option<RestartPolicy>,
    pub health: Option<HealthCheck>,
    /// The same of its readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<HealthCheck>,
}

impl ContainerSpec {
    /// An essential container without any wishes.
    pub fn new(name: impl Into<String>) -> ContainerSpec {
        ContainerSpec {
            name: name.into(),
            essential: true,
            depends_on: Vec::new(),
            start_timeout: None,
            stop_timeout: STOP_TIMEOUT_DEFAULT,
            restart: None,
            health: None,
            readiness: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub container: String,
    pub condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    Start,
    /// It has ended, whatever its exit code.
    Complete,
    /// It has ended with exit code zero.
    Success,
    Healthy,
}

impl Condition {
    /// As the task definition spells it.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Start => "START",
            Condition::Complete => "COMPLETE",
            Condition::Success => "SUCCESS",
            Condition::Healthy => "HEALTHY",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    pub ignored_exit_codes: Vec<i32>,
    /// A container that ran for less is not restarted.
    pub attempt_period: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub interval: Duration,
    pub timeout: Duration,
    /// This many failures in a row make it unhealthy.
    pub retries: u32,
    /// Failures in this time after the start do not count.
    pub start_period: Duration,
}

/// Why a task cannot be run at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTask {
    #[error("the task has no containers")]
    NoContainers,
    #[error("two containers are named {0}")]
    DuplicateName(String),
    #[error("container {container} depends on {missing}, which is not in the task")]
    UnknownDependency { container: String, missing: String },
    #[error("the dependencies of container {0} lead back to it")]
    Cycle(String),
    #[error("container {container} waits for {dependency} to be healthy, and {dependency} has no health check")]
    NoHealthCheck { container: String, dependency: String },
}

impl TaskSpec {
    pub(crate) fn check(&self) -> Result<(), InvalidTask> {
        if self.containers.is_empty() {
            return Err(InvalidTask::NoContainers);
        }
        let mut by_name = BTreeMap::new();
        for container in &self.containers {
            if by_name.insert(container.name.as_str(), container).is_some() {
                return Err(InvalidTask::DuplicateName(container.name.clone()));
            }
        }
        for container in &self.containers {
            for dependency in &container.depends_on {
                let Some(found) = by_name.get(dependency.container.as_str()) else {
                    let missing = dependency.container.clone();
                    return Err(InvalidTask::UnknownDependency { container: container.name.clone(), missing });
                };
                if dependency.condition == Condition::Healthy && found.health.is_none() {
                    let dependency = dependency.container.clone();
                    return Err(InvalidTask::NoHealthCheck { container: container.name.clone(), dependency });
                }
            }
        }
        self.check_cycles()
    }

    /// Takes away, again and again, whatever depends on nothing that is left.
    fn check_cycles(&self) -> Result<(), InvalidTask> {
        let mut left: BTreeSet<&str> = self.containers.iter().map(|container| container.name.as_str()).collect();
        loop {
            let free = |container: &&ContainerSpec| {
                left.contains(container.name.as_str())
                    && !container.depends_on.iter().any(|dependency| left.contains(dependency.container.as_str()))
            };
            let taken: Vec<&str> =
                self.containers.iter().filter(free).map(|container| container.name.as_str()).collect();
            match (taken.is_empty(), left.first()) {
                (_, None) => return Ok(()),
                (true, Some(name)) => return Err(InvalidTask::Cycle((*name).to_owned())),
                (false, _) => left.retain(|name| !taken.contains(name)),
            }
        }
    }
}
