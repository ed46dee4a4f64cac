//! A file that is replaced as a whole, and what it takes until it survives a loss of power.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Extension of a file that is not yet in its place.
pub(super) const ASIDE: &str = "new";

#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {path}", path = path.display())]
pub struct RecordError {
    pub(super) action: &'static str,
    pub(super) path: PathBuf,
    #[source]
    pub(super) source: io::Error,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Yes,
    No,
}

/// Aside, then renamed: a reader finds the old file or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8], flush: Flush) -> Result<(), RecordError> {
    let failed = |action| move |source| RecordError { action, path: path.to_owned(), source };
    // Both files of a task may be on their way at once.
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{ASIDE}"));
    let mut file = File::create(&aside).map_err(failed("create"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    if flush == Flush::Yes {
        file.sync_all().map_err(failed("flush"))?;
    }
    failpoint::place("agent.record");
    fs::rename(&aside, path).map_err(failed("put in place"))?;
    if flush == Flush::Yes { sync_folder(path) } else { Ok(()) }
}

pub(super) fn flush(path: &Path) -> Result<(), RecordError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| RecordError { action: "flush", path: path.to_owned(), source })?;
    sync_folder(path)
}

/// A name is durable when its folder is.
fn sync_folder(path: &Path) -> Result<(), RecordError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| RecordError { action: "flush the folder of", path: path.to_owned(), source })
}
