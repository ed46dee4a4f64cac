//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use super::path::{self, Place};
use super::{blobs, uploads};
use crate::{RepositoryName, Target};

/// What the path of a request means: the repository's name, if it is one, and what it is called by.
pub fn place(path: &str) -> Option<(Option<RepositoryName>, Option<Target>)> {
    let path = path::decode(path)?;
    let (name, target) = match Place::of(&path)? {
        Place::Ping | Place::Catalog => return Some((None, None)),
        Place::Tags { name } | Place::Uploads { name } => (name, None),
        Place::Referrers { name, digest } | Place::Blob { name, digest } => (name, Some(digest)),
        Place::Manifest { name, target } => (name, Some(target)),
        Place::Upload { name, id } => (name, Some(id)),
    };
    Some((name.parse().ok(), target.and_then(|target| target.parse().ok())))
}

/// The first byte and the one after the last that a `Range` header asks for of a blob of that size.
pub fn range(header: &str, size: u64) -> Option<(u64, u64)> {
    blobs::parse_range(header)?.within(size)
}

/// Where a chunk with that `Content-Range` begins, and how long it is.
pub fn content_range(text: &str) -> Option<(u64, u64)> {
    uploads::content_range(text)
}
