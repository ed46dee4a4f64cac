//! What is known of a service while it is watched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api_ecs::{Deployment, Service, ServiceDeployment, ServiceDeploymentBrief, Task, TaskDefinition};
use model::Probes;
use model::probe::{HEALTH, READY_WITHIN, ready_within};
use shape::Timestamp;

use super::stages;
use crate::person::cluster::{Cluster, Which};
use crate::person::words::{is_not_ready, last};

/// Where a task is, as far as a deployment cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Runs, and its health check agrees, or there is none.
    Working,
    /// Runs, and its health check has not said anything yet, or it is not ready.
    Unproven,
    Starting,
    Sick,
    Stopping,
}

pub struct View {
    pub service: Service,
    /// Those that have not stopped, and those that stopped while they were watched.
    pub tasks: Vec<Task>,
    /// The definitions whose essential containers have a health check.
    pub checked: BTreeSet<String>,
    /// How long the readiness probes of each definition give it to begin.
    pub begins: BTreeMap<String, Duration>,
    /// The newest of its service deployments.
    pub newest: Option<ServiceDeploymentBrief>,
    /// The same at length, where it has stages.
    pub detail: Option<ServiceDeployment>,
    /// When its bake began.
    pub baking_since: Option<Timestamp>,
}

impl View {
    pub fn deployments(&self) -> &[Deployment] {
        self.service.deployments.as_deref().unwrap_or_default()
    }

    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments().iter().find(|deployment| deployment.status.as_deref() == Some("PRIMARY"))
    }

    pub fn desired(&self) -> u32 {
        positive(self.service.desired_count)
    }

    /// The fewest that must work and the most that may live while it is deployed, and their percentages.
    ///
    /// Source: Amazon ECS API Reference, `DeploymentConfiguration`: rounded up, and rounded down.
    pub fn bounds(&self) -> Option<Bounds> {
        let configuration = self.service.deployment_configuration.as_ref()?;
        let (least, most) = (configuration.minimum_healthy_percent?, configuration.maximum_percent?);
        let of = |percent: i32| u64::from(self.desired()) * u64::from(percent.unsigned_abs());
        Some(Bounds {
            least: of(least).div_ceil(100) as u32,
            least_percent: least,
            most: (of(most) / 100) as u32,
            most_percent: most,
        })
    }

    /// The live tasks of a deployment.
    pub fn tasks_of<'a>(&'a self, deployment: &'a Deployment) -> impl Iterator<Item = &'a Task> {
        self.live().filter(|task| self.deployment_of(task).is_some_and(|of| of.id == deployment.id))
    }

    /// The one that started it; or, after a way back, the one that goes on with its definition.
    fn deployment_of(&self, task: &Task) -> Option<&Deployment> {
        let mut deployments = self.deployments().iter();
        let started = deployments.clone().find(|deployment| deployment.id == task.started_by);
        started.or_else(|| deployments.find(|deployment| deployment.task_definition == task.task_definition_arn))
    }

    pub fn live(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.last_status.as_deref() != Some("STOPPED"))
    }

    pub fn stage(&self, task: &Task) -> Stage {
        let status = task.last_status.as_deref().unwrap_or_default();
        if task.desired_status.as_deref() == Some("STOPPED") {
            return Stage::Stopping;
        }
        match (status, task.health_status.as_deref()) {
            ("RUNNING", Some("UNHEALTHY")) => Stage::Sick,
            ("RUNNING", _) if is_not_ready(task) => Stage::Unproven,
            ("RUNNING", Some("HEALTHY")) => Stage::Working,
            ("RUNNING", _) if self.is_checked(task) => Stage::Unproven,
            ("RUNNING", _) => Stage::Working,
            ("PROVISIONING" | "PENDING" | "ACTIVATING", _) => Stage::Starting,
            _ => Stage::Stopping,
        }
    }

    pub fn is_checked(&self, task: &Task) -> bool {
        self.checked.contains(last(task.task_definition_arn.as_deref().unwrap_or_default()))
    }

    /// How long such a task may run before it is ready for the first time; nothing when it is waited for without end.
    pub fn ready_within(&self, task: &Task) -> Option<Duration> {
        let tags = self.service.tags.iter().flatten();
        let tag = tags.filter(|tag| tag.key.as_deref() == Some(READY_WITHIN)).find_map(|tag| tag.value.as_deref());
        let begins = self.begins.get(last(task.task_definition_arn.as_deref().unwrap_or_default())).copied();
        let grace = Duration::from_secs(positive(self.service.health_check_grace_period_seconds).into());
        Some(ready_within(tag)? + grace.max(begins.unwrap_or_default()))
    }

    /// One deployment, which has come to its end, and no task on its way.
    pub fn is_over(&self) -> bool {
        if self.service.status.as_deref() != Some("ACTIVE") {
            return self.live().next().is_none();
        }
        if self.ends_badly() {
            return false;
        }
        match self.deployments() {
            [only] => {
                only.rollout_state.as_deref() != Some("IN_PROGRESS")
                    && self.live().all(|task| self.stage(task) != Stage::Stopping)
            }
            // What has failed with its stages goes nowhere from there.
            _ => {
                self.detail.is_some()
                    && self.primary().is_some_and(|one| one.rollout_state.as_deref() == Some("FAILED"))
            }
        }
    }

    /// It is on its way back, or about to go there or to stop.
    ///
    /// Source: Amazon ECS API Reference, `ServiceDeployment.status`.
    fn ends_badly(&self) -> bool {
        let status = self.newest.as_ref().and_then(|newest| newest.status.as_deref());
        matches!(status, Some("STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS"))
    }

    /// How the newest deployment ended or is about to end, if that is badly.
    pub fn failure(&self) -> Option<String> {
        let newest = self.newest.as_ref()?;
        let status = newest.status.as_deref()?;
        let reason = newest.status_reason.as_deref().unwrap_or_default();
        if self.ends_badly() {
            let goes = if status == "STOP_REQUESTED" { "is about to stop" } else { "rolls back" };
            return Some(format!("The last deployment {goes}: {status}. {reason}").trim_end().to_owned());
        }
        if !matches!(status, "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED" | "STOPPED") {
            return None;
        }
        Some(format!("The last deployment ended as {status}. {reason}").trim_end().to_owned())
    }
}

