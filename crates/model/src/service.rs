//! A service: a number of tasks that are kept running, and the deployments that bring them from one definition to the next.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::cluster::CapacityProviderStrategyItem;
use crate::lifecycle::{DeploymentStrategy, Lifecycle, LifecycleHook, LifecycleStage, Weight};
use crate::task::{LaunchType, Task};
use crate::task_definition::PlacementConstraint;
use crate::{Scope, ServiceArn, Tag, TaskSet, TaskSetStatus, Versioned};

/// How many events a service remembers. Source: Amazon ECS API Reference, `Service.events`.
pub const EVENTS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub scope: Scope,
    pub cluster: String,
    pub name: String,
    pub status: ServiceStatus,
    #[serde(default, skip_serializing_if = "SchedulingStrategy::is_replica")]
    pub scheduling_strategy: SchedulingStrategy,
    #[serde(default, skip_serializing_if = "DeploymentController::is_ecs")]
    pub deployment_controller: DeploymentController,
    /// Of a daemon: the number of instances that should have a task, as its reconciler last saw it.
    pub desired_count: u32,
    /// The newest first: that one is `PRIMARY`, the others are on their way out.
    pub deployments: Vec<Deployment>,
    /// Where a deployment that fails goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_completed: Option<CompletedDeployment>,
    /// What an external deployment controller has made, the newest last. Such a service has no deployments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub task_sets: Vec<TaskSet>,
    pub deployment_configuration: DeploymentConfiguration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement_constraints: Vec<PlacementConstraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement_strategy: Vec<PlacementStrategy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_grace_period_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ecs_managed_tags_enabled: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub execute_command_enabled: bool,
    /// Its tasks are kept evenly spread over the Availability Zones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub availability_zone_rebalancing: bool,
    /// The newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ServiceEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    pub created_at: Timestamp,
    pub created_by: String,
}

impl Versioned for Service {
    const VERSION: u32 = 1;
}

impl Service {
    pub fn arn(&self) -> ServiceArn {
        ServiceArn::new(&self.scope, &self.cluster, &self.name)
    }

    /// The deployment that new tasks belong to. A service has one from its first moment.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == DeploymentStatus::Primary)
    }

    /// The task set that serves production traffic, if one was made so.
    pub fn primary_task_set(&self) -> Option<&TaskSet> {
        self.task_sets.iter().find(|set| set.status == TaskSetStatus::Primary)
    }

    pub fn is_daemon(&self) -> bool {
        self.scheduling_strategy == SchedulingStrategy::Daemon
    }

    /// The shares of production and test traffic that are wanted for a deployment; nothing where none is shifted. They add up
    /// to all of it: the newest deployment has its share, and the one before it the rest.
    pub fn weights(&self, deployment: &Deployment) -> Option<(Weight, Weight)> {
        let primary = self.primary()?;
        let lifecycle = primary.lifecycle.as_ref()?;
        Some(match &lifecycle.source {
            _ if deployment.id == primary.id => (lifecycle.production.desired, lifecycle.test.desired),
            Some(source) if *source == deployment.id => {
                (lifecycle.production.desired.rest(), lifecycle.test.desired.rest())
            }
            _ => (Weight::NONE, Weight::NONE),
        })
    }

    /// Writes down what happened, newest first, and forgets the oldest.
    pub fn record(&mut self, id: String, now: Timestamp, message: String) {
        self.events.insert(0, ServiceEvent { id, created_at: now, message });
        self.events.truncate(EVENTS_MAX);
    }
}

/// Source: Amazon ECS API Reference, `Service.schedulingStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SchedulingStrategy {
    #[default]
    Replica,
    /// One task on each instance that can have it.
    Daemon,
}

impl SchedulingStrategy {
    pub fn as_str(self) -> &'static str {
        match self {
            SchedulingStrategy::Replica => "REPLICA",
            SchedulingStrategy::Daemon => "DAEMON",
        }
    }

    fn is_replica(&self) -> bool {
        *self == SchedulingStrategy::Replica
    }
}

/// Source: Amazon ECS API Reference, `DeploymentController.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentController {
    #[default]
    Ecs,
    /// Somebody else decides, by task sets.
    External,
}

impl DeploymentController {
    pub fn as_str(self) -> &'static str {
        match self {
            DeploymentController::Ecs => "ECS",
            DeploymentController::External => "EXTERNAL",
        }
    }

    fn is_ecs(&self) -> bool {
        *self == DeploymentController::Ecs
    }
}

