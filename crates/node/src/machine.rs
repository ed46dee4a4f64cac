//! The machine: opening it, and the short answers. Starting, giving back and recovering have files of their own.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::ContainerInfo;
use agent::plan::TaskPlan;
use agent::seams::{
    Attached, AttachedControl, Execute, Launched, Node, Pulled, Remains, Run, Statistics, Streams, Usage,
};
use agent_api::extras::PrepullImage;
use async_trait::async_trait;
use blobs::Digest;
use images::ImageStore;
use logs::Drivers;
use network::{Network, Redirect};
use runtime::{Cgroups, ContainerId, Runtime, RuntimeConfig, TaskId, memory_dir};
use task_engine::{Failure, Purpose};
use tokio::sync::watch;

use crate::burials::Burials;
use crate::keepsake::Keepsake;
use crate::local::LocalTask;
use crate::prepull::Prepulled;
use crate::spec::{Folders, VolumeMount};
use crate::{MachineConfig, OpenError, cdi, firelens, names, probe, signal, statistics};

/// Where containers find the task metadata endpoint. Source: Amazon ECS Developer Guide.
const METADATA: &str = "169.254.170.2:80";

/// In the node's directory.
const VOLUMES: &str = "volumes";

/// This machine, as an agent uses it.
pub struct Machine {
    pub(crate) config: MachineConfig,
    pub(crate) runtime: Runtime,
    pub(crate) network: Network,
    pub(crate) cgroups: Cgroups,
    pub(crate) burials: Arc<Burials>,
    tasks: Mutex<BTreeMap<String, Arc<LocalTask>>>,
    /// How many tasks wait for an image.
    pub(crate) waiting: watch::Sender<usize>,
    pub(crate) prepulled: Mutex<Prepulled>,
}

impl Machine {
    /// Looks whether this machine has what containers need, and makes what all of them share. Containers of an earlier
    /// run stay as they are; [`Node::recover`] comes next.
    pub async fn open(config: MachineConfig) -> Result<Arc<Machine>, OpenError> {
        let at = config.clone();
        let opened = tokio::task::spawn_blocking(move || open_runtime(&at)).await;
        let (runtime, cgroups) = opened.map_err(|_| OpenError::Abandoned)??;
        let mut settings = config.network.clone();
        let from = METADATA.parse().expect("the endpoint's address is one");
        settings.redirects = config.metadata_port.map(|to_port| Redirect { from, to_port }).into_iter().collect();
        let network = Network::open(settings).await.map_err(OpenError::Network)?;
        let (tasks, waiting, prepulled) = (Mutex::default(), watch::Sender::new(0), Mutex::default());
        Ok(Arc::new(Machine { config, runtime, network, cgroups, burials: Arc::default(), tasks, waiting, prepulled }))
    }

    /// For the task metadata endpoint: container `index` of a task, by the task's id.
    pub fn container_info(&self, task: &str, index: usize) -> ContainerInfo {
        let Some(task) = self.tasks().get(task).cloned() else { return ContainerInfo::default() };
        let network = task.containers.get(index).and_then(|container| container.network.get());
        let ip = network.and_then(|net| net.attachment.link.as_ref()).map(|link| link.ip.to_string());
        let network_mode = crate::spec::mode(&task.plan).to_string();
        // What cannot be mounted is the start's to say.
        let mounts = crate::spec::folders(&task.plan, index, &self.folders(&task.plan)).unwrap_or_default();
        let volumes = mounts.iter().map(VolumeMount::info).collect();
        ContainerInfo { network_mode, ipv4_addresses: ip.into_iter().collect(), volumes }
    }

    /// The images of all containers here, for [`images::Keep`].
    pub fn images_in_use(&self) -> HashSet<Digest> {
        let tasks: Vec<Arc<LocalTask>> = self.tasks().values().cloned().collect();
        let containers = tasks.iter().flat_map(|task| &task.containers);
        containers.filter_map(|container| container.image_digest()?.parse().ok()).collect()
    }

    /// The address under which containers reach this host.
    pub fn gateway(&self) -> std::net::Ipv4Addr {
        self.network.gateway()
    }

