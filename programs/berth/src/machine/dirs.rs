//! The data directory: what lies where, and that one process has it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// Where Berth keeps everything unless it is told otherwise.
pub const DEFAULT: &str = "/var/lib/berth";

/// A data directory that this process has for itself until it ends, however it ends.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Names of what a node makes on its machine. Two nodes on one machine have different ones.
pub struct NodeNames {
    pub bridge: String,
    pub table: String,
    pub cgroup: String,
    pub run_dir: PathBuf,
}

impl DataDir {
    /// Makes the directory if it is missing. One that another process has is an error that names it.
    pub fn take(path: &Path) -> anyhow::Result<DataDir> {
        fs::create_dir_all(path).with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
        let lock = path.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .with_context(|| format!("cannot write to the data directory {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
            bail!(
                "Berth is already running with the data directory {}{who}; nothing was changed. \
                 Stop it with Ctrl-C where it runs, or give another --data-dir and --listen",
                path.display()
            );
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        written.with_context(|| format!("cannot write to the data directory {}: is its disk full?", path.display()))?;
        Ok(DataDir { path, _lock: file })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn store(&self) -> PathBuf {
        self.path.join("store.db")
    }

    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    pub fn registry(&self) -> PathBuf {
        self.path.join("registry")
    }

    /// Bytes of images, shared by the registry and the node.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Bytes of the objects of S3.
    pub fn s3(&self) -> PathBuf {
        self.path.join("s3")
    }

    pub fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    pub fn node(&self) -> PathBuf {
        self.path.join("node")
    }

    pub fn programs(&self) -> PathBuf {
        self.path.join("bin")
    }

    pub fn socket(&self) -> PathBuf {
        self.path.join("node.sock")
    }

    pub fn node_names(&self) -> NodeNames {
        node_names(&self.path)
    }
}

fn node_names(path: &Path) -> NodeNames {
    if path == Path::new(DEFAULT) {
        return NodeNames {
            bridge: "berth0".to_owned(),
            table: "berth".to_owned(),
            cgroup: "/ecs".to_owned(),
            run_dir: PathBuf::from("/run/berth"),
        };
    }
    let mark = mark(path);
    NodeNames {
        bridge: format!("berth-{mark}"),
        table: format!("berth_{mark}"),
        cgroup: format!("/ecs-{mark}"),
        run_dir: PathBuf::from(format!("/run/berth-{mark}")),
    }
}

/// Eight hexadecimal digits of the path, the same every time. An interface's name has room for no more.
fn mark(path: &Path) -> String {
    // FNV-1a: nobody attacks his own directory's name.
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_on_one_machine_have_different_names() {
        let (usual, other) = (node_names(Path::new(DEFAULT)), node_names(Path::new("/tmp/other")));
        assert_eq!((usual.bridge.as_str(), usual.cgroup.as_str()), ("berth0", "/ecs"));
        assert_ne!(node_names(Path::new("/tmp/another")).bridge, other.bridge);
        assert!(other.bridge.len() <= 15, "{} is no interface name", other.bridge);
    }

    #[test]
    fn a_directory_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::take(folder.path()).unwrap();
        let refused = DataDir::take(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("already running") && refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        DataDir::take(folder.path()).unwrap();
    }
}
