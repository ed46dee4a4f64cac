//! What is told about a task, and the order in which it may be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::container::Container;
use crate::task::{Action, StopCause, Task};
use crate::words;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskStatus {
    #[default]
    Pending,
    /// Every container has been started at least once; one that has ended counts.
    Running,
    Stopped,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContainerStatus {
    #[default]
    Pending,
    Running,
    Stopped,
}

impl TaskStatus {
    /// A task never goes back; it may skip a status.
    pub fn may_move_to(self, next: TaskStatus) -> bool {
        next > self
    }

    /// As `SubmitTaskStateChange` spells it.
    pub fn name(self) -> &'static str {
        match self {
            TaskStatus::Pending => "PENDING",
            TaskStatus::Running => "RUNNING",
            TaskStatus::Stopped => "STOPPED",
        }
    }
}

impl ContainerStatus {
    /// A container never goes back, as far as anybody is told: a restart under a restart policy is not reported.
    pub fn may_move_to(self, next: ContainerStatus) -> bool {
        next > self
    }

    /// As `SubmitTaskStateChange` spells it.
    pub fn name(self) -> &'static str {
        match self {
            ContainerStatus::Pending => "PENDING",
            ContainerStatus::Running => "RUNNING",
            ContainerStatus::Stopped => "STOPPED",
        }
    }
}

/// One `SubmitTaskStateChange`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub status: TaskStatus,
    /// Empty unless the task stopped by itself: then ECS's words for it.
    pub reason: String,
    /// Only what changed since the last report.
    pub containers: Vec<ContainerReport>,
    pub pull_started_at: Option<Timestamp>,
    pub pull_stopped_at: Option<Timestamp>,
    pub execution_stopped_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerReport {
    pub name: String,
    pub status: ContainerStatus,
    /// Absent when the process never ran.
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub runtime_id: Option<String>,
    pub image_digest: Option<String>,
    pub bindings: Vec<Binding>,
}

/// One published port, as the report has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub bind_ip: String,
    pub container_port: u16,
    pub host_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The last ports of a range whose first ones are above: the container's, and the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<(u16, u16)>,
}

/// How long container changes wait for a task transition that takes them along. The official agent lets them wait for
/// 10 to 30 seconds; nobody gains by that.
const FLUSH_AFTER: Duration = Duration::from_secs(1);

impl Task {
    /// A report, if there is something to tell that cannot wait.
    pub(crate) fn report(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let moved = self.reported.may_move_to(self.status);
        if !moved && !self.containers.iter().any(Container::changed) {
            self.flush_at = None;
            return;
        }
        let flush_at = *self.flush_at.get_or_insert(now + FLUSH_AFTER);
        if !moved && now < flush_at {
            return;
        }
        self.flush_at = None;
        self.reported = self.status;
        let stopped = self.status == TaskStatus::Stopped;
        let reason = match &self.cause {
            Some(StopCause::EssentialExited { .. }) if stopped => words::ESSENTIAL_EXITED,
            _ => "",
        };
        actions.push(Action::Report(Report {
            status: self.status,
            reason: reason.to_owned(),
            containers: self
                .containers
                .iter_mut()
                .filter(|container| container.changed())
                .map(Container::report)
                .collect(),
            pull_started_at: self.pull_started_at,
            pull_stopped_at: self.pull_stopped_at,
            execution_stopped_at: if stopped { self.execution_stopped_at } else { None },
        }));
    }
}