    pub fn images(&self) -> &ImageStore {
        &self.config.images
    }

    /// Removes bridge, table and cgroup, provided that no container is left. Without this they stay, which is what a restart
    /// wants.
    pub async fn close(&self) -> Result<(), network::NetworkError> {
        self.network.clone().close().await?;
        // The network stays while a container is left; so does what containers need.
        self.cgroups.remove_if_empty(&self.config.cgroup_parent);
        // Empty, for each task has given back its own.
        let _ = std::fs::remove_dir(firelens::dir(&self.config.state_dir));
        memory_dir::release(&self.config.state_dir);
        Ok(())
    }

    pub(crate) fn logs(&self) -> &Drivers {
        &self.config.logs
    }

    /// The task of this plan; a new one when nobody has asked before.
    pub(crate) fn local(&self, plan: &Arc<TaskPlan>) -> Arc<LocalTask> {
        let mut tasks = self.tasks();
        let new = || Arc::new(LocalTask::new(plan.clone()));
        tasks.entry(plan.id.clone()).or_insert_with(new).clone()
    }

    /// False once everything of the task was given back, or when only an earlier agent knew it: those of its tasks that run are taken up.
    pub(crate) fn may_run(&self, id: &str) -> bool {
        let task = self.tasks().get(id).cloned();
        // While somebody gives it back, nobody else can tell.
        task.is_some_and(|task| task.may_run())
    }

    pub(crate) fn known(&self, plan: &TaskPlan) -> Option<Arc<LocalTask>> {
        self.tasks().get(&plan.id).cloned()
    }

    /// The one task whose id begins so.
    pub(crate) fn beginning_with(&self, id: &str) -> Option<Arc<LocalTask>> {
        let tasks = self.tasks();
        let mut found = tasks.values().filter(|task| task.plan.id.starts_with(id));
        found.next().filter(|_| found.next().is_none()).cloned()
    }

    pub(crate) fn forget(&self, plan: &TaskPlan) -> Option<Arc<LocalTask>> {
        self.tasks().remove(&plan.id)
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<String, Arc<LocalTask>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn volumes_dir(&self) -> PathBuf {
        self.config.node_dir.join(VOLUMES)
    }

    pub(crate) fn folders(&self, plan: &TaskPlan) -> Folders {
        let volumes = self.volumes_dir();
        Folders { task: volumes.join("tasks").join(&plan.id), shared: volumes.join("shared") }
    }

    async fn signal(&self, run: &Run, signal: i32) {
        let Some(shim) = self.known(&run.task).and_then(|task| task.shim.get().cloned()) else { return };
        if let Err(error) = shim.kill(&names::run_id(run), signal).await {
            tracing::warn!(task = run.task.id, container = run.task.containers[run.container].name, signal, %error, "a signal was not sent");
        }
    }
}

/// Blocking.
fn open_runtime(config: &MachineConfig) -> Result<(Runtime, Cgroups), OpenError> {
    probe::check_root()?;
    for program in [Some(&config.shim), Some(&config.oci_runtime), config.init.as_ref()].into_iter().flatten() {
        probe::check_program(program)?;
    }
    let tasks_dir = config.node_dir.join("tasks");
    for dir in [&tasks_dir, &config.node_dir.join(VOLUMES)] {
        probe::make_private_dir(dir)?;
    }
    probe::check_overlay(&config.node_dir)?;
    let cgroups = probe::cgroups(&config.cgroup_parent)?;
    let unusable = |source| OpenError::Directory { path: config.state_dir.clone(), source };
    memory_dir::ensure(&config.state_dir).map_err(unusable)?;
    let runtime = Runtime::new(RuntimeConfig {
        shim: config.shim.clone(),
        oci: config.oci_runtime.clone(),
        tasks_dir,
        cgroup_parent: config.cgroup_parent.clone(),
        state_dir: Some(config.state_dir.join("tasks")),
    });
    Ok((runtime.map_err(OpenError::Runtime)?, cgroups))
}

#[async_trait]
impl Node for Machine {
    fn gpus(&self) -> Vec<String> {
        cdi::Gpus::read(&self.config.cdi_dirs).ids()
    }

