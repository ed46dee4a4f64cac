//! FireLens: what a task's log router needs, and how the others reach it.
//!
//! The router finds its configuration where its image has one, and makes a socket in a directory that the machine sees as well.
//! The log drivers of the other containers write to that socket as to any fluentd. `config.rs` writes the configuration.
//!
//! Source: the official agent's public source, `agent/taskresource/firelens` and `agent/engine`.

mod config;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use agent::plan::{ContainerPlan, TaskPlan};
use objects::Buckets;
use task_engine::{Failure, FailureKind};

use crate::limits::CONFIG_BYTES_MAX;
use crate::spec::{Folder, VolumeMount};
use crate::{MachineConfig, failure};

const SOCKET_DIR: &str = "socket";
const SOCKET: &str = "fluent.sock";
const CONFIG: &str = "fluent.conf";
const EXTERNAL: &str = "external.conf";
/// Where programs that send by themselves find the router.
const PORT: u16 = 24224;

/// Below the node's state, which is gone after a reboot as the tasks are.
pub fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("firelens")
}

fn of_task(state_dir: &Path, task: &TaskPlan) -> PathBuf {
    dir(state_dir).join(&task.id)
}

/// Makes what the router mounts, and says where. Nothing of a container that is no router.
pub async fn provide(config: &MachineConfig, task: &TaskPlan, index: usize) -> Result<Vec<VolumeMount>, Failure> {
    if task.log_router() != Some(index) {
        return Ok(Vec::new());
    }
    let router = config::Router::of(task, index)?;
    let dir = of_task(&config.state_dir, task);
    let text = router.config()?;
    let brought = match router.brought() {
        Some((path, arn)) => Some((path, bring(&config.buckets, task, arn).await?)),
        None => None,
    };
    let write = || {
        let sockets = dir.join(SOCKET_DIR);
        std::fs::create_dir_all(&sockets)?;
        // Whoever the router runs as makes the socket.
        std::fs::set_permissions(&sockets, std::fs::Permissions::from_mode(0o777))?;
        for (name, content) in
            [(CONFIG, Some(text.as_bytes())), (EXTERNAL, brought.as_ref().map(|(_, text)| text.as_slice()))]
        {
            let Some(content) = content else { continue };
            let path = dir.join(name);
            std::fs::write(&path, content)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        }
        Ok(())
    };
    write().map_err(|error: io::Error| {
        let text = format!("unable to initialize resource directory {}: {error}", dir.display());
        Failure::new(FailureKind::Resource, text)
    })?;
    let mount = |target: &str, source: PathBuf| VolumeMount {
        target: PathBuf::from(target),
        folder: Folder::Host(source),
        readonly: false,
    };
    let mut mounts = vec![mount(router.config_path(), dir.join(CONFIG)), mount("/var/run", dir.join(SOCKET_DIR))];
    mounts.extend(brought.map(|(path, _)| mount(path, dir.join(EXTERNAL))));
    Ok(mounts)
}

/// The user's part of a configuration, from a bucket. A failure is the task's.
async fn bring(buckets: &Buckets, task: &TaskPlan, arn: &str) -> Result<Vec<u8>, Failure> {
    let failed =
        |why: String| Failure::new(FailureKind::Resource, format!("unable to download firelens s3 config file: {why}"));
    let place =
        objects::place(arn).ok_or_else(|| failed(format!("unable to parse bucket and key from s3 arn {arn}")))?;
    buckets.get(task.region(), place, CONFIG_BYTES_MAX).await.map_err(|error| {
        let (error, objects::Place { bucket, key }) = (failure::chain(&error), place);
        failed(format!("unable to download s3 config {key} from bucket {bucket}: {error}"))
    })
}

/// As the log driver of a container that writes to the router is told: fluentd's.
pub fn driver(state_dir: &Path, task: &TaskPlan, plan: &ContainerPlan) -> (String, BTreeMap<String, String>) {
    let socket = of_task(state_dir, task).join(SOCKET_DIR).join(SOCKET);
    let mut options = BTreeMap::from([
        ("tag".to_owned(), format!("{}-firelens-{}", plan.name, task.id)),
        ("fluentd-address".to_owned(), format!("unix://{}", socket.display())),
        ("fluentd-async".to_owned(), "true".to_owned()),
        ("fluentd-sub-second-precision".to_owned(), "true".to_owned()),
    ]);
    if let Some(limit) = plan.logs.as_ref().and_then(|logs| logs.options.get(config::BUFFER_LIMIT)) {
        options.insert("fluentd-buffer-limit".to_owned(), limit.clone());
    }
    ("fluentd".to_owned(), options)
}

/// For a container that writes to the router: where it listens, by its address in a network of its own.
pub fn environment(router: Option<std::net::Ipv4Addr>) -> Vec<String> {
    let Some(address) = router else { return Vec::new() };
    vec![format!("FLUENT_HOST={address}"), format!("FLUENT_PORT={PORT}")]
}

/// Removes what the router of a task had. May be called of any task, and again.
pub fn release(state_dir: &Path, task: &TaskPlan) {
    match std::fs::remove_dir_all(of_task(state_dir, task)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(task = task.id, %error, "the directory of a log router was not removed");
        }
        _ => {}
    }
}
