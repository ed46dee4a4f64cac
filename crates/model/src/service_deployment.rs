//! A service's history: each deployment of it, and each version of what was deployed.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::cluster::CapacityProviderStrategyItem;
use crate::lifecycle::{Lifecycle, Weight};
use crate::service::DeploymentConfiguration;
use crate::task::LaunchType;
use crate::{Scope, ServiceArn, ServiceDeploymentArn, ServiceRevisionArn, Versioned};

/// One deployment from its request to its end, the way back included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceDeployment {
    pub scope: Scope,
    pub cluster: String,
    pub service: String,
    pub id: String,
    pub status: ServiceDeploymentStatus,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_reason: String,
    /// What ran before; its tasks are counted when the deployment begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<RevisionCounts>,
    /// What is to run. The counts are those of the deployment's end; before it, the tasks say.
    pub target: RevisionCounts,
    pub configuration: DeploymentConfiguration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreakerRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggered_alarms: Vec<String>,
    /// Where it was when it was last looked at. A rolling deployment has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Box<Lifecycle>>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

impl Versioned for ServiceDeployment {
    const VERSION: u32 = 1;
}

impl ServiceDeployment {
    pub fn arn(&self) -> ServiceDeploymentArn {
        ServiceDeploymentArn::new(&self.scope, &self.cluster, &self.service, &self.id)
    }

    pub fn service_arn(&self) -> ServiceArn {
        ServiceArn::new(&self.scope, &self.cluster, &self.service)
    }

    pub fn revision_arn(&self, id: &str) -> ServiceRevisionArn {
        ServiceRevisionArn::new(&self.scope, &self.cluster, &self.service, id)
    }

    /// When it came to its end, however that was.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.finished_at.or(self.stopped_at)
    }

    /// Its end, or a step towards it.
    pub fn becomes(&mut self, status: ServiceDeploymentStatus, reason: &str, now: Timestamp) {
        self.status = status;
        self.status_reason = reason.to_owned();
        self.updated_at = now;
        if status == ServiceDeploymentStatus::Stopped {
            self.stopped_at = Some(now);
        }
        if !status.is_ongoing() {
            self.finished_at = Some(now);
        }
    }
}

/// A revision, and how many tasks of it there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionCounts {
    pub revision: String,
    pub requested: u32,
    pub running: u32,
    pub pending: u32,
    /// Its shares of production and test traffic; nothing where none is shifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Weight>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Weight>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    pub reason: String,
    pub started_at: Timestamp,
    pub revision: String,
}

/// What the circuit breaker has seen of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitBreakerRecord {
    pub status: MonitorStatus,
    pub failures: u32,
    pub threshold: u32,
}

/// Source: Amazon ECS API Reference, `ServiceDeploymentCircuitBreaker.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MonitorStatus {
    Triggered,
    Monitoring,
    MonitoringComplete,
    Disabled,
}

impl MonitorStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            MonitorStatus::Triggered => "TRIGGERED",
            MonitorStatus::Monitoring => "MONITORING",
            MonitorStatus::MonitoringComplete => "MONITORING_COMPLETE",
            MonitorStatus::Disabled => "DISABLED",
        }
    }
}

/// Source: Amazon ECS API Reference, `ServiceDeployment.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceDeploymentStatus {
    Pending,
    InProgress,
    Successful,
    StopRequested,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl ServiceDeploymentStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceDeploymentStatus::Pending => "PENDING",
            ServiceDeploymentStatus::InProgress => "IN_PROGRESS",
            ServiceDeploymentStatus::Successful => "SUCCESSFUL",
            ServiceDeploymentStatus::StopRequested => "STOP_REQUESTED",
            ServiceDeploymentStatus::Stopped => "STOPPED",
            ServiceDeploymentStatus::RollbackRequested => "ROLLBACK_REQUESTED",
            ServiceDeploymentStatus::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            ServiceDeploymentStatus::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            ServiceDeploymentStatus::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    /// Source: Amazon ECS Developer Guide, "View service history using Amazon ECS service deployments", the stages.
    pub fn is_ongoing(self) -> bool {
        match self {
            ServiceDeploymentStatus::Pending
            | ServiceDeploymentStatus::InProgress
            | ServiceDeploymentStatus::StopRequested
            | ServiceDeploymentStatus::RollbackRequested
            | ServiceDeploymentStatus::RollbackInProgress => true,
            ServiceDeploymentStatus::Successful
            | ServiceDeploymentStatus::Stopped
            | ServiceDeploymentStatus::RollbackSuccessful
            | ServiceDeploymentStatus::RollbackFailed => false,
        }
    }
}

/// A version of what a service runs. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRevision {
    pub scope: Scope,
    pub cluster: String,
    pub service: String,
    /// 19 digits.
    pub id: String,
    pub family: String,
    pub revision: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    pub images: Vec<RevisionImage>,
    pub created_at: Timestamp,
}

impl Versioned for ServiceRevision {
    const VERSION: u32 = 1;
}

impl ServiceRevision {
    pub fn arn(&self) -> ServiceRevisionArn {
        ServiceRevisionArn::new(&self.scope, &self.cluster, &self.service, &self.id)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionImage {
    pub container: String,
    pub image: String,
    /// What the first task found the image to be. All later ones run the same, wherever the tag points by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}
