//! What of the machine's file system a container sees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use agent::VolumeInfo;
use agent::plan::TaskPlan;
use agent_api::payload::{self, Volume};
use runtime::{Mount, MountSource};
use task_engine::{Failure, FailureKind};

use crate::failure;

/// Where Docker volumes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Of this task; gone with it.
    pub task: PathBuf,
    /// Of all tasks of this machine.
    pub shared: PathBuf,
}

/// A directory or file of the machine at a place in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    pub target: PathBuf,
    pub folder: Folder,
    pub readonly: bool,
}

impl VolumeMount {
    /// As the metadata endpoint shows it. Docker gives a folder of the machine no name.
    pub fn info(&self) -> VolumeInfo {
        let (name, source) = match &self.folder {
            Folder::Host(path) => (None, path),
            Folder::Volume(path) | Folder::Provisioned(path, _) => {
                (path.file_name().map(|name| name.to_string_lossy().into_owned()), path)
            }
        };
        VolumeInfo { name, source: source.clone(), destination: self.target.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// Made if it is missing, as Docker makes it.
    Host(PathBuf),
    /// Made if it is missing, and while it is empty filled with what the image has at that place.
    Volume(PathBuf),
    /// As [`Folder::Volume`], but somebody else must have made it; with its name for people.
    Provisioned(PathBuf, String),
}

/// Everything that container `index` mounts: its own mount points, and those of the containers it takes volumes from.
pub fn folders(task: &TaskPlan, index: usize, places: &Folders) -> Result<Vec<VolumeMount>, Failure> {
    let mut found = BTreeMap::new();
    collect(task, index, places, &mut BTreeSet::new(), &mut found)?;
    Ok(found.into_values().collect())
}

fn collect(
    task: &TaskPlan,
    index: usize,
    places: &Folders,
    seen: &mut BTreeSet<usize>,
    found: &mut BTreeMap<PathBuf, VolumeMount>,
) -> Result<(), Failure> {
    // The engine refuses such circles; a second look costs nothing.
    if !seen.insert(index) {
        return Ok(());
    }
    let container = &task.containers[index].payload;
    let mut own = BTreeSet::new();
    for point in &container.mount_points {
        let target = target(&point.container_path)?;
        if !own.insert(target.clone()) {
            return Err(failure::create(format!("Duplicate mount point: {}", point.container_path)));
        }
        let mount =
            VolumeMount { target: target.clone(), folder: folder(task, point, places)?, readonly: point.read_only };
        found.entry(target).or_insert(mount);
    }
    for from in &container.volumes_from {
        let missing = || failure::create(format!("No such container: {}", from.source_container));
        let source = task.index_of(&from.source_container).ok_or_else(missing)?;
        let mut theirs = BTreeMap::new();
        collect(task, source, places, seen, &mut theirs)?;
        for (target, mut mount) in theirs {
            mount.readonly |= from.read_only;
            found.entry(target).or_insert(mount);
        }
    }
    seen.remove(&index);
    Ok(())
}

/// Without its `.`, doubled and final slashes, so that equal places look equal.
fn target(path: &str) -> Result<PathBuf, Failure> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(failure::create(format!(
            "invalid mount config for type \"volume\": invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let target: PathBuf = Path::new(path).components().collect();
    if target == Path::new("/") {
        return Err(failure::create("invalid specification: destination can't be '/'"));
    }
    Ok(target)
}

fn folder(task: &TaskPlan, point: &payload::MountPoint, places: &Folders) -> Result<Folder, Failure> {
    let unknown = || {
        let text = format!("unknown volume '{}' in mount point {}", point.source_volume, point.container_path);
        Failure::new(FailureKind::HostConfig, text)
    };
    let volume = task.payload.volumes.iter().find(|volume| volume.name == point.source_volume).ok_or_else(unknown)?;
    if volume.volume_type.as_deref() == Some("docker") || volume.docker_volume_configuration.is_some() {
        return docker_volume(volume, places);
    }
    match volume.host.as_ref().map(|host| host.source_path.as_str()).filter(|path| !path.is_empty()) {
        None => Ok(Folder::Volume(places.task.join(file_name(&volume.name)?))),
        Some(path) if path.starts_with('/') && !path.contains('\0') => Ok(Folder::Host(path.into())),
        Some(path) => Err(failure::create(format!(
            "invalid volume specification: '{path}': invalid mount path: '{path}' mount path must be absolute"
        ))),
    }
}

fn docker_volume(volume: &Volume, places: &Folders) -> Result<Folder, Failure> {
    let settings = volume.docker_volume_configuration.clone().unwrap_or_default();
    let name = file_name(&volume.name)?;
    let refuse =
        |why: String| Failure::new(FailureKind::Volume, format!("Error response from daemon: create {name}: {why}"));
    if !matches!(settings.driver.as_str(), "" | "local") {
        let driver = &settings.driver;
        return Err(refuse(format!("error looking up volume plugin {driver}: plugin \"{driver}\" not found")));
    }
    if !settings.driver_opts.is_empty() {
        return Err(refuse(
            "options of the local volume driver are not available on this container instance".to_owned(),
        ));
    }
    match (settings.scope.as_str(), settings.autoprovision) {
        ("shared", true) => Ok(Folder::Volume(places.shared.join(name))),
        ("shared", false) => Ok(Folder::Provisioned(places.shared.join(name), name.to_owned())),
        _ => Ok(Folder::Volume(places.task.join(name))),
    }
}

/// A volume's name becomes a directory's. Docker's rule.
fn file_name(name: &str) -> Result<&str, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(plain) && name.len() <= 255;
    good.then_some(name).ok_or_else(|| {
        let text = format!("Error response from daemon: create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed");
        Failure::new(FailureKind::Volume, text)
    })
}

/// In the runtime's words, with the definition's own tmpfs.
pub fn mounts(volumes: &[VolumeMount], tmpfs: &BTreeMap<String, String>) -> Result<Vec<Mount>, Failure> {
    let mut mounts = Vec::new();
    for VolumeMount { target, folder, readonly } in volumes {
        let source = match folder {
            Folder::Host(path) => MountSource::Bind(path.clone()),
            Folder::Volume(path) | Folder::Provisioned(path, _) => MountSource::Volume(path.clone()),
        };
        mounts.push(Mount { target: target.clone(), source, readonly: *readonly });
    }
    for (path, options) in tmpfs {
        let target = target(path)?;
        if mounts.iter().any(|mount: &Mount| mount.target == target) {
            return Err(failure::create(format!("Duplicate mount point: {path}")));
        }
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        mounts.push(Mount { target, source: MountSource::Tmpfs { size_bytes: None, options }, readonly: false });
    }
    Ok(mounts)
}

pub fn file(target: &str, source: &Path) -> Mount {
    Mount { target: target.into(), source: MountSource::Bind(source.to_owned()), readonly: true }
}

pub fn directory(target: &str, source: &Path) -> Mount {
    Mount { target: target.into(), source: MountSource::Bind(source.to_owned()), readonly: false }
}
