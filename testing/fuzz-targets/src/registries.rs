//! What a registry's clients send.

use blobs::Digest;
use registry::{Manifest, RepositoryName, Scope, Tag, Target, parsers};

use crate::{line, text};

/// The first line is a content type, the rest a manifest.
pub(crate) fn registry_manifest(bytes: &[u8]) {
    let (content_type, body) = line(bytes);
    let content_type = Some(text(content_type)).filter(|text| !text.is_empty());
    let _ = Manifest::parse(content_type, body);
}

/// A path, a host, and the headers `Range` and `Content-Range`, a line each.
pub(crate) fn registry_requests(bytes: &[u8]) {
    let (path, rest) = line(bytes);
    let (host, rest) = line(rest);
    let (range, content_range) = line(rest);
    if let Some((name, target)) = parsers::place(text(path)) {
        for part in name.iter().flat_map(|name| name.as_str().split('/')) {
            assert!(!part.is_empty() && !part.starts_with(['.', '_']), "{part} is a directory");
        }
        if let Some(Target::Tag(tag)) = target {
            assert!(!tag.as_str().starts_with('.') && !tag.as_str().contains('/'));
        }
    }
    if let Some(scope) = Scope::of_host(text(host)) {
        assert!(!scope.region().contains(['.', '/']) && scope.account().len() == 12);
    }
    for size in [0, 1, 10, u64::MAX] {
        if let Some((start, end)) = parsers::range(text(range), size) {
            assert!(start < end && end <= size);
        }
    }
    if let Some((start, length)) = parsers::content_range(text(content_range)) {
        assert!(length > 0 && start.checked_add(length - 1).is_some());
    }
    let _ = (text(path).parse::<RepositoryName>(), text(path).parse::<Tag>(), text(path).parse::<Digest>());
}