pub struct Bounds {
    pub least: u32,
    pub least_percent: i32,
    pub most: u32,
    pub most_percent: i32,
}

pub fn positive(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or_default()).unwrap_or_default()
}

/// Looks at one service again and again.
pub struct Watcher {
    cluster: Cluster,
    name: String,
    /// The tasks that were seen and have not stopped: those that were asked to stop are in no list but the long one of all
    /// that have stopped.
    seen: BTreeSet<String>,
    /// By `family:revision`: true when it has a health check, and how long its readiness probes give it to begin.
    definitions: BTreeMap<String, (bool, Duration)>,
    /// The service deployment that bakes, and when it was last changed before: nothing else changes during a bake as a rule.
    baking: Option<(String, Timestamp)>,
}

impl Watcher {
    pub fn new(cluster: Cluster, name: &str) -> Watcher {
        Watcher { cluster, name: name.to_owned(), seen: BTreeSet::new(), definitions: BTreeMap::new(), baking: None }
    }

    pub async fn look(&mut self) -> anyhow::Result<View> {
        let service = self.cluster.service_or_say(&self.name).await?;
        let is_deleted = service.status.as_deref() == Some("INACTIVE");
        if !is_deleted {
            self.seen.extend(self.cluster.task_arns(Which::Running, Some(&self.name)).await?);
        }
        let arns: Vec<String> = self.seen.iter().cloned().collect();
        let tasks = self.cluster.describe_tasks(&arns).await?.tasks.unwrap_or_default();
        let is_live = |task: &&Task| task.last_status.as_deref() != Some("STOPPED");
        self.seen = tasks.iter().filter(is_live).filter_map(|task| task.task_arn.clone()).collect();
        for deployment in service.deployments.iter().flatten() {
            self.note(deployment).await?;
        }
        let definitions = || self.definitions.iter();
        let checked = definitions().filter(|(_, (checked, _))| *checked).map(|(name, _)| name.clone()).collect();
        let begins = definitions().map(|(name, (_, begins))| (name.clone(), *begins)).collect();
        let newest = match is_deleted {
            true => None,
            false => self.cluster.newest_service_deployment(&self.name).await?,
        };
        let strategy = service.deployment_configuration.as_ref().and_then(|one| one.strategy.as_deref());
        let arn = newest.as_ref().and_then(|one| one.service_deployment_arn.clone());
        let detail = match arn.filter(|_| strategy.is_some_and(|strategy| strategy != "ROLLING")) {
            Some(arn) => self.cluster.service_deployment(&arn).await?,
            None => None,
        };
        self.note_bake(detail.as_ref());
        let baking_since = self.baking.as_ref().map(|(_, since)| *since);
        Ok(View { service, tasks, checked, begins, newest, detail, baking_since })
    }

    fn note_bake(&mut self, detail: Option<&ServiceDeployment>) {
        let baking = detail.filter(|detail| stages::is_baking(detail));
        let found = baking.and_then(|one| Some((one.service_deployment_arn.clone()?, one.updated_at?)));
        if self.baking.as_ref().map(|(arn, _)| arn) != found.as_ref().map(|(arn, _)| arn) {
            self.baking = found;
        }
    }

    async fn note(&mut self, deployment: &Deployment) -> anyhow::Result<()> {
        let arn = deployment.task_definition.as_deref().unwrap_or_default();
        if !self.definitions.contains_key(last(arn)) && !arn.is_empty() {
            // Deleted while its last tasks run: then nobody knows any more.
            let known = self.cluster.task_definition_exists(arn).await?;
            let about = match known {
                true => {
                    let definition = self.cluster.task_definition(arn).await?;
                    (has_health_check(&definition), begins_within(&definition))
                }
                false => (false, Duration::ZERO),
            };
            self.definitions.insert(last(arn).to_owned(), about);
        }
        Ok(())
    }
}

/// The longest start period of its readiness probes.
fn begins_within(definition: &TaskDefinition) -> Duration {
    let containers = definition.container_definitions.iter().flatten();
    let probes = containers.filter_map(|one| {
        let labels: Vec<(String, String)> = one.docker_labels.clone().unwrap_or_default().into_iter().collect();
        Probes::parse(&labels).ok()?.ready
    });
    probes.map(|probe| probe.start_period).max().unwrap_or_default()
}

fn has_health_check(definition: &TaskDefinition) -> bool {
    let containers = definition.container_definitions.iter().flatten();
    containers.filter(|one| one.essential != Some(false)).any(|one| {
        let labels = one.docker_labels.iter().flatten().map(|(name, _)| name);
        one.health_check.is_some() || labels.into_iter().any(|name| name.starts_with(HEALTH))
    })
}
