//! What containers of one task share: the process that is the first of their pid namespace, and their shared memory.
//!
//! `pidMode` and `ipcMode` of `task` need somebody who is there before the first container and after the last one. As with
//! the official agent that is one more container, which does nothing; it is the shim's like the others, so the next agent
//! finds it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{ContainerSpec, Namespace, SHM_BYTES, Task, memory_dir};
use task_engine::Failure;

use crate::local::LocalTask;
use crate::spec::Shared;
use crate::{Machine, failure};

/// Its name among the task's containers, which have hexadecimal ones.
const NAME: &str = "pause";

/// In the node's directory: the only layer of its image.
const LAYER: &str = "pause";

impl Machine {
    /// The namespaces that the task's containers have in common; made for the first who asks.
    pub(crate) async fn shared(&self, task: &LocalTask, shim: &Arc<dyn Task>) -> Result<Shared, Failure> {
        let modes =
            [&task.plan.payload.pid_mode, &task.plan.payload.ipc_mode].map(|mode| mode.as_deref() == Some("task"));
        let [pid, ipc] = modes;
        if !pid && !ipc {
            return Ok(Shared::default());
        }
        let make = || async {
            let program =
                self.config.init.as_deref().ok_or_else(|| failure::unavailable("sharing of namespaces is"))?;
            let layer = self.config.node_dir.join(LAYER);
            let (from, to) = (program.to_owned(), layer.clone());
            let made = tokio::task::spawn_blocking(move || write_layer(&from, &to)).await;
            made.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| failure::resource(&error))?;
            let id = NAME.parse().expect("it is a name");
            let spec = ContainerSpec {
                network: Namespace::Private,
                hostname: NAME.to_owned(),
                ..ContainerSpec::new(id, vec![layer], vec!["/pause".to_owned()])
            };
            let started = shim.start(&spec).await.map_err(|error| failure::runtime(&error))?;
            let shm = match ipc {
                true => Some(self.shared_memory(&task.plan.id).map_err(|error| failure::resource(&error))?),
                false => None,
            };
            let namespace = |kind: &str| PathBuf::from(format!("/proc/{}/ns/{kind}", started.pid));
            Ok(Shared { pid: pid.then(|| namespace("pid")), ipc: ipc.then(|| namespace("ipc")), shm })
        };
        task.shared.get_or_try_init(make).await.cloned()
    }

    /// The folder that is mounted at every container's `/dev/shm`.
    fn shared_memory(&self, task: &str) -> io::Result<PathBuf> {
        let dir = self.shared_memory_dir().join(task);
        memory_dir::ensure_own(&dir, SHM_BYTES)?;
        Ok(dir)
    }

    fn shared_memory_dir(&self) -> PathBuf {
        self.config.state_dir.join("shm")
    }

    /// Fine for a task that has none.
    pub(crate) fn release_shared_memory(&self, task: &str) {
        memory_dir::release_with_content(&self.shared_memory_dir().join(task));
    }

    /// Of tasks that are not among these.
    pub(crate) fn release_strange_memory(&self, owned: &std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(self.shared_memory_dir()).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| !owned.contains(name)) {
                memory_dir::release_with_content(&entry.path());
            }
        }
    }
}

/// Aside and renamed: a container may be running it.
fn write_layer(program: &Path, layer: &Path) -> io::Result<()> {
    let path = layer.join("pause");
    let bytes = std::fs::read(program)?;
    if std::fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::create_dir_all(layer)?;
    let aside = layer.join(format!(".pause-{:?}", std::thread::current().id()));
    std::fs::copy(program, &aside)?;
    std::fs::rename(aside, path)
}
