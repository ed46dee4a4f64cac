//! A runtime without containers, for tests of what is built on top.
//!
//! A container "runs" until a test says that it ended, or until it is killed: `SIGKILL` always ends it, `SIGTERM` too
//! unless [`FakeRuntime::ignore_sigterm`] was called for it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stdx::Timestamp;
use tokio::sync::broadcast;

use crate::board::Board;
use crate::link::lock;
use crate::{
    Attach, Attached, ContainerId, ContainerRuntime, ContainerSpec, ContainerState, ContainerStatus, Event, Executed,
    Exit, Limits, RuntimeError, Started, Task, TaskId,
};

pub struct FakeRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    /// For containers' directories.
    dir: PathBuf,
    tasks: Mutex<HashMap<TaskId, Arc<FakeTask>>>,
    failing: Mutex<HashMap<ContainerId, String>>,
    stubborn: Mutex<HashSet<ContainerId>>,
    next_pid: AtomicI32,
}

struct FakeTask {
    id: TaskId,
    board: Board,
    specs: Mutex<HashMap<ContainerId, ContainerSpec>>,
    shared: Arc<Shared>,
}

impl FakeRuntime {
    /// Containers get directories below `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> FakeRuntime {
        FakeRuntime {
            shared: Arc::new(Shared {
                dir: dir.into(),
                tasks: Mutex::default(),
                failing: Mutex::default(),
                stubborn: Mutex::default(),
                next_pid: AtomicI32::new(1000),
            }),
        }
    }

    /// From now on containers of this name fail to start, with this message.
    pub fn fail_start(&self, container: &ContainerId, message: &str) {
        lock(&self.shared.failing).insert(container.clone(), message.to_owned());
    }

    /// From now on containers of this name do not end by `SIGTERM`.
    pub fn ignore_sigterm(&self, container: &ContainerId) {
        lock(&self.shared.stubborn).insert(container.clone());
    }

    /// A container's program ends by itself. False if it does not run.
    pub fn exit(&self, task: &TaskId, container: &ContainerId, code: i32) -> bool {
        let task = lock(&self.shared.tasks).get(task).cloned();
        task.is_some_and(|task| task.end(container, code, None))
    }

    /// What a container was started with.
    pub fn spec(&self, task: &TaskId, container: &ContainerId) -> Option<ContainerSpec> {
        let task = lock(&self.shared.tasks).get(task).cloned()?;
        lock(&task.specs).get(container).cloned()
    }

    /// The tasks that are open.
    pub fn tasks(&self) -> Vec<TaskId> {
        let mut ids = lock(&self.shared.tasks).keys().cloned().collect::<Vec<_>>();
        ids.sort();
        ids
    }
}

#[async_trait]
impl ContainerRuntime for FakeRuntime {
    async fn open_task(&self, id: &TaskId, _limits: &Limits) -> Result<Arc<dyn Task>, RuntimeError> {
        let shared = self.shared.clone();
        let new = || Arc::new(FakeTask { id: id.clone(), board: Board::new(), specs: Mutex::default(), shared });
        Ok(lock(&self.shared.tasks).entry(id.clone()).or_insert_with(new).clone())
    }

    async fn find_task(&self, id: &TaskId) -> Result<Option<Arc<dyn Task>>, RuntimeError> {
        Ok(lock(&self.shared.tasks).get(id).cloned().map(|task| task as Arc<dyn Task>))
    }

    async fn recover(&self) -> Result<Vec<Arc<dyn Task>>, RuntimeError> {
        Ok(lock(&self.shared.tasks).values().cloned().map(|task| task as Arc<dyn Task>).collect())
    }
}

impl FakeTask {
    fn end(&self, container: &ContainerId, code: i32, signal: Option<i32>) -> bool {
        let Some(ContainerState::Running { pid, started_at }) = self.board.get(container) else { return false };
        let exit = Exit { pid, code, signal, oom_killed: false, started_at, finished_at: started_at, reason: None };
        self.board.set(container, ContainerState::Exited(exit));
        true
    }
}

#[async_trait]
impl Task for FakeTask {
    fn id(&self) -> &TaskId {
        &self.id
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<Started, RuntimeError> {
        let container = spec.id.clone();
        match self.board.get(&container) {
            Some(ContainerState::Running { pid, .. }) => return Ok(Started { pid }),
            Some(ContainerState::Failed { message }) => return Err(RuntimeError::CannotStart { container, message }),
            Some(_) => return Err(RuntimeError::AlreadyEnded { container }),
            None => {}
        }
        if let Some(message) = lock(&self.shared.failing).get(&container).cloned() {
            self.board.set(&container, ContainerState::Failed { message: message.clone() });
            return Err(RuntimeError::CannotStart { container, message });
        }
        lock(&self.specs).insert(container.clone(), spec.clone());
        let pid = self.shared.next_pid.fetch_add(1, Ordering::Relaxed);
        self.board.set(&container, ContainerState::Starting);
        self.board.set(&container, ContainerState::Running { pid, started_at: Timestamp::EPOCH });
        Ok(Started { pid })
    }

    async fn kill(&self, container: &ContainerId, signal: i32) -> Result<(), RuntimeError> {
        let ends = match signal {
            libc::SIGKILL => true,
            libc::SIGTERM => !lock(&self.shared.stubborn).contains(container),
            _ => false,
        };
        if ends {
            self.end(container, 128 + signal, Some(signal));
        }
        Ok(())
    }

    async fn exec(
        &self,
        container: &ContainerId,
        _args: &[String],
        _timeout: Duration,
    ) -> Result<Executed, RuntimeError> {
        let alive = self.board.get(container).is_some_and(|state| state.is_alive());
        Ok(Executed::Exited(if alive { 0 } else { 1 }))
    }

    /// There is nothing in a fake container that could be executed.
    async fn attach(&self, _: &ContainerId, args: &[String], _: Attach) -> Result<Attached, RuntimeError> {
        let program = args.first().cloned().unwrap_or_default();
        Err(RuntimeError::CannotExecute { reason: format!("exec: {program:?}: executable file not found in $PATH") })
    }

    fn status(&self) -> Vec<ContainerStatus> {
        self.board.list()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.board.subscribe()
    }

    async fn remove(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        if self.board.get(container).is_some_and(|state| state.is_alive()) {
            return Err(RuntimeError::StillRunning { container: container.clone() });
        }
        self.board.remove(container);
        Ok(())
    }

    async fn end(&self) -> Result<(), RuntimeError> {
        match self.board.any_alive() {
            Some(container) => Err(RuntimeError::StillRunning { container }),
            None => Ok(()),
        }
    }

    async fn close(&self) -> Result<(), RuntimeError> {
        if let Some(container) = self.board.any_alive() {
            return Err(RuntimeError::StillRunning { container });
        }
        lock(&self.shared.tasks).remove(&self.id);
        Ok(())
    }

    fn container_dir(&self, container: &ContainerId) -> PathBuf {
        self.shared.dir.join(self.id.as_str()).join(container.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_fake_passes_the_exam() {
        let runtime = FakeRuntime::new("/nowhere");
        let sleeper = |id: ContainerId| ContainerSpec::new(id, vec!["/layer".into()], vec!["sleep".into()]);
        crate::exam::exam(&runtime, &"exam".parse().unwrap(), sleeper).await;
        assert!(runtime.tasks().is_empty());
    }
}
