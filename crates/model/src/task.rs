//! A task: a task definition at work on one instance, from its placement until some time after its end.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::arn::ContainerArn;
use crate::container_definition::EnvironmentFile;
use crate::daemon::DAEMON_GROUP;
use crate::probe::{HEALTH_FAILED, NOT_READY};
use crate::resources::Protocol;
use crate::service::PlacementStrategy;
use crate::task_definition::PlacementConstraint;
use crate::{
    ClusterArn, ContainerInstanceArn, CpuUnits, MemoryMib, Reservation, Scope, Tag, TaskArn, TaskDefinitionArn,
    Versioned,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub scope: Scope,
    pub cluster: String,
    /// 32 hexadecimal digits.
    pub id: String,
    pub family: String,
    pub revision: u32,
    /// Empty while the task waits for one.
    pub container_instance: String,
    pub launch_type: LaunchType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_provider: Option<String>,
    pub last_status: TaskStatus,
    pub desired_status: TaskStatus,
    #[serde(default)]
    pub health: HealthStatus,
    pub containers: Vec<Container>,
    /// What placement counted; it is free again once the task has stopped.
    #[serde(default)]
    pub reserved: Reservation,
    /// `family:web`, `service:web`, or what RunTask was given.
    pub group: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub started_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Box<TaskOverride>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuUnits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryMib>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub execute_command_enabled: bool,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connectivity_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_stopped_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_stopped_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<StopCode>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stopped_reason: String,
    /// Until when neither scale-in nor a deployment ends it: its task scale-in protection. The past means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_until: Option<Timestamp>,
    /// While it waits for an instance: how one is to be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Box<Provisioning>>,
    /// Rises with every change, as `Task.version` does.
    pub version: u64,
}

impl Versioned for Task {
    const VERSION: u32 = 1;
}

impl Task {
    pub fn arn(&self) -> TaskArn {
        TaskArn::new(&self.scope, &self.cluster, &self.id)
    }

    pub fn cluster_arn(&self) -> ClusterArn {
        ClusterArn::new(&self.scope, &self.cluster)
    }

    pub fn task_definition_arn(&self) -> TaskDefinitionArn {
        TaskDefinitionArn::new(&self.scope, &self.family, self.revision)
    }

    pub fn container_instance_arn(&self) -> ContainerInstanceArn {
        ContainerInstanceArn::new(&self.scope, &self.cluster, &self.container_instance)
    }

    pub fn container_arn(&self, container: &Container) -> ContainerArn {
        ContainerArn::new(&self.scope, &self.cluster, &self.id, &container.id)
    }

    /// What its readiness probes say; nothing when no container has one.
    pub fn readiness(&self) -> Option<bool> {
        let live = self.containers.iter().filter(|container| container.last_status != TaskStatus::Stopped);
        live.filter_map(|container| container.probed.as_ref()?.ready).reduce(|one, other| one && other)
    }

    /// False while a container with a readiness probe does not want work yet. Whoever sends work to tasks, and whoever lets
    /// an older task go because of this one, asks this besides its health; nobody replaces a task that was ready and is not.
    pub fn is_ready(&self) -> bool {
        self.readiness() != Some(false)
    }

    /// True until every container with a readiness probe has been ready once.
    pub fn awaits_readiness(&self) -> bool {
        let live = self.containers.iter().filter(|container| container.last_status != TaskStatus::Stopped);
        live.filter_map(|container| container.probed.as_ref()).any(|probed| probed.awaited)
    }

    /// When its task scale-in protection ends, while it has any.
    pub fn protection(&self, now: Timestamp) -> Option<Timestamp> {
        self.protected_until.filter(|until| *until > now)
    }

    /// The service it belongs to, by its group.
    pub fn service(&self) -> Option<&str> {
        self.group.strip_prefix("service:")
    }

    /// Whose task it is: the name of its service, or the whole group of a managed daemon, which has a colon in it.
    pub fn owner(&self) -> Option<&str> {
        self.service().or_else(|| self.is_daemon().then_some(&self.group))
    }

    /// True for a task of a managed daemon.
    pub fn is_daemon(&self) -> bool {
        self.group.starts_with(DAEMON_GROUP)
    }

    /// Asks for its end. The first who asks is remembered; a stopped task stays as it is.
    pub fn request_stop(&mut self, code: StopCode, reason: &str, now: Timestamp) {
        if self.desired_status == TaskStatus::Stopped || !self.is_live() {
            return;
        }
        self.desired_status = TaskStatus::Stopped;
        self.stop_code = Some(code);
        self.stopped_reason = reason.to_owned();
        self.stopping_at = Some(now);
        if self.is_waiting() {
            // There is no agent that would report its end.
            return self.stopped(code, reason, now);
        }
        self.version += 1;
    }

    /// Its end, whoever found out. What asked for the end before keeps its code and reason.
    pub fn stopped(&mut self, code: StopCode, reason: &str, now: Timestamp) {
        if !self.is_live() {
            return;
        }
        self.last_status = TaskStatus::Stopped;
        self.desired_status = TaskStatus::Stopped;
        self.stop_code.get_or_insert(code);
        if self.stopped_reason.is_empty() {
            self.stopped_reason = reason.to_owned();
        }
        self.stopping_at.get_or_insert(now);
        self.stopped_at = Some(now);
        self.provisioning = None;
        for container in &mut self.containers {
            container.last_status = TaskStatus::Stopped;
        }
        self.version += 1;
    }

