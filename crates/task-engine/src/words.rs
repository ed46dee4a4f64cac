//! ECS's words for why a container or a task stopped. People search for them, and programs compare them.
//!
//! `docs/stop-words.md` says when each is used, and which test shows it.

/// Why something could not be done, with ECS's word for it in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Pull,
    Create,
    Start,
    Volume,
    Resource,
    HostConfig,
    Dependency,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into() }
    }

    /// `CannotStartContainerError: exec: "x": not found`.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.kind.name(), self.message)
    }
}

impl FailureKind {
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Pull => "CannotPullContainerError",
            FailureKind::Create => "CannotCreateContainerError",
            FailureKind::Start => "CannotStartContainerError",
            FailureKind::Volume => "CannotCreateVolumeError",
            FailureKind::Resource => "ResourceInitializationError",
            FailureKind::HostConfig => "HostConfigError",
            FailureKind::Dependency => "TaskDependencyError",
        }
    }
}

/// Of a task whose essential container ended.
pub const ESSENTIAL_EXITED: &str = "Essential container in task exited";

/// Of a container that the kernel killed for its memory.
pub const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";

/// Of a container that an agent, started anew, finds nothing of.
pub const GONE: &str = "CannotInspectContainerError: the container is gone; was the machine restarted?";

/// The same, where the machine has been started since.
pub const GONE_WITH_THE_MACHINE: &str = "CannotInspectContainerError: the container is gone: the machine was restarted";

/// Of a task that the agent is told to stop and does not know.
pub const UNKNOWN_TASK: &str = "TaskStateError: Agent could not progress task's state to stopped";

/// Of a payload that makes no task. The spelling is the official agent's.
pub const UNREADABLE_TASK: &str = "UnrecogniedTaskError: Error loading task";
