//! What a container shall be: the words in which an agent says it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shim_api::Stdin;
use shim_api::log::Ring;

use crate::ContainerId;

/// A container to start. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    pub id: ContainerId,
    /// The unpacked layers of the image, the topmost first. At least one.
    pub lower_dirs: Vec<PathBuf>,
    /// Entry point and command, already put together. At least one word.
    pub args: Vec<String>,
    /// `NAME=value`. A later one wins.
    pub env: Vec<String>,
    /// Empty means `/`. It is made if it is missing.
    pub cwd: String,
    /// As Docker's: empty, `user`, `user:group`, each by name or by number. Names are looked up in the image.
    pub user: String,
    /// Empty leaves the machine's name; so does a host network.
    pub hostname: String,
    pub limits: Limits,
    pub ulimits: Vec<Ulimit>,
    pub mounts: Vec<Mount>,
    /// Added to the default capabilities: `NET_ADMIN`, `CAP_NET_ADMIN` or `ALL`.
    pub capabilities_added: Vec<String>,
    pub capabilities_dropped: Vec<String>,
    /// All capabilities and devices, no filter, nothing hidden.
    pub privileged: bool,
    pub readonly_rootfs: bool,
    pub no_new_privileges: bool,
    pub network: Namespace,
    pub pid: Namespace,
    pub ipc: Namespace,
    pub sysctls: BTreeMap<String, String>,
    pub devices: Vec<Device>,
    /// Programs of the machine that take part in the container's start and end.
    pub hooks: Vec<Hook>,
    /// Of its first process, beside what its user has.
    pub additional_gids: Vec<u32>,
    /// A profile that the kernel has loaded, or `unconfined`.
    pub apparmor_profile: Option<String>,
    /// On a machine whose kernel has SELinux.
    pub selinux: Option<SelinuxLabels>,
    /// The size of `/dev/shm`, in bytes; without one it is a folder like any other.
    pub shm_bytes: Option<u64>,
    pub etc: EtcFiles,
    /// Go on with the files that this container of the same task has written. It must have ended, and loses them.
    pub continues: Option<ContainerId>,
    /// How much of its output is kept, and whether it waits for that to be delivered.
    pub ring: Ring,
    pub stdin: Stdin,
}

/// The labels of a container's programs, and of what is mounted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelinuxLabels {
    /// `system_u:system_r:container_t:s0`
    pub process: String,
    /// `system_u:object_r:container_file_t:s0`
    pub mount: String,
}

/// Docker's default for `/dev/shm`.
pub const SHM_BYTES: u64 = 64 * 1024 * 1024;

impl ContainerSpec {
    /// A container with Docker's defaults.
    pub fn new(id: ContainerId, lower_dirs: Vec<PathBuf>, args: Vec<String>) -> ContainerSpec {
        ContainerSpec {
            id,
            lower_dirs,
            args,
            env: Vec::new(),
            cwd: String::new(),
            user: String::new(),
            hostname: String::new(),
            limits: Limits::default(),
            ulimits: Vec::new(),
            mounts: Vec::new(),
            capabilities_added: Vec::new(),
            capabilities_dropped: Vec::new(),
            privileged: false,
            readonly_rootfs: false,
            no_new_privileges: false,
            network: Namespace::Private,
            pid: Namespace::Private,
            ipc: Namespace::Private,
            sysctls: BTreeMap::new(),
            devices: Vec::new(),
            hooks: Vec::new(),
            additional_gids: Vec::new(),
            apparmor_profile: None,
            selinux: None,
            shm_bytes: Some(SHM_BYTES),
            etc: EtcFiles::default(),
            continues: None,
            ring: Ring::default(),
            stdin: Stdin::default(),
        }
    }
}

/// What a container, or a whole task, may use. `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: Option<u64>,
    /// A soft limit, which counts when the machine is short.
    pub memory_reservation_bytes: Option<u64>,
    /// Memory and swap together.
    pub memory_swap_bytes: Option<u64>,
    pub swappiness: Option<u64>,
    /// Relative weight; 1024 is one vCPU's worth.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU time in each period.
    pub cpu_quota_us: Option<u64>,
    /// Microseconds; the kernel's default is 100,000.
    pub cpu_period_us: Option<u64>,
    /// `0-3,7`.
    pub cpuset: Option<String>,
    pub pids: Option<u64>,
}

/// `name` as in `setrlimit(2)`: `nofile` or `RLIMIT_NOFILE`. `u64::MAX` is unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub target: PathBuf,
    pub source: MountSource,
    pub readonly: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A file or directory of the host, which must exist.
    Bind(PathBuf),
    /// The same with options as mount(8) has them.
    BindWith { source: PathBuf, options: Vec<String> },
    /// A directory of the host, which must exist. While it is empty, it is filled with what the image has at the target.
    Volume(PathBuf),
    /// An empty file system in memory. `options` as mount(8) has them.
    Tmpfs { size_bytes: Option<u64>, options: Vec<String> },
}

/// A namespace the container has for itself, shares with the host, or joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    Private,
    Host,
    /// A namespace file: `/var/run/netns/x`, `/proc/42/ns/pid`.
    Path(PathBuf),
}

/// A device of the host in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub host_path: PathBuf,
    pub container_path: PathBuf,
    /// Some of `rwm`: read, write, make nodes.
    pub access: String,
    /// Permission bits and owner of its node in the container; the host's when nothing is said.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A program that the OCI runtime runs at a point of the container's life, and gives the container's state on its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub stage: HookStage,
    pub path: PathBuf,
    /// With the program's own name as the first.
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub timeout_seconds: Option<i64>,
}

/// Source: the OCI runtime specification, "POSIX-platform Hooks".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookStage {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl HookStage {
    pub fn as_str(self) -> &'static str {
        match self {
            HookStage::Prestart => "prestart",
            HookStage::CreateRuntime => "createRuntime",
            HookStage::CreateContainer => "createContainer",
            HookStage::StartContainer => "startContainer",
            HookStage::Poststart => "poststart",
            HookStage::Poststop => "poststop",
        }
    }
}

impl std::str::FromStr for HookStage {
    type Err = ();

    fn from_str(name: &str) -> Result<HookStage, ()> {
        use HookStage::*;
        let all = [Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop];
        all.into_iter().find(|stage| stage.as_str() == name).ok_or(())
    }
}

/// The files in `/etc` that say where on the network a container is. `None` leaves the image's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EtcFiles {
    pub resolv_conf: Option<String>,
    pub hosts: Option<String>,
    pub hostname: Option<String>,
}
