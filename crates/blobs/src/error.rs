use std::io;
use std::path::{Path, PathBuf};

use crate::{Digest, UploadId};

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("blob {digest} not found")]
    NotFound { digest: Digest },
    /// The bytes are not what their name says. Nothing was stored.
    #[error("digest mismatch: expected {expected}, got {actual}")]
    Mismatch { expected: Digest, actual: Digest },
    #[error("blob {digest} is larger than the {limit} bytes that may be read at once")]
    TooLarge { digest: Digest, limit: u64 },
    #[error("upload {upload} not found")]
    UploadNotFound { upload: UploadId },
    /// Another request is writing to this upload right now.
    #[error("upload {upload} is being written by another request")]
    UploadBusy { upload: UploadId },
    #[error("blob {digest} is being deleted")]
    Doomed { digest: Digest },
    #[error("failed to {action} {name} in the object store")]
    Object {
        action: &'static str,
        name: String,
        #[source]
        source: object_store::Error,
    },
    #[error("a request to the object store was abandoned")]
    Abandoned,
    #[error("failed to {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl BlobError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
        let path = path.to_owned();
        move |source| BlobError::Io { action, path, source }
    }

    pub(crate) fn object(
        action: &'static str,
        name: &object_store::path::Path,
    ) -> impl FnOnce(object_store::Error) -> BlobError {
        let name = name.to_string();
        move |source| BlobError::Object { action, name, source }
    }

    /// Whether the object store is at fault, and may do better later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, BlobError::Object { .. } | BlobError::Doomed { .. } | BlobError::Abandoned)
    }

    /// Whether the disk had no room for the bytes.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, BlobError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}
