//! What the caller may choose about a machine, and what a machine may lack.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use images::{Auth, ImageStore, Progress, PullBehavior};
use logs::Drivers;
use network::{NetworkConfig, NetworkError};
use objects::Buckets;
use runtime::RuntimeError;

use crate::failure::chain;

pub type OnPull = Arc<dyn Fn(&str, Progress) + Send + Sync>;

/// Programs, directories and names of one node. Two nodes on one machine share none of them.
#[derive(Clone)]
pub struct MachineConfig {
    /// Tasks, volumes and records live here. Not on an overlay file system.
    pub node_dir: PathBuf,
    /// The shim's program.
    pub shim: PathBuf,
    /// The OCI runtime's program: a path, or a name to look for in `PATH`.
    pub oci_runtime: PathBuf,
    /// A static program that can be a container's first process, for `initProcessEnabled`. Without one, containers that
    /// want it do not start.
    pub init: Option<PathBuf>,
    pub images: ImageStore,
    pub logs: Arc<Drivers>,
    /// `ECS_IMAGE_PULL_BEHAVIOR`.
    pub pull_behavior: PullBehavior,
    /// For images whose payload asks for ECR's authorization.
    pub ecr_auth: Auth,
    /// The cgroup below which every task has its own. An official agent's tasks may be there as well.
    pub cgroup_parent: String,
    /// Where the task metadata endpoint listens, on 127.0.0.1 or on all addresses: 169.254.170.2:80 leads there.
    pub metadata_port: Option<u16>,
    /// The most processes of one task, as `ECS_TASK_PIDS_LIMIT` of the official agent; without it there is no limit.
    pub task_pids_limit: Option<u64>,
    /// Where the files of the Container Device Interface are that name this machine's GPUs.
    pub cdi_dirs: Vec<PathBuf>,
    /// Kept in memory: what containers need while they run, and is worth nothing after a reboot.
    pub state_dir: PathBuf,
    /// Where `environmentFiles` are, and the configurations of log routers.
    pub buckets: Buckets,
    /// Is told how far the pull of an image is, by its name, often and from any thread; it should return at once.
    pub on_pull: Option<OnPull>,
    /// Bridge, table, subnet, ports. Its redirects are overwritten.
    pub network: NetworkConfig,
}

impl MachineConfig {
    /// The usual names. `run_dir` must not survive a reboot: `/run/berth`.
    pub fn new(
        node_dir: impl Into<PathBuf>,
        run_dir: impl Into<PathBuf>,
        images: ImageStore,
        logs: Arc<Drivers>,
    ) -> MachineConfig {
        let (node_dir, run_dir) = (node_dir.into(), run_dir.into());
        let state_dir = run_dir.join("state");
        MachineConfig {
            network: NetworkConfig::new(state_dir.join("network"), run_dir.join("netns")),
            node_dir,
            shim: PathBuf::from("berth-shim"),
            oci_runtime: PathBuf::from("berth-oci"),
            init: None,
            images,
            logs,
            pull_behavior: PullBehavior::Default,
            ecr_auth: Auth::Anonymous,
            cgroup_parent: "/ecs".to_owned(),
            metadata_port: None,
            task_pids_limit: None,
            cdi_dirs: crate::cdi::DIRS.map(PathBuf::from).to_vec(),
            state_dir,
            buckets: Buckets::amazon(),
            on_pull: None,
        }
    }
}

/// What the machine lacks, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("running containers needs root: start the node as root, with sudo for example")]
    NotRoot,
    #[error("the program {} is not there or not executable: install Berth completely, or name another", path.display())]
    Program { path: PathBuf },
    #[error("cannot use the directory {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "cannot mount images below {}: {source}; the kernel needs overlayfs (`modprobe overlay`), and the data directory a \
         file system that is not an overlay itself, such as ext4, xfs or tmpfs",
        path.display()
    )]
    Overlay { path: PathBuf, source: io::Error },
    #[error(
        "cannot limit containers in the cgroup {path}: {source}; the node needs the memory, cpu and pids controllers mounted \
         writable at /sys/fs/cgroup"
    )]
    Cgroups { path: String, source: io::Error },
    #[error("cannot make the containers' network: {}", chain(.0))]
    Network(NetworkError),
    #[error("cannot start containers: {}", chain(.0))]
    Runtime(RuntimeError),
    #[error("cannot look at this machine: the work was abandoned")]
    Abandoned,
}