    async fn prepare(&self, task: &Arc<TaskPlan>) {
        self.prepare_task(task).await;
    }

    async fn pull(&self, run: &Run) -> Result<Pulled, Failure> {
        self.pull_image(run).await
    }

    async fn prepull(&self, image: &PrepullImage) -> Result<(), Failure> {
        self.prepull_image(image).await
    }

    async fn start(&self, run: &Run) -> Result<Launched, Failure> {
        self.launch(run).await
    }

    async fn stop(&self, run: &Run) {
        let Some(shim) = self.known(&run.task).and_then(|task| task.shim.get().cloned()) else { return };
        let keepsake = Keepsake::read(&shim.container_dir(&names::run_id(run)));
        let name = keepsake.and_then(|keepsake| keepsake.stop_signal);
        let number = name.as_deref().and_then(signal::number).unwrap_or(libc::SIGTERM);
        self.signal(run, number).await;
    }

    async fn kill(&self, run: &Run) {
        self.signal(run, libc::SIGKILL).await;
    }

    async fn check_health(&self, run: &Run, purpose: Purpose) -> Result<(), String> {
        self.ask_health(run, purpose).await
    }

    async fn execute(&self, run: &Run, execute: &Execute) -> Result<Attached, String> {
        let shim = self.known(&run.task).and_then(|task| task.shim.get().cloned());
        let shim = shim.ok_or_else(|| "the container is not running".to_owned())?;
        let attach = match execute.streams {
            Streams::Terminal(size) => runtime::Attach::Terminal(size),
            Streams::Pipes => runtime::Attach::Pipes,
        };
        let attached = shim.attach(&names::run_id(run), &execute.command, attach).await;
        let attached = attached.map_err(|error| error.to_string())?;
        Ok(Attached {
            input: attached.input,
            output: attached.output,
            errors: attached.errors,
            control: Box::new(Executing(attached.control)),
            ended: attached.ended,
        })
    }

    async fn usages(&self, runs: &[Run]) -> Vec<Option<Usage>> {
        let (parent, cgroups) = (self.config.cgroup_parent.clone(), self.cgroups.clone());
        let names: Vec<_> = runs.iter().map(|run| (names::task_id(&run.task), names::run_id(run))).collect();
        let usage = move |(task, run): &(TaskId, ContainerId)| {
            let used = cgroups.usage(&cgroups.container_path(&parent, task, run))?;
            Some(Usage { cpu: used.cpu, memory_bytes: used.memory_bytes })
        };
        let read = tokio::task::spawn_blocking(move || names.iter().map(usage).collect());
        read.await.unwrap_or_else(|_| vec![None; runs.len()])
    }

    async fn statistics(&self, run: &Run) -> Option<Statistics> {
        let (task, name) = (names::task_id(&run.task), names::run_id(run));
        let known = self.known(&run.task)?;
        let has_network = known.containers.get(run.container)?.network.get()?.attachment.link.is_some();
        let (parent, cgroups) = (self.config.cgroup_parent.clone(), self.cgroups.clone());
        let read = move || statistics::of_cgroup(&cgroups, &cgroups.container_path(&parent, &task, &name), has_network);
        tokio::task::spawn_blocking(read).await.ok()?
    }

    async fn release(&self, task: &Arc<TaskPlan>) {
        self.release_task(task).await;
    }

    async fn remove(&self, task: &Arc<TaskPlan>) {
        self.remove_task(task).await;
    }

    async fn recover(&self, runs: Vec<Run>, ended: Vec<Arc<TaskPlan>>) -> Vec<(Run, Remains)> {
        self.recover_runs(runs, ended).await
    }
}

struct Executing(runtime::AttachedControl);

impl AttachedControl for Executing {
    fn resize(&self, columns: u16, rows: u16) {
        self.0.resize(columns, rows);
    }

    fn hang_up(&self) {
        self.0.hang_up();
    }

    fn kill(&self) {
        self.0.kill();
    }
}
