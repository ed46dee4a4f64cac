//! Layers by their digests, and uploads of them by their ids.

use api_ecr::{Error, ErrorCode};
use blobs::{Digest, UploadId};
use registry::{RegistryError, RepositoryKey};

use crate::refusals::{self, invalid};

/// What a text that should be a layer's digest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Nothing,
    Badly,
    /// It is well formed, and of an algorithm or length that no layer here is named by.
    Absent,
    Digest(Digest),
}

pub(crate) const MISSING: &str = "Invalid request parameters: layer digest cannot be null";
pub(crate) const INVALID: &str =
    "Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";

pub(crate) fn parse(text: &str) -> Named {
    let is_algorithm = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte);
    match text.split_once(':') {
        _ if text.is_empty() => Named::Nothing,
        Some((algorithm, digits))
            if !algorithm.is_empty()
                && algorithm.bytes().all(is_algorithm)
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            text.parse().map_or(Named::Absent, Named::Digest)
        }
        _ => Named::Badly,
    }
}

pub(crate) fn upload_id(text: &str, key: &RepositoryKey) -> Result<UploadId, Error> {
    text.parse().map_err(|_| no_upload(text, key))
}

/// What the registry says of an upload, in the words of the API.
pub(crate) fn upload(error: RegistryError, id: &str, key: &RepositoryKey) -> Error {
    match error {
        RegistryError::UploadUnknown => no_upload(id, key),
        other => refusals::registry(other),
    }
}

fn no_upload(id: &str, key: &RepositoryKey) -> Error {
    Error::new(
        ErrorCode::UploadNotFoundException,
        format!(
            "The upload with id '{id}' could not be found for the repository with name '{}' in the registry with id '{}'",
            key.name,
            key.scope.account()
        ),
    )
}

/// The digest of a request that names one layer.
pub(crate) fn required(text: &str, parameter: &str) -> Result<Option<Digest>, Error> {
    match parse(text) {
        Named::Digest(digest) => Ok(Some(digest)),
        Named::Absent => Ok(None),
        Named::Nothing | Named::Badly => {
            Err(invalid(parameter, "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_is_told_from_what_is_not_there() {
        let digest = Digest::of(b"x");
        for (text, named) in [
            ("", Named::Nothing),
            ("sha256", Named::Badly),
            ("sha256:", Named::Badly),
            (":00", Named::Badly),
            ("sha256:xyz", Named::Badly),
            ("sha256:00", Named::Absent),
            ("md5:00", Named::Absent),
            (&digest.to_string(), Named::Digest(digest)),
        ] {
            assert_eq!(parse(text), named, "{text}");
        }
    }
}
