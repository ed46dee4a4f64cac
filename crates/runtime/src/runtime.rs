//! The runtime of this machine.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::prepare::{ContainerDir, OCI_ROOT};
use crate::task::ShimTask;
use crate::{Cgroups, ContainerId, ContainerRuntime, Host, Limits, RuntimeError, Task, TaskId, mount_points, spread};

#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// The shim's program.
    pub shim: PathBuf,
    /// The OCI runtime's program: a path, or a name to look for in `PATH`.
    pub oci: PathBuf,
    /// Tasks live here, a directory each. Absolute, and not on an overlay file system.
    pub tasks_dir: PathBuf,
    /// The cgroup below which every task has its own: `/ecs`.
    pub cgroup_parent: String,
    /// Where the OCI runtime's state and bundles are kept, best in memory. None keeps them beside each task.
    pub state_dir: Option<PathBuf>,
}

/// Starts containers for real. Needs root.
pub struct Runtime {
    environment: Arc<Environment>,
    /// One object for each task, so that two callers see the same states.
    tasks: tokio::sync::Mutex<HashMap<TaskId, Weak<ShimTask>>>,
}

/// What every task needs to know.
pub struct Environment {
    pub config: RuntimeConfig,
    pub host: Host,
    pub cgroups: Cgroups,
    /// See [`mount_points`].
    pub mount_points: PathBuf,
}

impl Environment {
    /// What of a task is worth nothing after a reboot, and so need not be on the disk.
    pub fn state_dir(&self, task: &TaskId) -> PathBuf {
        self.config.state_dir.as_ref().unwrap_or(&self.config.tasks_dir).join(task.as_str())
    }

    /// The OCI runtime's `--root` for a task.
    pub fn oci_root(&self, task: &TaskId) -> PathBuf {
        self.state_dir(task).join(OCI_ROOT)
    }

    pub fn cgroup(&self, task: &TaskId, container: &ContainerId) -> String {
        self.cgroups.container_path(&self.config.cgroup_parent, task, container)
    }

    pub fn container_dir(&self, task: &TaskId, container: &ContainerId) -> ContainerDir {
        let within = |task_dir: PathBuf| task_dir.join(shim_api::CONTAINERS_NAME).join(container.as_str());
        ContainerDir { disk: within(self.config.tasks_dir.join(task.as_str())), state: within(self.state_dir(task)) }
    }
}

impl Runtime {
    /// Looks at the machine and makes the directory of the tasks.
    pub fn new(config: RuntimeConfig) -> Result<Runtime, RuntimeError> {
        if !config.tasks_dir.is_absolute() {
            let message = format!("{} is not an absolute path", config.tasks_dir.display());
            return Err(RuntimeError::InvalidSpec(message));
        }
        fs::create_dir_all(&config.tasks_dir).map_err(RuntimeError::io("create", &config.tasks_dir))?;
        if let Err(err) = spread::over_the_disk(&config.tasks_dir) {
            tracing::debug!(%err, "the file system does not spread directories");
        }
        if let Some(dir) = &config.state_dir {
            fs::create_dir_all(dir).map_err(RuntimeError::io("create", dir))?;
        }
        let cgroups = Cgroups::detect().map_err(RuntimeError::io("look at", "/sys/fs/cgroup"))?;
        let mount_points = config.tasks_dir.with_file_name(mount_points::NAME);
        mount_points::ensure(&mount_points).map_err(RuntimeError::io("create", &mount_points))?;
        let environment = Arc::new(Environment { config, host: Host::probe(), cgroups, mount_points });
        Ok(Runtime { environment, tasks: tokio::sync::Mutex::default() })
    }

    async fn task(&self, id: &TaskId) -> Arc<ShimTask> {
        let mut tasks = self.tasks.lock().await;
        if let Some(task) = tasks.get(id).and_then(Weak::upgrade) {
            return task;
        }
        tasks.retain(|_, task| task.strong_count() > 0);
        let task = ShimTask::new(id.clone(), self.environment.clone());
        tasks.insert(id.clone(), Arc::downgrade(&task));
        task
    }
}

#[async_trait]
impl ContainerRuntime for Runtime {
    async fn open_task(&self, id: &TaskId, limits: &Limits) -> Result<Arc<dyn Task>, RuntimeError> {
        let task = self.task(id).await;
        task.open(limits).await?;
        Ok(task)
    }

    async fn find_task(&self, id: &TaskId) -> Result<Option<Arc<dyn Task>>, RuntimeError> {
        let task = self.task(id).await;
        if !task.exists() {
            return Ok(None);
        }
        task.recover().await?;
        Ok(Some(task))
    }

    async fn recover(&self) -> Result<Vec<Arc<dyn Task>>, RuntimeError> {
        let dir = &self.environment.config.tasks_dir;
        let entries = match fs::read_dir(dir) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(RuntimeError::io("list", dir))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What has no task's name was not made by us.
        let mut ids = names.filter_map(|name| name.parse::<TaskId>().ok()).collect::<Vec<_>>();
        ids.sort();
        let mut tasks = Vec::<Arc<dyn Task>>::new();
        for id in ids {
            let task = self.task(&id).await;
            // Whoever ends or removes this one meets the error again. The others do not suffer for it.
            if let Err(error) = task.recover().await {
                tracing::error!(task = %id, %error, "a task of an earlier process cannot be taken up");
            }
            tasks.push(task);
        }
        Ok(tasks)
    }
}
