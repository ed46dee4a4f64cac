//! From a task's plan and an image to a container's specification. Nothing here looks at the machine.

mod command;
mod environment;
mod etc;
mod limits;
mod links;
mod options;
mod ports;
mod selinux;
mod volumes;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use agent::plan::TaskPlan;
use images::ImageConfig;
use runtime::{ContainerId, ContainerSpec, Namespace, Ring};
use task_engine::Failure;

pub use environment::environment;
pub use etc::HostFiles;
pub use limits::task_limits;
pub use links::Peer;
pub use ports::{mode, port_mappings, told};
pub use selinux::SelinuxContexts;
pub use volumes::{Folder, Folders, VolumeMount, folders};

use crate::cdi::Edits;
use crate::failure;

/// What was found out about the world for one container.
#[derive(Debug, Clone)]
pub struct Around<'a> {
    pub id: ContainerId,
    /// 64 hexadecimal digits.
    pub runtime_id: &'a str,
    pub image: &'a ImageConfig,
    /// The topmost first.
    pub lower_dirs: Vec<PathBuf>,
    /// None in host mode.
    pub netns: Option<PathBuf>,
    pub ip: Option<Ipv4Addr>,
    /// Those that this one has links to, by their index in the plan.
    pub peers: Vec<Option<Peer>>,
    /// From [`folders`], which exist by now.
    pub mounts: Vec<VolumeMount>,
    /// `NAME=value`, beside what the plan says.
    pub more_environment: Vec<String>,
    /// Of the task's role, if it has one.
    pub credentials_id: Option<&'a str>,
    pub host: &'a HostFiles,
    pub shared: Shared,
    /// From its environment files.
    pub file_variables: Vec<(String, String)>,
    /// A program that can be a container's first process: Docker's `docker-init`.
    pub init: Option<&'a Path>,
    pub cgroup_v2: bool,
    /// The most processes of a task.
    pub task_pids_limit: Option<u64>,
    /// What its GPUs need.
    pub gpus: Edits,
    /// The run that this one continues.
    pub continues: Option<ContainerId>,
    /// As its log driver wants it.
    pub ring: Ring,
}

/// What the containers of a task have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Namespace files.
    pub pid: Option<PathBuf>,
    pub ipc: Option<PathBuf>,
    /// What is at everybody's `/dev/shm`.
    pub shm: Option<PathBuf>,
}

/// Where the init program is inside of a container. Docker's place.
const INIT: &str = "/sbin/docker-init";

/// The words with which a container starts, for those who tell of it. None where the specification fails for it.
pub fn command(plan: &agent::plan::ContainerPlan, image: &ImageConfig) -> Vec<String> {
    command::args(&plan.payload, image).unwrap_or_default()
}

/// The specification of container `index` of a task.
pub fn container_spec(task: &TaskPlan, index: usize, around: Around<'_>) -> Result<ContainerSpec, Failure> {
    let plan = &task.containers[index];
    let (config, host) = (&plan.config, &plan.host);
    options::check(task, plan, &around)?;
    let mut args = command::args(&plan.payload, around.image)?;
    let mut mounts = volumes::mounts(&around.mounts, &host.tmpfs)?;
    if host.init == Some(true) {
        let program = around.init.ok_or_else(|| failure::unavailable("an init process (initProcessEnabled) is"))?;
        mounts.push(volumes::file(INIT, program));
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let network = match &around.netns {
        Some(path) => Namespace::Path(path.clone()),
        None => Namespace::Host,
    };
    let hostname = etc::hostname(task, index, &around);
    let ipc = options::namespace(task.payload.ipc_mode.as_deref(), around.shared.ipc.as_ref());
    // Message queues need no folder of the machine: what is mounted at /dev/mqueue are those of the namespace.
    if ipc == Namespace::Host {
        mounts.push(volumes::directory("/dev/shm", Path::new("/dev/shm")));
    }
    if let Some(shm) = &around.shared.shm {
        mounts.push(volumes::directory("/dev/shm", shm));
    }
    let given = |given: &Option<String>, image: &str| match given.as_deref() {
        None | Some("") => image.to_owned(),
        Some(given) => given.to_owned(),
    };
    let mut env = environment::of_links(task, index, &around.peers);
    env.extend(environment(task, plan, around.image, &around.file_variables, around.credentials_id));
    env.extend(around.more_environment.iter().cloned());
    let gpus = around.gpus.clone();
    env.extend(gpus.env);
    env.extend(environment::of_gpus(task, plan));
    mounts.retain(|mount| !gpus.mounts.iter().any(|other| other.target == mount.target));
    mounts.extend(gpus.mounts);
    let mut devices = options::devices(&host.devices);
    devices.extend(gpus.devices);
    Ok(ContainerSpec {
        env,
        cwd: given(&config.working_dir, &around.image.working_directory),
        user: given(&config.user, &around.image.user),
        limits: limits::container_limits(task, plan, around.task_pids_limit, around.cgroup_v2)?,
        ulimits: limits::ulimits(&host.ulimits)?,
        mounts,
        capabilities_added: host.cap_add.clone(),
        capabilities_dropped: host.cap_drop.clone(),
        privileged: host.privileged.unwrap_or(false),
        readonly_rootfs: host.readonly_rootfs.unwrap_or(false),
        no_new_privileges: options::no_new_privileges(&host.security_opt)?,
        apparmor_profile: options::apparmor_profile(host, around.host)?,
        selinux: selinux::labels(host, around.host.selinux.as_ref())?,
        pid: options::namespace(task.payload.pid_mode.as_deref(), around.shared.pid.as_ref()),
        sysctls: host.sysctls.clone(),
        devices,
        hooks: gpus.hooks,
        additional_gids: gpus.additional_gids,
        shm_bytes: options::shm_bytes(task, host),
        stdin: options::stdin(config),
        etc: etc::files(task, index, &hostname, &around)?,
        continues: around.continues,
        ring: around.ring,
        hostname,
        network,
        ipc,
        ..ContainerSpec::new(around.id, around.lower_dirs, args)
    })
}

#[cfg(test)]
mod tests;
