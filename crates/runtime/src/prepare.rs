//! A container's directory before its start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::runtime::Environment;
use crate::spec_json::{Surroundings, spec_json};
use crate::{ContainerSpec, EtcFiles, MountSource, Namespace, RuntimeError, TaskId, abi, devices, users, volumes};

/// The OCI runtime's state, in the task's directory.
pub const OCI_ROOT: &str = "oci";

/// The two directories of a container, and the names in them.
pub struct ContainerDir {
    /// What has to be there after a reboot: what the container wrote, and how it ended.
    pub disk: PathBuf,
    /// What only a start needs. The same one where nothing is kept in memory.
    pub state: PathBuf,
}

impl ContainerDir {
    pub fn bundle(&self) -> PathBuf {
        self.state.join("bundle")
    }

    fn etc(&self) -> PathBuf {
        self.state.join("etc")
    }

    pub fn upper(&self) -> PathBuf {
        self.disk.join("upper")
    }

    pub fn work(&self) -> PathBuf {
        self.disk.join("work")
    }

    /// Written by the OCI runtime when the container's first process exists.
    pub fn pid(&self) -> PathBuf {
        self.disk.join("pid")
    }

    pub fn exit(&self) -> PathBuf {
        self.disk.join(shim_api::EXIT_NAME)
    }
}

pub fn task_cgroup_path(parent: &str, task: &TaskId) -> String {
    format!("/{}/{task}", parent.trim_matches('/'))
}

/// Writes everything that the OCI runtime reads, and returns the request that starts the container.
///
/// Waits for files: not for a thread that serves others.
pub fn prepare(
    environment: &Environment,
    task: &TaskId,
    spec: &ContainerSpec,
) -> Result<shim_api::RunRequest, RuntimeError> {
    let Environment { config, host, cgroups, mount_points } = environment;
    let cgroup_path = cgroups.container_path(&config.cgroup_parent, task, &spec.id);
    if spec.lower_dirs.is_empty() {
        return Err(RuntimeError::InvalidSpec("the image has no layers".to_owned()));
    }
    check_sources(spec)?;
    let user = users::resolve(&spec.user, &spec.lower_dirs)?;
    let dir = environment.container_dir(task, &spec.id);
    fs::create_dir_all(&dir.disk).map_err(RuntimeError::io("create", &dir.disk))?;
    if let Some(before) = &spec.continues {
        take_over(&environment.container_dir(task, before), &dir)?;
    }
    for path in [dir.bundle().join("rootfs"), dir.upper(), dir.work()] {
        fs::create_dir_all(&path).map_err(RuntimeError::io("create", &path))?;
    }
    volumes::fill(spec, &dir.disk.join("image"))?;
    let program = spec.args.first().map_or("", String::as_str);
    let around = Surroundings {
        host,
        user,
        devices: devices::resolve(spec)?,
        cgroup_path: cgroup_path.clone(),
        has_32_bit_programs: abi::has_32_bit_programs(&spec.lower_dirs, program, &spec.env),
        etc_files: write_etc(&spec.etc, &dir.etc())?,
    };
    let netns = named_netns(&spec.network);
    let config = match netns {
        Some(_) => {
            let network = Namespace::Path(dir.bundle().join(shim_api::NETNS_NAME));
            spec_json(&ContainerSpec { network, ..spec.clone() }, &around)?
        }
        None => spec_json(spec, &around)?,
    };
    let path = dir.bundle().join("config.json");
    fs::write(&path, config.to_string()).map_err(RuntimeError::io("write", &path))?;

    let lower = spec.lower_dirs.iter().chain([mount_points]).map(|path| text(path)).collect::<Result<_, _>>()?;
    let oom_file = cgroups.oom_file(&cgroup_path).map(|path| text(&path)).transpose()?;
    Ok(shim_api::RunRequest {
        id: spec.id.to_string(),
        oci_id: spec.id.to_string(),
        oci_runtime: text(&environment.config.oci)?,
        oci_root: text(&environment.oci_root(task))?,
        bundle: text(&dir.bundle())?,
        overlay: Some(shim_api::Overlay { lower, upper: text(&dir.upper())?, work: text(&dir.work())? }),
        netns: netns.map(text).transpose()?,
        oom_file,
        ring: spec.ring,
        stdin: spec.stdin,
    })
}

/// A network namespace that is mounted somewhere; those in `/proc` are not.
fn named_netns(network: &Namespace) -> Option<&Path> {
    match network {
        Namespace::Path(path) if !path.starts_with("/proc") => Some(path),
        Namespace::Path(_) | Namespace::Private | Namespace::Host => None,
    }
}

/// Moves what a container has written to the one that continues it; done already when there is nothing to move.
fn take_over(before: &ContainerDir, dir: &ContainerDir) -> Result<(), RuntimeError> {
    match fs::rename(before.upper(), dir.upper()) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(RuntimeError::io("move", before.upper())(err)),
        _ => Ok(()),
    }
}

/// A missing source is told by its name, before the runtime tells it in its own way.
fn check_sources(spec: &ContainerSpec) -> Result<(), RuntimeError> {
    for mount in &spec.mounts {
        if !mount.target.is_absolute() {
            let message = format!("mount target {} is not an absolute path", mount.target.display());
            return Err(RuntimeError::InvalidSpec(message));
        }
        if let MountSource::Bind(source) | MountSource::BindWith { source, .. } | MountSource::Volume(source) =
            &mount.source
        {
            fs::metadata(source).map_err(RuntimeError::io("bind", source))?;
        }
    }
    Ok(())
}

fn write_etc(files: &EtcFiles, dir: &Path) -> Result<Vec<(&'static str, PathBuf)>, RuntimeError> {
    let files = [
        ("/etc/resolv.conf", "resolv.conf", &files.resolv_conf),
        ("/etc/hosts", "hosts", &files.hosts),
        ("/etc/hostname", "hostname", &files.hostname),
    ];
    let mut mounts = Vec::new();
    for (target, name, content) in files {
        let Some(content) = content else { continue };
        fs::create_dir_all(dir).map_err(RuntimeError::io("create", dir))?;
        let path = dir.join(name);
        fs::write(&path, content).map_err(RuntimeError::io("write", &path))?;
        mounts.push((target, path));
    }
    Ok(mounts)
}

fn text(path: &Path) -> Result<String, RuntimeError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| RuntimeError::InvalidSpec(format!("{} is not UTF-8", path.display())))
}
