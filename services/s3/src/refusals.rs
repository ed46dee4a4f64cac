//! AWS's words for what cannot be done.

use std::error::Error as _;

use api_s3::{Error, ErrorCode};
use blobs::BlobError;
use shape::{ErrorCode as _, WireError};
use state::CommitError;

pub(crate) fn invalid_argument(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

pub(crate) fn no_such_bucket(bucket: &str) -> Error {
    let error = Error::new(ErrorCode::NoSuchBucket, "The specified bucket does not exist");
    error.with_member("BucketName", bucket.into())
}

pub(crate) fn no_such_key(key: &str) -> Error {
    Error::new(ErrorCode::NoSuchKey, "The specified key does not exist.").with_member("Key", key.into())
}

pub(crate) fn no_such_upload(id: &str) -> Error {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    Error::new(ErrorCode::NoSuchUpload, message).with_member("UploadId", id.into())
}

pub(crate) fn access_denied() -> Error {
    Error::new(ErrorCode::AccessDenied, "Access Denied")
}

pub(crate) fn not_implemented(what: &str) -> Error {
    let message = "A header you provided implies functionality that is not implemented";
    Error::new(ErrorCode::NotImplemented, message).with_member("Header", what.into())
}

pub(crate) fn bad_digest(algorithm: &str) -> Error {
    let message = format!("The {algorithm} you specified did not match the calculated checksum.");
    Error::new(ErrorCode::BadDigest, message)
}

/// Something of ours is broken.
pub(crate) fn broken(source: impl Into<shape::Source>) -> Error {
    Error::new(ErrorCode::InternalError, "We encountered an internal error. Please try again.").with_source(source)
}

pub(crate) fn blob(error: BlobError) -> Error {
    if error.is_disk_full() || error.is_unavailable() {
        return unavailable(error);
    }
    broken(error)
}

pub(crate) fn disk(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => unavailable(error),
        _ => broken(error),
    }
}

fn unavailable(source: impl Into<shape::Source>) -> Error {
    Error::new(ErrorCode::ServiceUnavailable, "Service is unable to handle request.").with_source(source)
}

pub(crate) fn commit(error: CommitError) -> Error {
    match error {
        CommitError::Conflict => {
            let message =
                "A conflicting conditional operation is currently in progress against this resource. Please try again.";
            Error::new(ErrorCode::OperationAborted, message).with_source(error)
        }
        CommitError::Unavailable(_) => broken(error),
    }
}

/// What is wrong with the bytes of a request, as the front door found it.
pub(crate) fn bytes(error: WireError) -> Error {
    let codes = [
        ErrorCode::IncompleteBody,
        ErrorCode::InvalidRequest,
        ErrorCode::SignatureDoesNotMatch,
        ErrorCode::XAmzContentSHA256Mismatch,
    ];
    let Some(code) = codes.into_iter().find(|code| code.facts().code == error.facts.code) else {
        return broken(error);
    };
    let mut refusal = Error::new(code, error.message.clone().unwrap_or_default());
    refusal.members.clone_from(&error.members);
    match error.source().map(ToString::to_string) {
        Some(source) => refusal.with_source(source),
        None => refusal,
    }
}
