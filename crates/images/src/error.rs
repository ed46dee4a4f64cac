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

    /// True when the registry, which is there, is in trouble that may pass in seconds: it says so, limits its clients, or hung up.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            ImageError::Status { status } => status.starts_with('5') || status.starts_with("429"),
            ImageError::Registry { code, .. } => matches!(code.as_str(), "toomanyrequests" | "unavailable" | "unknown"),
            ImageError::Connection { reason, .. } => reason == "EOF" || reason.contains("connection reset"),
            _ => false,
        }
    }

    /// The reason of a container that could not start, as `describe-tasks` shows it: the agent's word, its advice for what it
    /// has seen often, and what the engine said.
    ///
    /// Source: Amazon ECS Developer Guide, "CannotPullContainer task errors".
    pub fn cannot_pull_reason(&self) -> String {
        let said = self.to_string();
        let advice = advice(&said);
        match self {
            // The engine tells this one without its usual beginning, and the agent passes it on so.
            ImageError::NoPlatform { .. } => format!("CannotPullContainerError: {said}"),
            _ => format!("CannotPullContainerError: {advice}Error response from daemon: {said}"),
        }
    }
}

/// What the official agent puts before the engine's words, by what is in them. The apostrophe is its own.
fn advice(said: &str) -> &'static str {
    let not_allowed = said
        .split_once("denied: User: ")
        .is_some_and(|(_, rest)| rest.contains(" is not authorized to perform: ecr:BatchGetImage on resource"));
    if not_allowed {
        "The task can’t pull the image. Check that the role has the permissions to pull images from the registry. "
    } else if said.contains("denied: requested access to the resource is denied") {
        "The task can’t pull the image. Check whether the image exists. "
    } else if said.contains("request canceled while waiting for connection") {
        "The task can’t pull the image. Check your network configuration. "
    } else {
        ""
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: ImageError, expected: &str) {
        assert_eq!(error.cannot_pull_reason(), expected);
    }

    #[test]
    fn advice_goes_before_what_the_engine_said() {
        let denied =
            |message: &str| ImageError::AccessDenied { name: "some/app".to_owned(), message: message.to_owned() };
        let daemon = "Error response from daemon: pull access denied for some/app, repository does not exist or may require \
                      'docker login': denied:";
        let nobody = "requested access to the resource is denied";
        check(
            denied(nobody),
            &format!(
                "CannotPullContainerError: The task can’t pull the image. Check whether the image exists. {daemon} {nobody}"
            ),
        );
        let role = "User: arn:aws:sts::111122223333:assumed-role/r/x is not authorized to perform: ecr:BatchGetImage on \
                    resource: arn:aws:ecr:us-east-1:111122223333:repository/app because no identity-based policy allows it";
        check(
            denied(role),
            &format!(
                "CannotPullContainerError: The task can’t pull the image. Check that the role has the permissions to pull \
                 images from the registry. {daemon} {role}"
            ),
        );
        let reason =
            "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)";
        let url = "https://registry.example/v2/app/manifests/1".to_owned();
        check(
            ImageError::Connection { method: "Get", url: url.clone(), reason: reason.to_owned() },
            &format!(
                "CannotPullContainerError: The task can’t pull the image. Check your network configuration. Error response \
                 from daemon: Get \"{url}\": {reason}"
            ),
        );
        check(
            ImageError::Registry {
                code: "toomanyrequests".to_owned(),
                message: "You have reached your limit".to_owned(),
            },
            "CannotPullContainerError: Error response from daemon: toomanyrequests: You have reached your limit",
        );
    }
}
