//! Files and directories that are there after a power cut, whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use uuid::Uuid;

/// Flushes a directory, so that the names made or removed in it survive a power cut.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates a directory and its parents, each flushed into its parent. May be called again.
pub fn create_dir_all(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_dir_all(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Puts `bytes` at `path`: afterwards the file has either its old content or this one, never a part.
///
/// The temporary file lies beside `path` and its name begins with `.tmp-`; a crash may leave one behind.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let aside = dir.join(format!("{TEMPORARY_PREFIX}{}", Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = File::create_new(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        // The first error is the one worth telling; a file left aside is harmless.
        let _ = fs::remove_file(&aside);
    }
    written?;
    sync_dir(dir)
}

/// Removes a file for good. It is no error when it is not there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(path.parent().unwrap_or(Path::new("."))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// How the names of half-written files begin; whoever lists a directory skips them.
pub const TEMPORARY_PREFIX: &str = ".tmp-";
