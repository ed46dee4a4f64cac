//! The device nodes a container gets beside the default ones.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::{ContainerSpec, Device, RuntimeError};

/// A device, as the kernel numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    pub path: PathBuf,
    pub block: bool,
    pub major: u32,
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Some of `rwm`.
    pub access: String,
}

/// The devices a container asks for; all of the host's for a privileged one, as in Docker.
pub fn resolve(spec: &ContainerSpec) -> Result<Vec<DeviceNode>, RuntimeError> {
    let mut nodes = Vec::new();
    if spec.privileged {
        collect(Path::new("/dev"), &mut nodes).map_err(RuntimeError::io("list", "/dev"))?;
    }
    for device in &spec.devices {
        let node = node(device)?;
        nodes.retain(|other| other.path != node.path);
        nodes.push(node);
    }
    Ok(nodes)
}

fn node(device: &Device) -> Result<DeviceNode, RuntimeError> {
    let metadata = fs::metadata(&device.host_path).map_err(RuntimeError::io("look at device", &device.host_path))?;
    let node = describe(&device.container_path, &metadata, &device.access);
    let node =
        node.ok_or_else(|| RuntimeError::InvalidSpec(format!("{} is not a device", device.host_path.display())))?;
    Ok(DeviceNode {
        mode: device.mode.unwrap_or(node.mode),
        uid: device.uid.unwrap_or(node.uid),
        gid: device.gid.unwrap_or(node.gid),
        ..node
    })
}

fn describe(path: &Path, metadata: &fs::Metadata, access: &str) -> Option<DeviceNode> {
    let kind = metadata.file_type();
    let device = metadata.rdev();
    (kind.is_char_device() || kind.is_block_device()).then(|| DeviceNode {
        path: path.to_owned(),
        block: kind.is_block_device(),
        major: libc::major(device),
        minor: libc::minor(device),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        access: access.to_owned(),
    })
}

/// The host's devices, without terminals and without what is mounted for each container anew.
fn collect(dir: &Path, nodes: &mut Vec<DeviceNode>) -> io::Result<()> {
    const SKIPPED: [&str; 7] = ["pts", "shm", "fd", "mqueue", "console", "ptmx", "tty"];
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_none_or(|name| SKIPPED.contains(&name)) {
            continue;
        }
        // It may have gone since the directory was read.
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            collect(&entry.path(), nodes)?;
        } else if let Some(node) = describe(&entry.path(), &metadata, "rwm") {
            nodes.push(node);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_described_by_its_numbers() {
        let device = |host: &str| Device {
            host_path: host.into(),
            container_path: "/dev/x".into(),
            access: "rw".into(),
            mode: Some(0o600),
            uid: None,
            gid: Some(7),
        };
        let node = node(&device("/dev/null")).unwrap();
        assert_eq!((node.block, node.major, node.minor, node.path), (false, 1, 3, "/dev/x".into()));
        assert_eq!((node.mode, node.uid, node.gid), (0o600, 0, 7));
        assert!(super::node(&device("/etc/passwd")).is_err());
    }
}
