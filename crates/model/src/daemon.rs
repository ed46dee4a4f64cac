//! A managed daemon: one task on every instance of some capacity providers, what was deployed of it, and how.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS Managed Daemons".

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::service_deployment::{CircuitBreakerRecord, RevisionImage, Rollback};
use crate::{
    CapacityProviderArn, ClusterArn, DaemonArn, DaemonDeploymentArn, DaemonRevisionArn, Scope, Tag, Versioned,
};

/// Daemon task definitions are kept among the others, in families of their own: no name of a family has a colon.
pub const DAEMON_FAMILY: &str = "daemon:";
/// What the groups of daemons' tasks begin with.
pub const DAEMON_GROUP: &str = "daemon:";
/// What `startedBy` of a daemon's task begins with; the id of its revision follows.
const STARTED_BY: &str = "ecs-daemon/";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    pub scope: Scope,
    pub cluster: String,
    pub name: String,
    pub status: DaemonStatus,
    /// By their names.
    pub capacity_providers: Vec<String>,
    /// The revision that every instance is to have.
    pub revision: String,
    /// The newest.
    pub deployment: String,
    /// The revision of the last deployment that completed: where one that fails goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_completed: Option<String>,
    pub configuration: DaemonDeploymentConfiguration,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Versioned for Daemon {
    const VERSION: u32 = 1;
}

impl Daemon {
    pub fn arn(&self) -> DaemonArn {
        DaemonArn::new(&self.scope, &self.cluster, &self.name)
    }

    pub fn cluster_arn(&self) -> ClusterArn {
        ClusterArn::new(&self.scope, &self.cluster)
    }

    pub fn deployment_arn(&self) -> DaemonDeploymentArn {
        DaemonDeploymentArn::new(&self.scope, &self.cluster, &self.name, &self.deployment)
    }

    pub fn revision_arn(&self, id: &str) -> DaemonRevisionArn {
        DaemonRevisionArn::new(&self.scope, &self.cluster, &self.name, id)
    }

    pub fn capacity_provider_arn(&self, name: &str) -> CapacityProviderArn {
        CapacityProviderArn::new(&self.scope, name)
    }

    /// The group of its tasks.
    pub fn group(&self) -> String {
        format!("{DAEMON_GROUP}{}", self.name)
    }
}

/// Source: Amazon ECS API Reference, `DaemonDetail.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DaemonStatus {
    Active,
    DeleteInProgress,
}

impl DaemonStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            DaemonStatus::Active => "ACTIVE",
            DaemonStatus::DeleteInProgress => "DELETE_IN_PROGRESS",
        }
    }
}

/// Source: Amazon ECS Developer Guide, "Daemon deployments", deployment configuration parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonDeploymentConfiguration {
    pub drain_percent: f64,
    pub bake_minutes: u32,
}

impl Default for DaemonDeploymentConfiguration {
    fn default() -> Self {
        DaemonDeploymentConfiguration { drain_percent: 25.0, bake_minutes: 0 }
    }
}

impl DaemonDeploymentConfiguration {
    /// On how many of so many instances the task is replaced at a time: one at the least, or nothing would ever move.
    pub fn batch(&self, instances: usize) -> usize {
        ((instances as f64 * self.drain_percent / 100.0) as usize).max(1)
    }
}

/// A version of what a daemon runs. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonRevision {
    pub scope: Scope,
    pub cluster: String,
    pub daemon: String,
    /// 19 digits.
    pub id: String,
    pub family: String,
    pub revision: u32,
    pub images: Vec<RevisionImage>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub propagate_tags: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ecs_managed_tags_enabled: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub execute_command_enabled: bool,
    /// On AWS the instance goes when its task fails. Here nobody would bring another one, so it is kept and shown.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub critical: bool,
    pub created_at: Timestamp,
}

/// Source: Amazon ECS API Reference, `DaemonRevision.critical`: the default.
fn yes() -> bool {
    true
}

