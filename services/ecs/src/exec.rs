//! ECS Exec: what an operation asks of whoever reaches the agents.

use model::{Task, TaskStatus};

/// A program to start in a container that runs, for a client that comes with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRequest {
    pub session_id: String,
    /// The record name of the container instance.
    pub instance: String,
    pub task_arn: String,
    pub container: String,
    /// The words of the command.
    pub command: Vec<String>,
    /// With a terminal.
    pub interactive: bool,
    pub logs: Option<ExecLogs>,
    pub bucket: Option<ExecBucket>,
}

/// Where what is typed and shown is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecLogs {
    pub group: String,
    pub region: String,
}

/// Where the same is kept as an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecBucket {
    pub name: String,
    /// Before the session's name, with a slash between them; may be empty.
    pub key_prefix: String,
    pub is_encrypted: bool,
    pub region: String,
}

/// There are as many sessions as there may be.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManySessions;

/// Where sessions are opened. Any call may run beside any other.
pub trait ExecSessions: Send + Sync {
    /// Keeps a place for a while, and answers the token for it, which is good for one client.
    fn open(&self, request: ExecRequest) -> Result<String, TooManySessions>;
}

/// The name of the agent that AWS puts beside a program, and that clients look for. Source: Amazon ECS API Reference, `ManagedAgent`.
pub(crate) const AGENT: &str = "ExecuteCommandAgent";

/// Berth's own agent runs programs itself. On AWS's, an agent of Systems Manager in the container would, which knows no Berth.
pub(crate) fn can_serve(instance: &model::ContainerInstance) -> bool {
    instance.version_info.agent_hash == BERTH_AGENT
}

/// What Berth's agent says where the official one names its build.
const BERTH_AGENT: &str = "berth";

pub(crate) fn session_id(ids: &mut stdx::Ids) -> String {
    format!("ecs-execute-command-0{}", &ids.hex()[..16])
}

/// What clients are shown as the state of the agent in a container.
pub(crate) fn agent_status(task: &Task, container: &model::Container, served: bool) -> &'static str {
    match container.last_status {
        TaskStatus::Running if served => "RUNNING",
        TaskStatus::Stopped => "STOPPED",
        _ if task.last_status == TaskStatus::Stopped => "STOPPED",
        _ => "PENDING",
    }
}
