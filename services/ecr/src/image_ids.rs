//! How a request names an image: by tag, by digest, or by both.

use api_ecr::enums::image_failure_code;
use api_ecr::{Error, ErrorCode, ImageIdentifier};
use blobs::Digest;
use registry::{ManifestRecord, Registry, RegistryError, RepositoryKey, Tag, Target, UpstreamError};

use crate::refusals::{self, bad_request};

/// An image that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageId {
    Tag(Tag),
    Digest(Digest),
    /// The tag is meant, and it must name the digest.
    Both(Tag, Digest),
}

/// Why there is no such image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    MissingDigestAndTag,
    InvalidImageDigest,
    InvalidImageTag,
    ImageNotFound,
    ImageTagDoesNotMatchDigest,
    ImageReferencedByManifestList {
        by: Vec<Digest>,
    },
    /// The registry that the repository is a copy of does not give it.
    Upstream(UpstreamError),
}

impl ImageId {
    /// What a pull would ask for.
    pub(crate) fn target(self) -> Target {
        match self {
            ImageId::Tag(tag) | ImageId::Both(tag, _) => Target::Tag(tag),
            ImageId::Digest(digest) => Target::Digest(digest),
        }
    }

    pub(crate) fn parse(id: &ImageIdentifier) -> Result<ImageId, Failure> {
        let digest = id.image_digest.as_deref().map(parse_digest).transpose()?;
        let tag = id.image_tag.as_deref().map(parse_tag).transpose()?;
        match (tag, digest) {
            (Some(tag), Some(digest)) => Ok(ImageId::Both(tag, digest)),
            (Some(tag), None) => Ok(ImageId::Tag(tag)),
            (None, Some(digest)) => Ok(ImageId::Digest(digest)),
            (None, None) => Err(Failure::MissingDigestAndTag),
        }
    }
}

/// The image that an identifier names.
pub(crate) fn find(
    registry: &Registry,
    key: &RepositoryKey,
    id: &ImageIdentifier,
) -> Result<Result<(Digest, ManifestRecord), Failure>, RegistryError> {
    let found = match ImageId::parse(id) {
        Ok(ImageId::Digest(digest)) => registry.resolve(key, &Target::Digest(digest)),
        Ok(ImageId::Tag(tag)) => registry.resolve(key, &Target::Tag(tag)),
        Ok(ImageId::Both(tag, digest)) => match registry.resolve(key, &Target::Tag(tag)) {
            Ok((tagged, _)) if tagged != digest => return Ok(Err(Failure::ImageTagDoesNotMatchDigest)),
            found => found,
        },
        Err(failure) => return Ok(Err(failure)),
    };
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(error) => Failure::of(error).map(Err),
    }
}

/// The one image that a request is about.
pub(crate) fn require(
    registry: &Registry,
    key: &RepositoryKey,
    id: &ImageIdentifier,
) -> Result<(Digest, ManifestRecord), Error> {
    find(registry, key, id).map_err(refusals::registry)?.map_err(|failure| failure.refusal(key, id))
}

/// A digest of another algorithm is well formed, and names no image that we have.
fn parse_digest(text: &str) -> Result<Digest, Failure> {
    let is_algorithm = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte);
    let (algorithm, digits) = text.split_once(':').ok_or(Failure::InvalidImageDigest)?;
    let is_good = !algorithm.is_empty()
        && algorithm.bytes().all(is_algorithm)
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_good {
        return Err(Failure::InvalidImageDigest);
    }
    text.parse().map_err(|_| Failure::ImageNotFound)
}

/// A tag that is too long for any image, or begins with a dot, names no image either.
fn parse_tag(text: &str) -> Result<Tag, Failure> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_good) {
        return Err(Failure::InvalidImageTag);
    }
    text.parse().map_err(|_| Failure::ImageNotFound)
}

impl Failure {
    /// What the registry said, if it is about this one image.
    pub(crate) fn of(error: RegistryError) -> Result<Failure, RegistryError> {
        match error {
            RegistryError::ManifestUnknown => Ok(Failure::ImageNotFound),
            RegistryError::TagOfAnother { .. } => Ok(Failure::ImageTagDoesNotMatchDigest),
            RegistryError::Upstream(error) => Ok(Failure::Upstream(error)),
            RegistryError::Referenced { by } => Ok(Failure::ImageReferencedByManifestList { by }),
            other => Err(other),
        }
    }

