//! What can go wrong with containers.

use std::io;
use std::path::{Path, PathBuf};

use crate::{ContainerId, TaskId};

#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The container never ran. The message is for its owner: it becomes ECS's `CannotStartContainerError`.
    #[error("failed to start container {container}: {message}")]
    CannotStart { container: ContainerId, message: String },

    /// One more program did not run in a container. The reason is for who asked.
    #[error("{reason}")]
    CannotExecute { reason: String },

    /// It ran before; a container runs once.
    #[error("container {container} has already ended")]
    AlreadyEnded { container: ContainerId },

    /// A container was to be removed, or a task closed, that still runs.
    #[error("container {container} is running")]
    StillRunning { container: ContainerId },

    #[error("invalid user {user:?}: {reason}")]
    InvalidUser { user: String, reason: String },

    #[error("invalid container specification: {0}")]
    InvalidSpec(String),

    /// The shim could not be started, or went away in the middle.
    #[error("the shim of task {task} is gone: {reason}")]
    ShimGone { task: TaskId, reason: String },

    /// The shim refused what should always work.
    #[error("the shim of task {task} refused: {message}")]
    Refused { task: TaskId, message: String },

    #[error("failed to {action} {path}: {source}", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl RuntimeError {
    /// Gives an operating system's error the words around it: `.map_err(RuntimeError::io("create", path))`.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> RuntimeError {
        let path = path.as_ref().to_owned();
        move |source| RuntimeError::Io { action, path, source }
    }
}
