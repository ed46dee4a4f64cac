//! Why an image is not here, in the words that ECS users know.

use std::io;
use std::path::{Path, PathBuf};

use blobs::{BlobError, Digest};

use crate::{Platform, ReferenceError};

/// A stable name for what went wrong, for those who decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The name, the manifest or the archive makes no sense. Trying again does not help.
    Invalid,
    /// There is no such repository, tag or digest.
    NotFound,
    /// A login is missing, wrong or not enough.
    Denied,
    /// No variant of the image runs on this machine.
    Platform,
    /// What arrived is not what was announced.
    Corrupted,
    /// The registry cannot be reached, or does not answer as it should. Trying again may help.
    Unavailable,
    /// This machine's disk refused.
    Disk,
}

/// Why an image could not be pulled, loaded or found.
///
/// The texts are those of the Docker engine, which the ECS agent passes on; the engine was asked for each of them.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("{0}")]
    Reference(#[source] ReferenceError),
    /// `name` has its tag or digest.
    #[error("manifest for {name} not found: manifest unknown: {message}")]
    ManifestUnknown { name: String, message: String },
    #[error("repository {name} not found: name unknown: {message}")]
    RepositoryUnknown { name: String, message: String },
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': denied: {message}"
    )]
    AccessDenied { name: String, message: String },
    #[error("{method} \"{url}\": no basic auth credentials")]
    NoCredentials { method: &'static str, url: String },
    #[error("{method} \"{url}\": unauthorized: {message}")]
    Unauthorized { method: &'static str, url: String, message: String },
    /// The registry's own words, in its own code.
    #[error("{code}: {message}")]
    Registry { code: String, message: String },
    #[error("received unexpected HTTP status: {status}")]
    Status { status: String },
    /// The connection failed; `reason` is like `dial tcp 127.0.0.1:1: connect: connection refused`.
    #[error("{method} \"{url}\": {reason}")]
    Connection { method: &'static str, url: String, reason: String },
    #[error("no matching manifest for {platform} in the manifest list entries")]
    NoPlatform { platform: Platform },
    #[error("image operating system \"{os}\" cannot be used on this platform")]
    OperatingSystem { os: String },
    #[error("invalid {what}: {reason}")]
    Invalid { what: &'static str, reason: String },
    /// A layer's bytes are not the announced ones, before or after they were decompressed.
    #[error(
        "failed to register layer: filesystem layer verification failed for digest {expected}: digest mismatch, got {actual}"
    )]
    LayerMismatch { expected: Digest, actual: Digest },
    #[error("digest mismatch for {what}: expected {expected}, got {actual}")]
    DocumentMismatch { what: &'static str, expected: Digest, actual: Digest },
    #[error("failed to register layer: {reason}")]
    LayerInvalid { reason: String },
    #[error("failed to register layer: {}", disk_reason(source))]
    Unpack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("No such image: {name}")]
    NotHere { name: String },
    #[error("the built-in registry failed: {reason}")]
    Local { reason: String },
    #[error("failed to keep blobs: {}", blob_reason(.0))]
    Blobs(#[source] BlobError),
    #[error("failed to {action} {}: {}", path.display(), disk_reason(source))]
    Disk {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A record of ours that this version cannot read.
    #[error("failed to read {}: {reason}", path.display())]
    Record { path: PathBuf, reason: String },
    #[error("{} is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// A thread of ours ended before its work was done.
    #[error("the work was abandoned")]
    Abandoned,
}

/// The kernel's words, as Go programs and so ECS users know them.
fn disk_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "no space left on device".to_owned(),
        io::ErrorKind::QuotaExceeded => "disk quota exceeded".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "read-only file system".to_owned(),
        _ => error.to_string(),
    }
}

fn blob_reason(error: &BlobError) -> String {
    match error {
        BlobError::Io { source, .. } => disk_reason(source),
        other => other.to_string(),
    }
}

impl ImageError {
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
        let path = path.to_owned();
        move |source| ImageError::Disk { action, path, source }
    }

    pub fn kind(&self) -> ErrorKind {
        use ImageError::*;
        match self {
            Reference(_) | Invalid { .. } | LayerInvalid { .. } | Record { .. } => ErrorKind::Invalid,
            ManifestUnknown { .. } | RepositoryUnknown { .. } | NotHere { .. } => ErrorKind::NotFound,
            Registry { code, .. } if code == "blob unknown" => ErrorKind::NotFound,
            AccessDenied { .. } | NoCredentials { .. } | Unauthorized { .. } => ErrorKind::Denied,
            NoPlatform { .. } | OperatingSystem { .. } => ErrorKind::Platform,
            LayerMismatch { .. } | DocumentMismatch { .. } | Blobs(BlobError::NotFound { .. }) => ErrorKind::Corrupted,
            Registry { .. } | Status { .. } | Connection { .. } | Local { .. } | InUse { .. } | Abandoned => {
                ErrorKind::Unavailable
            }
            Unpack { .. } | Blobs(_) | Disk { .. } => ErrorKind::Disk,
        }
    }

    /// The reason of a container that could not start, as `describe-tasks` shows it.
    ///
    /// Source: Amazon ECS Developer Guide, "CannotPullContainer task errors".
    pub fn cannot_pull_reason(&self) -> String {
        match self {
            // The engine tells this one without its usual beginning, and the agent passes it on so.
            ImageError::NoPlatform { .. } => format!("CannotPullContainerError: {self}"),
            _ => format!("CannotPullContainerError: Error response from daemon: {self}"),
        }
    }
}

impl From<BlobError> for ImageError {
    fn from(error: BlobError) -> ImageError {
        match error {
            BlobError::Mismatch { expected, actual } => ImageError::LayerMismatch { expected, actual },
            other => ImageError::Blobs(other),
        }
    }
}
