//! What a container's settings may be, beyond what their types say.

use model::TaskDefinition;
use model::container_definition::{ContainerDefinition, LinuxParameters, ResourceRequirement};
use model::task_definition::NetworkMode;

use crate::error::{Error, client, unsupported};
use crate::limits::{RESTART_PERIOD_SECONDS_MAX, RESTART_PERIOD_SECONDS_MIN, SWAPPINESS_MAX};

/// Source: Amazon ECS API Reference, `Ulimit.name`.
const ULIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Source: Amazon ECS API Reference, `Tmpfs.mountOptions`; `mode`, `uid`, `gid`, `nr_inodes`, `nr_blocks` and `mpol` have values.
const TMPFS_OPTIONS: &[&str] = &[
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "remount",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "bind",
    "rbind",
    "unbindable",
    "runbindable",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];

pub(super) fn of_task(definition: &TaskDefinition) -> Result<(), Error> {
    match definition.pid_mode.as_deref() {
        None | Some("host" | "task") => {}
        Some(other) => return Err(client(format!("Invalid pidMode: {other}"))),
    }
    match definition.ipc_mode.as_deref() {
        None | Some("host" | "task" | "none") => {}
        Some(other) => return Err(client(format!("Invalid ipcMode: {other}"))),
    }
    definition.containers.iter().try_for_each(|container| of_container(container, definition))
}

fn of_container(container: &ContainerDefinition, definition: &TaskDefinition) -> Result<(), Error> {
    let name = &container.name;
    let period = container.restart_policy.as_ref().and_then(|policy| policy.restart_attempt_period_seconds);
    if period.is_some_and(|period| !(RESTART_PERIOD_SECONDS_MIN..=RESTART_PERIOD_SECONDS_MAX).contains(&period)) {
        return Err(client(format!(
            "Invalid restartAttemptPeriod for container '{name}': it must be between {RESTART_PERIOD_SECONDS_MIN} and \
             {RESTART_PERIOD_SECONDS_MAX} seconds."
        )));
    }
    for limit in &container.ulimits {
        if !ULIMITS.contains(&limit.name.as_str()) {
            return Err(client(format!("Invalid ulimit name '{}' in container '{name}'.", limit.name)));
        }
        let (soft, hard) = (i64::from(limit.soft), i64::from(limit.hard));
        if hard >= 0 && (soft < 0 || soft > hard) {
            return Err(client(format!(
                "Invalid ulimit '{}' in container '{name}': the soft limit must not be greater than the hard limit.",
                limit.name
            )));
        }
    }
    for (control, _) in &container.system_controls {
        system_control(control, container, definition)?;
    }
    for file in &container.environment_files {
        environment_file(&file.kind, &file.value, name)?;
    }
    gpus(&container.resource_requirements, name)?;
    container.linux_parameters.as_ref().map_or(Ok(()), |linux| linux_parameters(linux, name))
}

/// How many GPUs a container asks for. An accelerator of the type `InferenceAccelerator` is refused by its name.
///
/// Source: Amazon ECS API Reference, `ResourceRequirement`: the value for `GPU` is the number of physical GPUs.
pub(crate) fn gpus(requirements: &[ResourceRequirement], container: &str) -> Result<u32, Error> {
    match requirements {
        [] => Ok(0),
        [one] if one.kind == "GPU" => one.value.parse().ok().filter(|gpus| *gpus > 0).ok_or_else(|| {
            client(format!(
                "Invalid GPU resource requirement '{}' in container '{container}': the value must be a whole number above 0.",
                one.value
            ))
        }),
        all => match all.iter().find(|one| one.kind != "GPU") {
            Some(one) if one.kind == "InferenceAccelerator" => {
                Err(unsupported("A resource requirement of type InferenceAccelerator"))
            }
            Some(one) => {
                Err(client(format!("Unrecognized resource requirement type '{}' in container '{container}'.", one.kind)))
            }
            None => Err(client(format!("Duplicate GPU resource requirement in container '{container}'."))),
        },
    }
}

/// Source: Amazon ECS API Reference, `SystemControl`: what belongs to a namespace that the container shares with its machine is not
/// supported.
fn system_control(control: &str, container: &ContainerDefinition, definition: &TaskDefinition) -> Result<(), Error> {
    let invalid = |why: &str| {
        Err(client(format!("Invalid systemControls namespace '{control}' in container '{}': {why}.", container.name)))
    };
    if control.starts_with("net.") && definition.effective_network_mode() == NetworkMode::Host {
        return invalid("it is not supported when networkMode is host");
    }
    let of_ipc =
        ["kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."].iter().any(|begin| control.starts_with(begin));
    if of_ipc && definition.ipc_mode.as_deref() == Some("host") {
        return invalid("it is not supported when ipcMode is host");
    }
    Ok(())
}

/// Source: Amazon ECS API Reference, `EnvironmentFile`: only `s3`, and only names that end in `.env`.
pub(crate) fn environment_file(kind: &str, value: &str, container: &str) -> Result<(), Error> {
    if kind != "s3" {
        return Err(client(format!(
            "Invalid environmentFile type '{kind}' in container '{container}': only s3 is supported."
        )));
    }
    let mut parts = value.splitn(6, ':');
    let is_arn = parts.next() == Some("arn") && parts.nth(1) == Some("s3");
    let key = parts.nth(2).and_then(|place| place.split_once('/')).map(|(_, key)| key);
    match key {
        Some(key) if is_arn && key.ends_with(".env") => Ok(()),
        _ => Err(client(format!(
            "Invalid environmentFile value '{value}' in container '{container}': it must be the ARN of an Amazon S3 object whose name \
             ends in .env."
        ))),
    }
}

fn linux_parameters(linux: &LinuxParameters, name: &str) -> Result<(), Error> {
    if linux.swappiness.is_some_and(|swappiness| swappiness > SWAPPINESS_MAX) {
        return Err(client(format!(
            "Invalid swappiness in container '{name}': it must be between 0 and {SWAPPINESS_MAX}."
        )));
    }
    for tmpfs in &linux.tmpfs {
        if tmpfs.size_mib == 0 || !tmpfs.container_path.starts_with('/') {
            return Err(client(format!(
                "Invalid tmpfs in container '{name}': it needs an absolute containerPath and a size."
            )));
        }
        let unknown = |option: &&String| {
            let word = option.split('=').next().unwrap_or_default();
            !TMPFS_OPTIONS.contains(&word)
        };
        if let Some(option) = tmpfs.mount_options.iter().find(unknown) {
            return Err(client(format!("Invalid tmpfs mount option '{option}' in container '{name}'.")));
        }
    }
    for device in &linux.devices {
        if !device.host_path.starts_with('/') {
            return Err(client(format!("Invalid device in container '{name}': it needs a hostPath.")));
        }
        let unknown = |one: &&String| !["read", "write", "mknod"].contains(&one.as_str());
        if let Some(permission) = device.permissions.iter().find(unknown) {
            return Err(client(format!("Invalid device permission '{permission}' in container '{name}'.")));
        }
    }
    Ok(())
}
