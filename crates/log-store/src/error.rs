//! What can go wrong, named for what was tried.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Failures of the files themselves.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged { path: PathBuf, offset: u64, what: &'static str },
    #[error("the log store {} is in use by another Berth; stop it, or choose another data directory", path.display())]
    InUse { path: PathBuf },
    #[error("the log store {} has format {found}, and this Berth knows formats up to {known}", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("writing to {} failed before; it is closed until Berth starts again", path.display())]
    Broken { path: PathBuf },
    #[error("failed to {action} the segment {name}")]
    Object { action: &'static str, name: String, source: Arc<object_store::Error> },
    #[error("failed to compress log events")]
    Compress { source: Arc<io::Error> },
    #[error("logs come faster than they can be sealed, or sealing fails; the write-ahead log is full")]
    Behind,
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, what: &'static str) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), offset, what }
    }

    pub(crate) fn object(action: &'static str, name: &str) -> impl FnOnce(object_store::Error) -> StoreError {
        let name = name.to_owned();
        move |source| StoreError::Object { action, name, source: Arc::new(source) }
    }

    /// It is not there.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            StoreError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            StoreError::Object { source, .. } => matches!(**source, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }
}

/// Why something was not changed. Nothing of it is visible afterwards.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("the log group does not exist")]
    GroupNotFound,
    #[error("the log group exists already")]
    GroupExists,
    #[error("the log stream does not exist")]
    StreamNotFound,
    #[error("the log stream exists already")]
    StreamExists,
    #[error("the batch is larger than one record may be: {bytes} bytes")]
    TooLarge { bytes: usize },
    #[error("failed to write logs")]
    Write(#[source] StoreError),
    #[error("the log store is closed")]
    Closed,
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the log group does not exist")]
    GroupNotFound,
    #[error("the log stream does not exist")]
    StreamNotFound,
    #[error("failed to read log events")]
    Store(#[source] StoreError),
}