impl Versioned for DaemonRevision {
    const VERSION: u32 = 1;
}

impl DaemonRevision {
    pub fn arn(&self) -> DaemonRevisionArn {
        DaemonRevisionArn::new(&self.scope, &self.cluster, &self.daemon, &self.id)
    }

    /// What its tasks carry as `startedBy`.
    pub fn started_by(&self) -> String {
        started_by(&self.id)
    }
}

/// What the tasks of a revision carry as `startedBy`.
pub fn started_by(revision: &str) -> String {
    format!("{STARTED_BY}{revision}")
}

/// The revision that such a `startedBy` names.
pub fn revision_of(started_by: &str) -> Option<&str> {
    started_by.strip_prefix(STARTED_BY)
}

/// One deployment from its request to its end, the way back included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonDeployment {
    pub scope: Scope,
    pub cluster: String,
    pub daemon: String,
    pub id: String,
    pub status: DaemonDeploymentStatus,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_reason: String,
    /// The revisions that it replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    pub target: String,
    pub capacity_providers: Vec<String>,
    pub configuration: DaemonDeploymentConfiguration,
    pub circuit_breaker: CircuitBreakerRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Since when every instance has what it should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baking_since: Option<Timestamp>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl Versioned for DaemonDeployment {
    const VERSION: u32 = 1;
}

impl DaemonDeployment {
    pub fn arn(&self) -> DaemonDeploymentArn {
        DaemonDeploymentArn::new(&self.scope, &self.cluster, &self.daemon, &self.id)
    }

    pub fn daemon_cluster_arn(&self) -> String {
        ClusterArn::new(&self.scope, &self.cluster).to_string()
    }

    pub fn daemon_arn(&self) -> DaemonArn {
        DaemonArn::new(&self.scope, &self.cluster, &self.daemon)
    }

    pub fn revision_arn(&self, id: &str) -> DaemonRevisionArn {
        DaemonRevisionArn::new(&self.scope, &self.cluster, &self.daemon, id)
    }

    /// When it came to its end, however that was.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.finished_at.or(self.stopped_at)
    }

    /// Its end, or a step towards it.
    pub fn becomes(&mut self, status: DaemonDeploymentStatus, reason: &str, now: Timestamp) {
        self.status = status;
        self.status_reason = reason.to_owned();
        self.started_at.get_or_insert(now);
        if status == DaemonDeploymentStatus::Stopped {
            self.stopped_at = Some(now);
        }
        if !status.is_ongoing() {
            self.finished_at = Some(now);
        }
    }
}

/// Source: Amazon ECS API Reference, `DaemonDeployment.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DaemonDeploymentStatus {
    Pending,
    InProgress,
    Successful,
    Stopped,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl DaemonDeploymentStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            DaemonDeploymentStatus::Pending => "PENDING",
            DaemonDeploymentStatus::InProgress => "IN_PROGRESS",
            DaemonDeploymentStatus::Successful => "SUCCESSFUL",
            DaemonDeploymentStatus::Stopped => "STOPPED",
            DaemonDeploymentStatus::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            DaemonDeploymentStatus::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            DaemonDeploymentStatus::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    pub fn is_ongoing(self) -> bool {
        matches!(
            self,
            DaemonDeploymentStatus::Pending
                | DaemonDeploymentStatus::InProgress
                | DaemonDeploymentStatus::RollbackInProgress
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_rounded_down_and_never_nothing() {
        for (drain_percent, instances, expected) in
            [(25.0, 8, 2), (25.0, 7, 1), (25.0, 3, 1), (0.0, 100, 1), (100.0, 5, 5), (33.4, 10, 3), (50.0, 0, 1)]
        {
            let configuration = DaemonDeploymentConfiguration { drain_percent, bake_minutes: 0 };
            assert_eq!(configuration.batch(instances), expected, "{drain_percent} of {instances}");
        }
    }
}
