//! A layer below every image with the files and folders that each container has something mounted on.
//!
//! An image made from scratch has none of them, and then the OCI runtime makes them in the container's own layer: seven
//! inodes for each start. What an image has hides what is here.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Beside the directory of the tasks, so that it is on the same file system as the containers' own layers.
pub const NAME: &str = "mount-points";

const FOLDERS: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 3] = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

pub fn ensure(dir: &Path) -> io::Result<()> {
    for name in FOLDERS {
        fs::create_dir_all(dir.join(name))?;
    }
    FILES.iter().try_for_each(|name| File::create(dir.join(name)).map(drop))
}
