//! A capacity provider: where the tasks of a strategy run.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{CapacityProviderArn, ContainerInstance, Scope, Tag, Versioned};

/// The attribute by which an instance says which Auto Scaling group it is of. With Auto Scaling it would be known.
pub const GROUP_ATTRIBUTE: &str = "berth.auto-scaling-group";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityProvider {
    pub scope: Scope,
    pub name: String,
    pub status: CapacityProviderStatus,
    pub group: AutoScalingGroupProvider,
    pub update_status: UpdateStatus,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    pub created_at: Timestamp,
}

impl Versioned for CapacityProvider {
    const VERSION: u32 = 1;
}

impl CapacityProvider {
    pub fn arn(&self) -> CapacityProviderArn {
        CapacityProviderArn::new(&self.scope, &self.name)
    }

    /// True when tasks for which it has no room wait for instances.
    pub fn scales(&self) -> bool {
        self.status == CapacityProviderStatus::Active && self.group.managed_scaling.enabled
    }

    /// True for an instance of its Auto Scaling group.
    pub fn has(&self, instance: &ContainerInstance) -> bool {
        instance.attribute(GROUP_ATTRIBUTE) == Some(self.group.name())
    }
}

/// An Auto Scaling group, as it was named, and how it is meant to be scaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoScalingGroupProvider {
    pub arn: String,
    pub managed_scaling: ManagedScaling,
    pub managed_termination_protection: bool,
    pub managed_draining: bool,
}

impl AutoScalingGroupProvider {
    /// The name of the group, which may stand for its ARN.
    pub fn name(&self) -> &str {
        self.arn.split_once("autoScalingGroupName/").map_or(&self.arn, |(_, name)| name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedScaling {
    pub enabled: bool,
    pub target_capacity_percent: u32,
    pub minimum_step: u32,
    pub maximum_step: u32,
    pub instance_warmup_seconds: u32,
}

impl Default for ManagedScaling {
    /// Source: Amazon ECS API Reference, `ManagedScaling`.
    fn default() -> Self {
        ManagedScaling {
            enabled: false,
            target_capacity_percent: 100,
            minimum_step: 1,
            maximum_step: 10_000,
            instance_warmup_seconds: 300,
        }
    }
}

/// Source: Amazon ECS API Reference, `CapacityProvider.status`. A deleted one stays visible as `INACTIVE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapacityProviderStatus {
    Active,
    Inactive,
}

impl CapacityProviderStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            CapacityProviderStatus::Active => "ACTIVE",
            CapacityProviderStatus::Inactive => "INACTIVE",
        }
    }
}

/// Source: Amazon ECS API Reference, `CapacityProvider.updateStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdateStatus {
    CreateComplete,
    UpdateComplete,
    DeleteComplete,
}

impl UpdateStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            UpdateStatus::CreateComplete => "CREATE_COMPLETE",
            UpdateStatus::UpdateComplete => "UPDATE_COMPLETE",
            UpdateStatus::DeleteComplete => "DELETE_COMPLETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_name_or_its_arn() {
        let group = |arn: &str| AutoScalingGroupProvider {
            arn: arn.into(),
            managed_scaling: ManagedScaling::default(),
            managed_termination_protection: false,
            managed_draining: false,
        };
        let arn = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:6d0d2c8a:autoScalingGroupName/web-fleet";
        assert_eq!(group(arn).name(), "web-fleet");
        assert_eq!(group("web-fleet").name(), "web-fleet");
    }
}