    /// The `lastStatus` that is shown. No agent reports that a task is on its way out, so a running task that was asked to stop
    /// is shown as `STOPPING`.
    pub fn shown_status(&self) -> TaskStatus {
        match (self.last_status, self.desired_status) {
            (TaskStatus::Running, TaskStatus::Stopped) => TaskStatus::Stopping,
            (status, _) => status,
        }
    }

    /// True for a task that has no instance yet: its capacity provider has no room.
    pub fn is_waiting(&self) -> bool {
        self.container_instance.is_empty() && self.is_live()
    }

    /// True until it has stopped: it holds its resources, and its instance has it.
    pub fn is_live(&self) -> bool {
        self.last_status != TaskStatus::Stopped
    }
}

/// Where a task is in its life. The order of the variants is the order of that life.
///
/// Source: Amazon ECS Developer Guide, "Task lifecycle states".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl TaskStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Provisioning => "PROVISIONING",
            TaskStatus::Pending => "PENDING",
            TaskStatus::Activating => "ACTIVATING",
            TaskStatus::Running => "RUNNING",
            TaskStatus::Deactivating => "DEACTIVATING",
            TaskStatus::Stopping => "STOPPING",
            TaskStatus::Deprovisioning => "DEPROVISIONING",
            TaskStatus::Stopped => "STOPPED",
        }
    }

    /// A task only ever moves forward; it may skip states that have nothing to do for it.
    pub fn may_move_to(self, next: TaskStatus) -> bool {
        next > self
    }
}

/// Source: Amazon ECS API Reference, `Task.stopCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCode {
    TaskFailedToStart,
    EssentialContainerExited,
    UserInitiated,
    ServiceSchedulerInitiated,
    SpotInterruption,
    TerminationNotice,
}

impl StopCode {
    pub fn as_str(self) -> &'static str {
        match self {
            StopCode::TaskFailedToStart => "TaskFailedToStart",
            StopCode::EssentialContainerExited => "EssentialContainerExited",
            StopCode::UserInitiated => "UserInitiated",
            StopCode::ServiceSchedulerInitiated => "ServiceSchedulerInitiated",
            StopCode::SpotInterruption => "SpotInterruption",
            StopCode::TerminationNotice => "TerminationNotice",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthStatus {
    Healthy,
    Unhealthy,
    #[default]
    Unknown,
}

impl HealthStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Healthy => "HEALTHY",
            HealthStatus::Unhealthy => "UNHEALTHY",
            HealthStatus::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LaunchType {
    Ec2,
    Fargate,
    External,
}

impl LaunchType {
    pub fn as_str(self) -> &'static str {
        match self {
            LaunchType::Ec2 => "EC2",
            LaunchType::Fargate => "FARGATE",
            LaunchType::External => "EXTERNAL",
        }
    }

    pub fn parse(text: &str) -> Option<LaunchType> {
        match text {
            "EC2" => Some(LaunchType::Ec2),
            "FARGATE" => Some(LaunchType::Fargate),
            "EXTERNAL" => Some(LaunchType::External),
            _ => None,
        }
    }
}

/// One container of a task, as its agent last reported it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub name: String,
    /// The last part of the container's ARN.
    pub id: String,
    pub image: String,
    pub last_status: TaskStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_bindings: Vec<NetworkBinding>,
    #[serde(default)]
    pub health: HealthStatus,
    /// What its probes say, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed: Option<Box<Probed>>,
    /// The ids of the GPUs that it was given when it was placed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
}

/// What the probes of a container say, as its agent last told. Docker labels ask for them, see [`crate::probe`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probed {
    /// Nothing when nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// It has not been ready once since its task began.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
    /// How the last probe of its health failed; empty when it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health_says: String,
    /// The same of its readiness.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ready_says: String,
}

impl Container {
    /// What is to be told of its probes, as of a container that a person asks about.
    pub fn probed_reason(&self) -> Option<String> {
        let probed = self.probed.as_ref()?;
        if self.health != HealthStatus::Healthy && !probed.health_says.is_empty() {
            return Some(format!("{HEALTH_FAILED}{}", probed.health_says));
        }
        if self.last_status != TaskStatus::Running || probed.ready != Some(false) {
            return None;
        }
        Some(match probed.ready_says.as_str() {
            "" => NOT_READY.to_owned(),
            says => format!("{NOT_READY}: {says}"),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkBinding {
    pub bind_ip: String,
    pub container_port: u16,
    pub host_port: u16,
    pub protocol: Protocol,
    /// The last ports of a range whose first ones are above: the container's, and the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<(u16, u16)>,
}

/// How an instance is chosen for a task that waits for one, beyond what its definition says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provisioning {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<PlacementConstraint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<PlacementStrategy>,
}

/// What RunTask changed for this task alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskOverride {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerOverride>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuUnits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryMib>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerOverride {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuUnits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryMib>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<MemoryMib>,
    /// Instead of the definition's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment_files: Vec<EnvironmentFile>,
    /// How many GPUs, instead of the definition's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_only_moves_forward() {
        assert!(TaskStatus::Pending.may_move_to(TaskStatus::Running));
        assert!(TaskStatus::Pending.may_move_to(TaskStatus::Stopped));
        assert!(!TaskStatus::Stopped.may_move_to(TaskStatus::Running));
        assert!(!TaskStatus::Running.may_move_to(TaskStatus::Running));
    }
}
