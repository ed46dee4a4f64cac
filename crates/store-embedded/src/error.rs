//! Why a store could not be opened, in words for the person who has to do something about it.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the store {} is in use by another Berth{}; stop it, or choose another data directory", path.display(), holder(.process))]
    InUse { path: PathBuf, process: Option<u32> },
    #[error(
        "the store {} has format {found}, and this Berth knows formats up to {known}; use the newer Berth that wrote it",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is an SQLite database, but not one of Berth's; choose another data directory", path.display())]
    NotAStore { path: PathBuf },
    #[error("the store {} is damaged; restore it from a backup", path.display())]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("the disk that holds the store {} is full; free some space and start again", path.display())]
    Full { path: PathBuf, source: rusqlite::Error },
    #[error("the file system of {} cannot hold a store: SQLite's write-ahead log does not work there", path.display())]
    NoWriteAheadLog { path: PathBuf },
    #[error("failed to open the store {}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

fn holder(process: &Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.to_owned();
        move |source| OpenError::Io { action, path, source }
    }
}
