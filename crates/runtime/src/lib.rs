//! Containers of tasks on this machine: starting them, hearing how they ended, reading what they wrote.
//!
//! A task is a small program of ours, the shim, and a directory. This crate starts shims and talks to them; shims call
//! an OCI runtime. Neither containers nor shims are children that die with us: a process that opens the same directory
//! later finds everything as it is, through [`ContainerRuntime::recover`].
//!
//! It never pulls images, makes networks or knows what a task is for; it is given unpacked layers and a network
//! namespace. Every operation may be repeated: what is done already is no error.
//!
//! ```text
//! <tasks_dir>/<task>/shim.sock, shim.pid, shim.log
//! <tasks_dir>/<task>/oci/                        the OCI runtime's state
//! <tasks_dir>/<task>/containers/<container>/     bundle/, upper/, work/, etc/, log/, oci.log, pid, exit.json
//! ```
//!
//! Start reading at [`ContainerRuntime`] and [`Task`]; [`Runtime`] is the real one, [`fake`] the one for tests of others.
//! [`spec_json`](spec_json()) is the pure middle.

mod abi;
mod attached;
mod board;
mod capabilities;
mod cgroup;
mod container_spec;
mod devices;
mod error;
pub mod exam;
mod exec;
pub mod fake;
mod host;
mod link;
mod log_reader;
pub mod memory_dir;
mod mount_points;
mod names;
mod open_files;
mod orphans;
mod overlay;
#[doc(hidden)]
pub mod parsers;
mod prepare;
mod resident;
mod runtime;
mod seccomp;
mod spec_json;
mod spread;
mod state;
mod task;
mod terminal;
mod users;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use attached::{Attach, Attached, AttachedControl, AttachedEnd};
pub use cgroup::{Cgroups, Usage};
pub use container_spec::{
    ContainerSpec, Device, EtcFiles, Hook, HookStage, Limits, Mount, MountSource, Namespace, SHM_BYTES, SelinuxLabels,
    Ulimit,
};
pub use devices::DeviceNode;
pub use error::RuntimeError;
pub use exec::Executed;
pub use host::Host;
pub use log_reader::{LogLine, LogPosition, LogReader};
pub use names::{ContainerId, InvalidName, TaskId};
pub use open_files::raise_open_files;
pub use overlay::probe as probe_overlay;
pub use resident::{release_heap, release_program, share_one_heap};
pub use runtime::{Runtime, RuntimeConfig};
pub use shim_api::Stdin;
pub use shim_api::log::{Ring, Stream, WhenFull};
pub use spec_json::{Surroundings, spec_json};
pub use state::{ContainerState, ContainerStatus, Event, Exit, Started};
pub use users::User;

/// Where tasks live.
#[async_trait]
pub trait ContainerRuntime: Send + Sync {
    /// The task of this name: the one that is there, or a new one. `limits` hold for all its containers together, and
    /// count when the task is new.
    async fn open_task(&self, id: &TaskId, limits: &Limits) -> Result<Arc<dyn Task>, RuntimeError>;

    /// The task of this name, if anything of it is here: also what an [`ContainerRuntime::open_task`] has left that failed.
    async fn find_task(&self, id: &TaskId) -> Result<Option<Arc<dyn Task>>, RuntimeError>;

    /// Every task that an earlier process left here. The containers of one whose shim is gone have ended: what was left
    /// of them is killed by the time this returns, and they report exit code 137 and a reason. A task that cannot be taken up is
    /// there without containers.
    async fn recover(&self) -> Result<Vec<Arc<dyn Task>>, RuntimeError>;
}

/// A task's containers.
#[async_trait]
pub trait Task: Send + Sync {
    fn id(&self) -> &TaskId;

    /// Starts a container and returns once its program runs. One that runs already is left alone.
    async fn start(&self, spec: &ContainerSpec) -> Result<Started, RuntimeError>;

    /// Sends a signal to a container's first process. One that has ended, or never was, is no error.
    async fn kill(&self, container: &ContainerId, signal: i32) -> Result<(), RuntimeError>;

    /// Runs one more program in a running container, as the container's own program runs, and kills it when it takes
    /// too long. Its output is nobody's.
    async fn exec(
        &self,
        container: &ContainerId,
        args: &[String],
        timeout: std::time::Duration,
    ) -> Result<Executed, RuntimeError>;

    /// Starts one more program in a running container, as the container's own program runs, and returns when it can be
    /// talked to. It is hung up when the caller drops what it was given, and ends with the container in any case.
    async fn attach(&self, container: &ContainerId, args: &[String], attach: Attach) -> Result<Attached, RuntimeError>;

    /// All containers that were started and not removed, by name.
    fn status(&self) -> Vec<ContainerStatus>;

    /// What changes from now on. A receiver that lags misses events and loses nothing: it looks at [`Task::status`].
    fn events(&self) -> tokio::sync::broadcast::Receiver<Event>;

    /// Removes a container that has ended, with its files and its log.
    async fn remove(&self, container: &ContainerId) -> Result<(), RuntimeError>;

    /// Ends the task's shim and gives its cgroup back. The containers must have ended; their directories stay, and so
    /// does what is known of them.
    async fn end(&self) -> Result<(), RuntimeError>;

    /// Ends the task, whose containers must have ended, and removes its directory.
    async fn close(&self) -> Result<(), RuntimeError>;

    /// A container's directory, for [`LogReader::open`]. It exists from the container's start to its removal.
    fn container_dir(&self, container: &ContainerId) -> PathBuf;
}