    /// The error of a request that is about this image and no other.
    pub(crate) fn refusal(&self, key: &RepositoryKey, id: &ImageIdentifier) -> Error {
        if !matches!(self, Failure::ImageNotFound | Failure::ImageTagDoesNotMatchDigest) {
            return bad_request(self.reason());
        }
        Error::new(
            ErrorCode::ImageNotFoundException,
            format!(
                "The image with imageId {} does not exist within the repository with name '{}' in the registry with id \
                 '{}'",
                text(id),
                key.name,
                key.scope.account()
            ),
        )
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Failure::MissingDigestAndTag => image_failure_code::MISSING_DIGEST_AND_TAG,
            Failure::InvalidImageDigest => image_failure_code::INVALID_IMAGE_DIGEST,
            Failure::InvalidImageTag => image_failure_code::INVALID_IMAGE_TAG,
            Failure::ImageNotFound => image_failure_code::IMAGE_NOT_FOUND,
            Failure::ImageTagDoesNotMatchDigest => image_failure_code::IMAGE_TAG_DOES_NOT_MATCH_DIGEST,
            Failure::ImageReferencedByManifestList { .. } => image_failure_code::IMAGE_REFERENCED_BY_MANIFEST_LIST,
            Failure::Upstream(UpstreamError::NotFound) => image_failure_code::IMAGE_NOT_FOUND,
            Failure::Upstream(UpstreamError::Denied { .. }) => image_failure_code::UPSTREAM_ACCESS_DENIED,
            Failure::Upstream(UpstreamError::Unreachable { .. } | UpstreamError::Storage { .. }) => {
                image_failure_code::UPSTREAM_UNAVAILABLE
            }
        }
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Failure::MissingDigestAndTag => "Invalid request parameters: both tag and digest cannot be null".to_owned(),
            Failure::InvalidImageDigest => {
                "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
                    .to_owned()
            }
            Failure::InvalidImageTag => {
                "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9-_.]+'".to_owned()
            }
            Failure::ImageNotFound => "Requested image not found".to_owned(),
            Failure::ImageTagDoesNotMatchDigest => "Requested image tag does not match the digest".to_owned(),
            Failure::ImageReferencedByManifestList { by } => {
                format!("Requested image referenced by manifest list: {by:?}")
            }
            Failure::Upstream(error) => error.to_string(),
        }
    }
}

/// An identifier as AWS writes it in its messages.
pub(crate) fn text(id: &ImageIdentifier) -> String {
    let or_null = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    format!("{{imageDigest:'{}', imageTag:'{}'}}", or_null(&id.image_digest), or_null(&id.image_tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(digest: Option<&str>, tag: Option<&str>, expected: Result<ImageId, Failure>) {
        let id = ImageIdentifier { image_digest: digest.map(str::to_owned), image_tag: tag.map(str::to_owned) };
        assert_eq!(ImageId::parse(&id), expected, "{id:?}");
    }

    #[test]
    fn images_are_named_in_three_ways() {
        let (digest, tag): (Digest, Tag) = (Digest::of(b"x"), "latest".parse().unwrap());
        let text = digest.to_string();
        check(None, Some("latest"), Ok(ImageId::Tag(tag.clone())));
        check(Some(&text), None, Ok(ImageId::Digest(digest)));
        check(Some(&text), Some("latest"), Ok(ImageId::Both(tag, digest)));
        check(None, None, Err(Failure::MissingDigestAndTag));
    }

    #[test]
    fn what_is_malformed_is_told_from_what_is_not_there() {
        for invalid in ["", "sha256", "sha256:", ":abc", "sha256:xyz", "sha 256:abc", "md5:abc/../def"] {
            check(Some(invalid), None, Err(Failure::InvalidImageDigest));
        }
        for absent in ["sha256:abc", "sha512:00", "SHA256:00"] {
            check(Some(absent), None, Err(Failure::ImageNotFound));
        }
        for invalid in ["", "a b", "a/b", "é", "a:b"] {
            check(None, Some(invalid), Err(Failure::InvalidImageTag));
        }
        for absent in [".x", "-x", &"x".repeat(129)] {
            check(None, Some(absent), Err(Failure::ImageNotFound));
        }
    }
}
