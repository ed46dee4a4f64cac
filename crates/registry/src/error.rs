//! What can go wrong, and how a registry client is told.

use std::io;
use std::path::PathBuf;

use blobs::{BlobError, Digest};
use http::StatusCode;

use crate::upstream::UpstreamError;

/// Why the registry refused or failed.
///
/// The texts are Amazon ECR's where it has one: docker and the ECS agent show them to people.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("invalid repository name '{name}'")]
    NameInvalid { name: String },
    #[error("The repository with name '{name}' does not exist in the registry with id '{account}'")]
    NameUnknown { name: String, account: String },
    #[error("The repository with name '{name}' already exists in the registry with id '{account}'")]
    RepositoryExists { name: String, account: String },
    #[error(
        "The repository with name '{name}' in registry with id '{account}' cannot be deleted because it still contains images"
    )]
    RepositoryNotEmpty { name: String, account: String },
    #[error("invalid tag '{tag}'")]
    TagInvalid { tag: String },
    #[error(
        "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable."
    )]
    TagImmutable { tag: String, name: String },
    #[error("invalid digest '{text}'")]
    DigestInvalid { text: String },
    #[error("provided digest did not match uploaded content: expected {expected}, got {actual}")]
    DigestMismatch { expected: Digest, actual: Digest },
    #[error("blob {digest} unknown to repository '{name}'")]
    BlobUnknown { digest: Digest, name: String },
    #[error("blob upload unknown to registry")]
    UploadUnknown,
    #[error("blob upload invalid: {reason}")]
    UploadInvalid { reason: String },
    /// The chunk does not begin where the last one ended.
    #[error("blob upload out of order: the next byte is {offset}")]
    UploadOutOfOrder { offset: u64 },
    #[error("the content range has {range} bytes, and the content {length}")]
    ChunkLength { range: u64, length: u64 },
    #[error("too many uploads are under way")]
    TooManyUploads,
    #[error("too many blobs are being sent")]
    TooManyStreams,
    #[error("invalid number of results requested: '{text}'")]
    PageInvalid { text: String },
    #[error("page not found")]
    NoSuchPlace,
    #[error("the range is outside of the blob's {size} bytes")]
    RangeInvalid { size: u64 },
    #[error("the content is larger than the {limit} bytes allowed")]
    TooLarge { limit: u64 },
    #[error("Requested image not found")]
    ManifestUnknown,
    #[error("manifest invalid: {reason}")]
    ManifestInvalid { reason: String },
    #[error("manifest references {digest}, which is not in repository '{name}'")]
    ManifestBlobUnknown { digest: Digest, name: String },
    #[error("Requested image tag '{tag}' does not name {digest}")]
    TagOfAnother { tag: String, digest: Digest },
    #[error("Requested image referenced by manifest list: {by:?}")]
    Referenced { by: Vec<Digest> },
    #[error("the operation is unsupported")]
    Unsupported,
    #[error("the client broke off")]
    ClientGone,
    #[error("failed to keep blobs")]
    Blobs(#[source] BlobError),
    #[error("failed to {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to {action} {} in the object store", path.display())]
    Object {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: object_store::Error,
    },
    #[error("failed to read record {}", path.display())]
    Record {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// The registry that a repository is a copy of.
    #[error("{0}")]
    Upstream(UpstreamError),
    #[error("a request was abandoned by the registry")]
    Abandoned,
}

impl From<BlobError> for RegistryError {
    fn from(error: BlobError) -> RegistryError {
        match error {
            BlobError::Mismatch { expected, actual } => RegistryError::DigestMismatch { expected, actual },
            BlobError::UploadNotFound { .. } => RegistryError::UploadUnknown,
            BlobError::UploadBusy { .. } => {
                RegistryError::UploadInvalid { reason: "another request is writing to it".to_owned() }
            }
            other => RegistryError::Blobs(other),
        }
    }
}

impl RegistryError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> RegistryError {
        let path = path.to_owned();
        move |source| RegistryError::Io { action, path, source }
    }

    /// The HTTP status and the specification's code.
    ///
    /// Source: OCI distribution specification, "Error codes". That list has no code for our faults, `SERVER_ERROR` is ours; nor for a
    /// bad page size, where the code is that of Docker's registry.
    pub fn answer(&self) -> (StatusCode, &'static str) {
        use RegistryError::*;
        match self {
            NameInvalid { .. } => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            NameUnknown { .. } => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            RepositoryExists { .. } | RepositoryNotEmpty { .. } => (StatusCode::CONFLICT, "DENIED"),
            TagInvalid { .. } | TagImmutable { .. } => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            DigestInvalid { .. } | DigestMismatch { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            BlobUnknown { .. } => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            UploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            UploadInvalid { .. } | ClientGone => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            UploadOutOfOrder { .. } | RangeInvalid { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID"),
            ChunkLength { .. } => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            TooManyUploads | TooManyStreams => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            PageInvalid { .. } => (StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
            NoSuchPlace => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
            Upstream(UpstreamError::NotFound) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Upstream(UpstreamError::Denied { .. }) => (StatusCode::FORBIDDEN, "DENIED"),
            Upstream(UpstreamError::Unreachable { .. }) => (StatusCode::BAD_GATEWAY, "UPSTREAM_UNAVAILABLE"),
            TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            ManifestInvalid { .. } => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            ManifestBlobUnknown { .. } => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            TagOfAnother { .. } => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            Unsupported | Referenced { .. } => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Blobs(error) if error.is_unavailable() => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Object { .. } | Upstream(UpstreamError::Storage { .. }) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Blobs(error) if error.is_disk_full() => (StatusCode::INSUFFICIENT_STORAGE, "SERVER_ERROR"),
            Blobs(_) | Io { .. } | Record { .. } | Abandoned => (StatusCode::INTERNAL_SERVER_ERROR, "SERVER_ERROR"),
        }
    }
}
