//! What a path means.

use blobs::Digest;
use percent_encoding::percent_decode_str;

use crate::RegistryError;

/// A place in the registry, with names not checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Ping,
    Catalog,
    Tags { name: &'a str },
    Referrers { name: &'a str, digest: &'a str },
    Manifest { name: &'a str, target: &'a str },
    Blob { name: &'a str, digest: &'a str },
    Uploads { name: &'a str },
    Upload { name: &'a str, id: &'a str },
}

impl<'a> Place<'a> {
    pub(super) fn of(path: &'a str) -> Option<Place<'a>> {
        let rest = path.strip_prefix("/v2")?;
        match rest.strip_prefix('/') {
            None | Some("") => return rest.trim_matches('/').is_empty().then_some(Place::Ping),
            Some("_catalog") => return Some(Place::Catalog),
            Some(_) => {}
        }
        let rest = &rest[1..];
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Place::Tags { name });
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads").or_else(|| rest.strip_suffix("/blobs/uploads/")) {
            return Some(Place::Uploads { name });
        }
        let (head, last) = rest.rsplit_once('/')?;
        if let Some(name) = head.strip_suffix("/blobs/uploads") {
            return Some(Place::Upload { name, id: last });
        }
        let (name, kind) = head.rsplit_once('/')?;
        match kind {
            "manifests" => Some(Place::Manifest { name, target: last }),
            "blobs" => Some(Place::Blob { name, digest: last }),
            "referrers" => Some(Place::Referrers { name, digest: last }),
            _ => None,
        }
    }
}

/// Some clients write the colon of a digest as `%3A`.
pub(super) fn decode(path: &str) -> Option<String> {
    percent_decode_str(path).decode_utf8().ok().map(|path| path.into_owned())
}

pub(super) fn digest(text: &str) -> Result<Digest, RegistryError> {
    text.parse().map_err(|_| RegistryError::DigestInvalid { text: text.chars().take(100).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_look_like_other_places() {
        for (path, place) in [
            ("/v2", Some(Place::Ping)),
            ("/v2/", Some(Place::Ping)),
            ("/v2/_catalog", Some(Place::Catalog)),
            ("/v2/a/b/tags/list", Some(Place::Tags { name: "a/b" })),
            ("/v2/a/manifests/1", Some(Place::Manifest { name: "a", target: "1" })),
            ("/v2/manifests/manifests/manifests", Some(Place::Manifest { name: "manifests", target: "manifests" })),
            ("/v2/a/blobs/sha256:0", Some(Place::Blob { name: "a", digest: "sha256:0" })),
            ("/v2/a/blobs/uploads/", Some(Place::Uploads { name: "a" })),
            ("/v2/a/blobs/uploads/5", Some(Place::Upload { name: "a", id: "5" })),
            ("/v2/a/referrers/sha256:0", Some(Place::Referrers { name: "a", digest: "sha256:0" })),
            ("/v2/a", None),
            ("/v2x", None),
            ("/v2/a/other/1", None),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }
}
