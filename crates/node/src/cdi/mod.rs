//! GPUs by the Container Device Interface: files of the machine's say which devices there are, and what a container must be given
//! to use one.
//!
//! Source: the Container Device Interface's specification, versions 0.3 to 1.1. Whoever installs a driver writes such a file, `nvidia-ctk
//! cdi generate` for example. Only devices of a class `gpu` are of interest here; what they are called is also what the
//! control plane is told.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Device, Hook, Mount, MountSource};
use task_engine::Failure;

use crate::failure;
use crate::limits::{CDI_FILE_BYTES_MAX, CDI_FILES_MAX};
use file::{ContainerEdits, File};

/// The later wins over the earlier.
pub const DIRS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// The name that stands for all devices of a kind together.
const ALL: &str = "all";

/// Whose GPUs are known by their bare names, as the official agent knows them.
const NVIDIA: &str = "nvidia.com/gpu";

/// What a container must have beside its definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    pub env: Vec<String>,
    pub devices: Vec<Device>,
    pub mounts: Vec<Mount>,
    pub hooks: Vec<Hook>,
    pub additional_gids: Vec<u32>,
}

/// The GPUs of a machine, by their qualified names: `nvidia.com/gpu=GPU-8f2a…`.
#[derive(Debug, Clone, Default)]
pub struct Gpus {
    devices: BTreeMap<String, Found>,
}

#[derive(Debug, Clone)]
struct Found {
    file: Arc<File>,
    edits: ContainerEdits,
    /// Which of the directories it comes from.
    priority: usize,
    /// Two files of one directory have it, so that nobody knows which is meant.
    is_ambiguous: bool,
}

impl Gpus {
    /// Blocking. A file that cannot be used is passed over and said in the log: other devices may be fine.
    pub fn read(dirs: &[PathBuf]) -> Gpus {
        let mut gpus = Gpus::default();
        for (priority, dir) in dirs.iter().enumerate() {
            for path in files(dir) {
                match read(&path) {
                    Ok(file) => gpus.add(file, priority),
                    Err(why) => {
                        tracing::warn!(path = %path.display(), why, "a file of the Container Device Interface is not used")
                    }
                }
            }
        }
        gpus
    }

    fn add(&mut self, file: File, priority: usize) {
        if file.kind.split_once('/').is_none_or(|(_, class)| class != "gpu") {
            return;
        }
        let file = Arc::new(file);
        for device in &file.devices {
            let name = format!("{}={}", file.kind, device.name);
            let known = self.devices.get(&name).is_some_and(|known| known.priority == priority);
            let edits = device.container_edits.clone();
            self.devices.insert(name, Found { file: file.clone(), edits, priority, is_ambiguous: known });
        }
    }

    /// One id for each GPU: a device may have several names, and `all` is none. A name that holds the GPU's UUID is preferred,
    /// as it survives another order of the cards.
    pub fn ids(&self) -> Vec<String> {
        let mut groups: BTreeMap<(&str, BTreeSet<&str>), Vec<&str>> = BTreeMap::new();
        for (name, found) in &self.devices {
            let Some((kind, name)) = name.split_once('=') else { continue };
            let is_alone = found.file.devices.len() == 1;
            if found.is_ambiguous || (name == ALL && !is_alone) {
                continue;
            }
            let mut nodes: BTreeSet<&str> = found.edits.device_nodes.iter().map(|node| node.host_path()).collect();
            if nodes.is_empty() {
                nodes.insert(name);
            }
            groups.entry((kind, nodes)).or_default().push(name);
        }
        let mut ids: Vec<String> = groups
            .iter()
            .filter_map(|((kind, _), names)| {
                let has_uuid = |name: &&&str| name.starts_with("GPU-") || name.starts_with("MIG-");
                let name = names.iter().find(has_uuid).or(names.first())?;
                Some(if *kind == NVIDIA { (*name).to_owned() } else { format!("{kind}={name}") })
            })
            .collect();
        ids.sort();
        ids
    }

    /// What a container with these GPUs must be given.
    pub fn edits(&self, ids: &[&str]) -> Result<Edits, Failure> {
        let qualified = |id: &&str| if id.contains('=') { (*id).to_owned() } else { format!("{NVIDIA}={id}") };
        let names: Vec<String> = ids.iter().map(qualified).collect();
        let missing: Vec<&str> = names
            .iter()
            .filter(|name| self.devices.get(*name).is_none_or(|found| found.is_ambiguous))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            return Err(failed(&format!("unresolvable CDI devices {}", missing.join(", "))));
        }
        let mut all = Edits::default();
        let mut files: Vec<&Arc<File>> = Vec::new();
        for found in names.iter().filter_map(|name| self.devices.get(name)) {
            // What a file says for all of its devices counts once.
            if !files.iter().any(|file| Arc::ptr_eq(file, &found.file)) {
                files.push(&found.file);
                add(&mut all, &found.file.container_edits).map_err(|why| failed(&why))?;
            }
            add(&mut all, &found.edits).map_err(|why| failed(&why))?;
        }
        Ok(all)
    }
}

/// In Docker's words.
fn failed(why: &str) -> Failure {
    failure::start(format!("CDI device injection failed: {why}"))
}

/// What cannot be given is refused: without it the container would have half a device.
fn add(all: &mut Edits, edits: &ContainerEdits) -> Result<(), String> {
    if edits.intel_rdt.is_some() {
        return Err("intelRdt is not available on this container instance".to_owned());
    }
    if !edits.net_devices.is_empty() {
        return Err("netDevices are not available on this container instance".to_owned());
    }
    all.env.extend(edits.env.iter().cloned());
    all.additional_gids.extend(&edits.additional_gids);
    for node in &edits.device_nodes {
        if node.kind == "p" {
            return Err(format!("device node {} is a named pipe", node.path));
        }
        let device = Device {
            host_path: node.host_path().into(),
            container_path: node.path.clone().into(),
            access: if node.permissions.is_empty() { "rwm".to_owned() } else { node.permissions.clone() },
            mode: node.file_mode,
            uid: node.uid,
            gid: node.gid,
        };
        all.devices.retain(|other| other.container_path != device.container_path);
        all.devices.push(device);
    }
    for mount in &edits.mounts {
        if !matches!(mount.kind.as_str(), "" | "bind" | "none") {
            return Err(format!("mount {} is of the type {}", mount.container_path, mount.kind));
        }
        let target = PathBuf::from(&mount.container_path);
        all.mounts.retain(|other| other.target != target);
        all.mounts.push(Mount {
            target,
            source: MountSource::BindWith { source: mount.host_path.clone().into(), options: mount.options.clone() },
            readonly: mount.options.iter().any(|option| option == "ro"),
        });
    }
    for hook in &edits.hooks {
        all.hooks.push(Hook {
            stage: hook.hook_name.parse().map_err(|()| format!("unknown hook {}", hook.hook_name))?,
            path: hook.path.clone().into(),
            args: hook.args.clone(),
            env: hook.env.clone(),
            timeout_seconds: hook.timeout,
        });
    }
    Ok(())
}

/// The files of a directory, in the order of their names.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_wanted(path)).collect();
    files.sort();
    files.truncate(CDI_FILES_MAX);
    files
}

fn is_wanted(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "yaml" || extension == "yml")
}

fn read(path: &Path) -> Result<File, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(CDI_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > CDI_FILE_BYTES_MAX {
        return Err(format!("it is larger than {CDI_FILE_BYTES_MAX} bytes"));
    }
    file::parse(&text)
}

#[cfg(test)]
mod tests;
