//! What is known of containers.

use shim_api::ExitRecord;
use stdx::Timestamp;

use crate::ContainerId;

/// A started container's first process, as the host numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    pub pid: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    pub id: ContainerId,
    pub state: ContainerState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    Starting,
    Running {
        pid: i32,
        started_at: Timestamp,
    },
    Exited(Exit),
    /// It never ran; why, for its owner.
    Failed {
        message: String,
    },
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The process id it had, seen from the host.
    pub pid: i32,
    /// As a shell reports it: the exit status, or 128 plus the signal.
    pub code: i32,
    pub signal: Option<i32>,
    pub oom_killed: bool,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// Something that the code does not tell, for the container's owner.
    pub reason: Option<String>,
}

/// One change. It says where to look; the state at the time of looking is what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Container(ContainerStatus),
    /// A container was removed.
    Gone(ContainerId),
}

impl ContainerState {
    /// Starting or running.
    pub fn is_alive(&self) -> bool {
        matches!(self, ContainerState::Starting | ContainerState::Running { .. })
    }
}

impl From<&ExitRecord> for Exit {
    fn from(record: &ExitRecord) -> Exit {
        let lost = "the container's shim was killed, and what was left of the container with it";
        Exit {
            pid: record.pid,
            code: record.exit_code,
            signal: record.signal,
            oom_killed: record.oom_killed,
            started_at: timestamp(record.started_at),
            finished_at: timestamp(record.finished_at),
            reason: record.lost.then(|| lost.to_owned()),
        }
    }
}

/// From nanoseconds since the epoch.
pub(crate) fn timestamp(nanos: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX))
}
