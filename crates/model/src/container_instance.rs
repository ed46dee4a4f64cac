//! A container instance: a machine whose agent has joined a cluster.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{ContainerInstanceArn, Resources, Scope, Tag, Versioned};

/// The attribute that says in which Availability Zone it is.
/// Source: Amazon ECS Developer Guide, "Container instance attributes".
pub const ZONE: &str = "ecs.availability-zone";

/// A container instance, as it is kept. What remains of its resources follows from its tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerInstance {
    pub scope: Scope,
    pub cluster: String,
    pub id: String,
    pub status: ContainerInstanceStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2_instance_id: Option<String>,
    pub agent_connected: bool,
    /// Since when it is known that no agent is connected. Nothing while one is, or nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnected_at: Option<Timestamp>,
    /// The replica that has its agent's connection, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    #[serde(default)]
    pub version_info: VersionInfo,
    pub registered: Resources,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// What its agent last said about its own health.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<InstanceHealthCheck>,
    pub registered_at: Timestamp,
    /// Rises with every change, as `ContainerInstance.version` does.
    pub version: u64,
}

impl Versioned for ContainerInstance {
    const VERSION: u32 = 1;
}

/// An attribute of our own, by which an agent keeps new tasks off its instance while the disk is nearly full.
pub const DISK_PRESSURE: &str = "berth.disk-pressure";

/// A capability of our own agent: it pulls images that it is told of before a task needs them.
pub const IMAGE_PREPULL: &str = "ecs.capability.berth.image-prepull";

impl ContainerInstance {
    pub fn arn(&self) -> ContainerInstanceArn {
        ContainerInstanceArn::new(&self.scope, &self.cluster, &self.id)
    }

    /// True when the attribute is there; a given value must be equal.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.name == name)
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name)?.value.as_deref()
    }

    /// True for an attribute that a person gave it, and that a person may change or take away.
    pub fn is_custom(attribute: &str) -> bool {
        !["ecs.", "com.amazonaws.ecs."].iter().any(|prefix| attribute.starts_with(prefix))
    }

    /// Its agent has said that the disk with images and volumes is nearly full.
    pub fn has_disk_pressure(&self) -> bool {
        self.has_attribute(DISK_PRESSURE)
    }

    /// The launch type of the tasks it takes: an ECS Anywhere instance says so by an attribute of its agent.
    pub fn is_external(&self) -> bool {
        self.has_attribute("ecs.capability.external")
    }
}

/// Source: Amazon ECS API Reference, `ContainerInstance.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ContainerInstanceStatus {
    Registering,
    RegistrationFailed,
    Active,
    Draining,
    Deregistering,
    Inactive,
}

impl ContainerInstanceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            ContainerInstanceStatus::Registering => "REGISTERING",
            ContainerInstanceStatus::RegistrationFailed => "REGISTRATION_FAILED",
            ContainerInstanceStatus::Active => "ACTIVE",
            ContainerInstanceStatus::Draining => "DRAINING",
            ContainerInstanceStatus::Deregistering => "DEREGISTERING",
            ContainerInstanceStatus::Inactive => "INACTIVE",
        }
    }
}

/// A fact about an instance that placement can ask for. A capability is a name without a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The result of one kind of health check of an instance.
///
/// Source: Amazon ECS API Reference, `InstanceHealthCheckResult`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceHealthCheck {
    pub kind: InstanceHealthCheckKind,
    pub status: InstanceHealth,
    pub last_updated: Timestamp,
    pub last_status_change: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstanceHealthCheckKind {
    ContainerRuntime,
    AcceleratedCompute,
    Daemon,
}

impl InstanceHealthCheckKind {
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceHealthCheckKind::ContainerRuntime => "CONTAINER_RUNTIME",
            InstanceHealthCheckKind::AcceleratedCompute => "ACCELERATED_COMPUTE",
            InstanceHealthCheckKind::Daemon => "DAEMON",
        }
    }
}

/// From the best to the worst, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstanceHealth {
    Ok,
    Initializing,
    InsufficientData,
    Impaired,
}

impl InstanceHealth {
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceHealth::Ok => "OK",
            InstanceHealth::Initializing => "INITIALIZING",
            InstanceHealth::InsufficientData => "INSUFFICIENT_DATA",
            InstanceHealth::Impaired => "IMPAIRED",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_hash: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
}