/// Source: Amazon ECS API Reference, `Service.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

impl ServiceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceStatus::Active => "ACTIVE",
            ServiceStatus::Draining => "DRAINING",
            ServiceStatus::Inactive => "INACTIVE",
        }
    }
}

/// One task definition on its way in, or on its way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/` and digits; tasks carry it as `startedBy`.
    pub id: String,
    pub status: DeploymentStatus,
    pub family: String,
    pub revision: u32,
    pub rollout_state: RolloutState,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rollout_state_reason: String,
    /// Its record among the service deployments, and the service revision that it brings. Empty where none was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_deployment: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_revision: String,
    /// Earlier deployments of the same service revision. Their tasks are as good as its own, and are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<String>,
    /// Somebody wants it to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_requested: Option<StopType>,
    /// Of one that grows up beside the one that serves; a rolling deployment has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Box<Lifecycle>>,
    /// Whether alarms can end it, decided when it is first looked at. Nothing before, and where none are configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarms_watched: Option<bool>,
    /// Since when its early success criteria are met: its bake time counts from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baking_since: Option<Timestamp>,
    /// The alarms that ended it, or the one that it is the way back from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggered_alarms: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Deployment {
    /// True for a task that it has started, or taken over.
    pub fn has(&self, task: &Task) -> bool {
        task.started_by == self.id || self.adopted.contains(&task.started_by)
    }

    /// True for the way back from one that failed.
    pub fn is_rollback(&self) -> bool {
        !self.adopted.is_empty()
    }

    /// The stage it is in, if it has stages and has not come to its end.
    pub fn stage(&self) -> Option<LifecycleStage> {
        let lifecycle = self.lifecycle.as_ref().filter(|_| self.rollout_state != RolloutState::Completed)?;
        Some(lifecycle.stage)
    }
}

/// Source: Amazon ECS API Reference, `StopServiceDeployment.stopType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StopType {
    Abort,
    Rollback,
}

/// What is left to know of the last deployment that completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedDeployment {
    pub id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<String>,
    pub family: String,
    pub revision: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_revision: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStatus {
    Primary,
    Active,
    Inactive,
}

impl DeploymentStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            DeploymentStatus::Primary => "PRIMARY",
            DeploymentStatus::Active => "ACTIVE",
            DeploymentStatus::Inactive => "INACTIVE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    InProgress,
    Completed,
    Failed,
}

impl RolloutState {
    pub fn as_str(self) -> &'static str {
        match self {
            RolloutState::InProgress => "IN_PROGRESS",
            RolloutState::Completed => "COMPLETED",
            RolloutState::Failed => "FAILED",
        }
    }
}

/// Units: percent of the desired count. The minimum is rounded up and the maximum down, as on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentConfiguration {
    pub maximum_percent: u32,
    pub minimum_healthy_percent: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarms: Option<DeploymentAlarms>,
    #[serde(default, skip_serializing_if = "DeploymentStrategy::is_rolling")]
    pub strategy: DeploymentStrategy,
    /// How long both revisions run after all production traffic has gone over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_time_in_minutes: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifecycle_hooks: Vec<LifecycleHook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_success: Option<EarlySuccess>,
}

/// When a rolling deployment has succeeded before all its tasks are there.
///
/// Source: Amazon ECS API Reference, `DeploymentEarlySuccessCriteria`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlySuccess {
    pub enable: bool,
    /// So many of the desired tasks, in percent, are healthy and of the new revision.
    pub healthy_percent: u32,
    pub cleanup: RevisionCleanup,
}

impl EarlySuccess {
    /// How many tasks of a service of `desired` have to be healthy.
    pub fn tasks(&self, desired: u32) -> u32 {
        u64::from(desired).saturating_mul(u64::from(self.healthy_percent)).div_ceil(100) as u32
    }
}

/// When the old tasks go. Source: the same, `sourceServiceRevisionCleanup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RevisionCleanup {
    /// Before the deployment has succeeded.
    Blocking,
    /// In the background, after it.
    Deferred,
}

impl RevisionCleanup {
    pub fn as_str(self) -> &'static str {
        match self {
            RevisionCleanup::Blocking => "BLOCKING",
            RevisionCleanup::Deferred => "DEFERRED",
        }
    }
}

