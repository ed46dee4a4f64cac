//! Answers, and parts of requests that several places read.

use std::collections::HashMap;
use std::fmt::Display;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::RegistryError;

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The specification's error body; none for HEAD, which has no body.
pub(super) fn error(error: &RegistryError, is_head: bool) -> Response {
    let (status, code) = error.answer();
    let message = if status.is_server_error() {
        // The log sees the whole chain; a client sees that it is our fault, and no path of this machine.
        tracing::error!(error = error as &dyn std::error::Error, "the registry failed to answer");
        match status {
            StatusCode::INSUFFICIENT_STORAGE => "no space left on device".to_owned(),
            StatusCode::BAD_GATEWAY => error.to_string(),
            StatusCode::SERVICE_UNAVAILABLE => "service unavailable: the object store does not answer".to_owned(),
            _ => "internal error".to_owned(),
        }
    } else {
        error.to_string()
    };
    if is_head {
        return empty(status);
    }
    let mut response = json(status, &json!({"errors": [{"code": code, "message": message, "detail": null}]}));
    if let RegistryError::UploadOutOfOrder { offset } = error {
        set(response.headers_mut(), header::RANGE, upload_range(*offset));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        set(response.headers_mut(), header::RETRY_AFTER, 1);
    }
    if let RegistryError::RangeInvalid { size } = error {
        set(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{size}"));
    }
    response
}

/// The bytes of an upload that have arrived, as the protocol says it: inclusive, and `0-0` for none.
pub(super) fn upload_range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

/// Sets a header whose value is built from names that were checked.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: impl Display) {
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        headers.insert(name, value);
    }
}

pub(super) fn set_digest(headers: &mut HeaderMap, digest: &blobs::Digest) {
    set(headers, HeaderName::from_static("docker-content-digest"), digest);
}

/// Whether the client has what `digest` names already, and says so.
///
/// Source: RFC 9110, "If-None-Match"; our entity tags are digests.
pub(super) fn is_known(headers: &HeaderMap, digest: &blobs::Digest) -> bool {
    let digest = digest.to_string();
    text(headers, &header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"')).any(|tag| tag == digest)
    })
}

pub(super) fn unchanged(digest: &blobs::Digest) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    set(response.headers_mut(), header::ETAG, format!("\"{digest}\""));
    set_digest(response.headers_mut(), digest);
    response
}

/// The query's parameters; of one given twice, the last.
pub(super) fn query(request: &Request) -> HashMap<String, String> {
    Query::try_from_uri(request.uri()).map(|Query(query)| query).unwrap_or_default()
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
