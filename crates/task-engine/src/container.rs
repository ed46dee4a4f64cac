//! One container of a task: its phases, and what is known about it.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::health::{Health, HealthStatus, Purpose};
use crate::report::{Binding, ContainerReport, ContainerStatus};
use crate::spec::{ContainerSpec, HealthCheck};

/// Where a container is on its way. It only ever goes down this list, except that a restart policy leads from
/// `Running` back to `Starting`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its image is not asked for yet.
    New,
    Pulling,
    /// Its image is here; its dependencies may not be.
    Pulled,
    /// Asked to start; nothing heard yet.
    Starting,
    Running {
        since: Timestamp,
    },
    /// The stop signal was sent; at `kill_at` comes the kill, once.
    Stopping {
        kill_at: Timestamp,
        killed: bool,
    },
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub spec: ContainerSpec,
    pub phase: Phase,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub runtime_id: Option<String>,
    pub image_digest: Option<String>,
    pub bindings: Vec<Binding>,
    pub health: Option<Health>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Health>,
    pub restarts: u32,
    /// The last status that went into a report.
    pub(crate) reported: ContainerStatus,
}

impl Container {
    pub(crate) fn new(spec: ContainerSpec) -> Container {
        Container {
            spec,
            phase: Phase::New,
            started_at: None,
            stopped_at: None,
            exit_code: None,
            reason: None,
            runtime_id: None,
            image_digest: None,
            bindings: Vec::new(),
            health: None,
            readiness: None,
            restarts: 0,
            reported: ContainerStatus::Pending,
        }
    }

    /// What may be told about it: `Running` from its first start to its end.
    pub fn status(&self) -> ContainerStatus {
        match (&self.phase, self.started_at) {
            (Phase::Stopped, _) => ContainerStatus::Stopped,
            (_, Some(_)) => ContainerStatus::Running,
            (_, None) => ContainerStatus::Pending,
        }
    }

    pub fn stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// A process exists, or may come to exist without another word from us.
    pub fn alive(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running { .. } | Phase::Stopping { .. })
    }

    /// `None` when it has no health check.
    pub fn health_status(&self) -> Option<HealthStatus> {
        self.spec.health.as_ref()?;
        Some(self.health.as_ref().map_or(HealthStatus::Unknown, |health| health.status))
    }

    /// `None` when nobody asks.
    pub fn is_ready(&self) -> Option<bool> {
        self.spec.readiness.as_ref()?;
        let ready = |readiness: &Health| readiness.status == HealthStatus::Healthy;
        Some(matches!(self.phase, Phase::Running { .. }) && self.readiness.as_ref().is_some_and(ready))
    }

    pub(crate) fn checked(&mut self, purpose: Purpose) -> Option<(&mut Health, &HealthCheck)> {
        match purpose {
            Purpose::Health => self.health.as_mut().zip(self.spec.health.as_ref()),
            Purpose::Readiness => self.readiness.as_mut().zip(self.spec.readiness.as_ref()),
        }
    }

    pub(crate) fn stop(&mut self, exit_code: Option<i32>, reason: Option<String>, now: Timestamp) {
        self.phase = Phase::Stopped;
        self.stopped_at = Some(now);
        self.exit_code = exit_code;
        self.reason = reason;
    }

    pub(crate) fn changed(&self) -> bool {
        self.reported.may_move_to(self.status())
    }

    pub(crate) fn report(&mut self) -> ContainerReport {
        self.reported = self.status();
        ContainerReport {
            name: self.spec.name.clone(),
            status: self.reported,
            exit_code: if self.stopped() { self.exit_code } else { None },
            reason: self.reason.clone(),
            runtime_id: self.runtime_id.clone(),
            image_digest: self.image_digest.clone(),
            bindings: self.bindings.clone(),
        }
    }
}