impl Default for DeploymentConfiguration {
    /// Source: Amazon ECS API Reference, `DeploymentConfiguration`: 200 and 100 for the replica strategy.
    fn default() -> Self {
        DeploymentConfiguration {
            maximum_percent: 200,
            minimum_healthy_percent: 100,
            circuit_breaker: None,
            alarms: None,
            strategy: DeploymentStrategy::Rolling,
            bake_time_in_minutes: None,
            lifecycle_hooks: Vec::new(),
            early_success: None,
        }
    }
}

impl DeploymentConfiguration {
    /// The fewest tasks that must stay up while a service of `desired` tasks is deployed.
    pub fn tasks_min(&self, desired: u32) -> u32 {
        u64::from(desired).saturating_mul(u64::from(self.minimum_healthy_percent)).div_ceil(100) as u32
    }

    /// How many tasks must fail until a deployment of a service of `desired` tasks has failed.
    pub fn failures_max(&self, desired: u32) -> u32 {
        self.circuit_breaker.and_then(|breaker| breaker.threshold).unwrap_or_default().tasks(desired)
    }

    /// The most tasks that may run while a service of `desired` tasks is deployed.
    pub fn tasks_max(&self, desired: u32) -> u32 {
        (u64::from(desired).saturating_mul(u64::from(self.maximum_percent)) / 100) as u32
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitBreaker {
    pub enable: bool,
    pub rollback: bool,
    /// A task that proves itself makes the failures before it forgotten.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub reset_on_healthy_task: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<FailureThreshold>,
}

fn yes() -> bool {
    true
}

impl CircuitBreaker {
    /// One without further wishes.
    pub fn new(enable: bool, rollback: bool) -> CircuitBreaker {
        CircuitBreaker { enable, rollback, reset_on_healthy_task: true, threshold: None }
    }
}

/// How many tasks must fail until a deployment has failed.
///
/// Source: Amazon ECS API Reference, `ThresholdConfiguration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureThreshold {
    Count(u32),
    /// Of the desired count, and from 3 to 200.
    BoundedPercent(u32),
    UnboundedPercent(u32),
}

impl Default for FailureThreshold {
    fn default() -> Self {
        FailureThreshold::BoundedPercent(50)
    }
}

impl FailureThreshold {
    /// For a service of `desired` tasks: percentages are rounded up, and nothing fails before a task has failed.
    pub fn tasks(self, desired: u32) -> u32 {
        let percent = |percent: u32| {
            let tasks = (u64::from(desired) * u64::from(percent)).div_ceil(100);
            u32::try_from(tasks).unwrap_or(u32::MAX)
        };
        match self {
            FailureThreshold::Count(count) => count.max(1),
            FailureThreshold::BoundedPercent(of) => percent(of).clamp(3, 200),
            FailureThreshold::UnboundedPercent(of) => percent(of).max(1),
        }
    }
}

/// Alarms that end a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentAlarms {
    pub names: Vec<String>,
    pub enable: bool,
    pub rollback: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementStrategy {
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEvent {
    pub id: String,
    pub created_at: Timestamp,
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_of_failure_follow_the_desired_count() {
        use FailureThreshold::*;
        let tasks = |threshold: FailureThreshold| [0, 1, 6, 7, 25, 400, 5000].map(|desired| threshold.tasks(desired));
        assert_eq!(tasks(FailureThreshold::default()), [3, 3, 3, 4, 13, 200, 200]);
        assert_eq!(tasks(BoundedPercent(100)), [3, 3, 6, 7, 25, 200, 200]);
        assert_eq!(tasks(UnboundedPercent(10)), [1, 1, 1, 1, 3, 40, 500]);
        assert_eq!(tasks(UnboundedPercent(u32::MAX))[6], u32::MAX);
        assert_eq!(tasks(Count(2)), [2; 7]);
    }

    #[test]
    fn percentages_round_as_on_aws() {
        let check = |minimum, maximum, desired, expected: (u32, u32)| {
            let configuration = DeploymentConfiguration {
                maximum_percent: maximum,
                minimum_healthy_percent: minimum,
                ..Default::default()
            };
            assert_eq!((configuration.tasks_min(desired), configuration.tasks_max(desired)), expected);
        };
        check(100, 200, 3, (3, 6));
        check(50, 150, 3, (2, 4));
        check(50, 100, 1, (1, 1));
        check(0, 100, 0, (0, 0));
    }
}
