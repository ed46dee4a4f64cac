//! The one form of a request that both sides hash.

use std::borrow::Cow;

use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parts of a request that a signature covers.
#[derive(Clone, Copy)]
pub struct Unsigned<'a> {
    pub method: &'a Method,
    /// As it stands in the request line.
    pub path: &'a str,
    /// As it stands in the request line, without the question mark.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// SHA-256 of the body in hex, or a word like `UNSIGNED-PAYLOAD`.
    pub payload_hash: &'a str,
    /// Which service is asked: S3 takes paths as they are.
    pub service: &'a str,
}

/// Writes the canonical request over the named headers, which must be lower case.
pub fn canonical_request(request: &Unsigned, signed_headers: &[String]) -> String {
    let mut names: Vec<&str> = signed_headers.iter().map(String::as_str).collect();
    names.sort_unstable();
    let mut headers = String::new();
    for name in &names {
        headers.push_str(name);
        headers.push(':');
        headers.push_str(&header_values(request.headers, name));
        headers.push('\n');
    }
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        if request.service == "s3" { raw_path(request.path) } else { canonical_path(request.path) },
        canonical_query(request.query),
        names.join(";"),
        request.payload_hash
    )
}

/// Values of one name joined by commas, trimmed, runs of spaces made one.
fn header_values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned()
    });
    values.collect::<Vec<_>>().join(",")
}

/// Each segment decoded and encoded in the one way: in a key of S3, dots and empty segments mean something.
fn raw_path(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let bytes: Vec<u8> = percent_decode_str(segment).collect();
        percent_encode(&bytes, RESERVED).to_string()
    });
    let path = segments.collect::<Vec<_>>().join("/");
    if path.is_empty() { "/".to_owned() } else { path }
}

/// Without `.`, `..` and empty segments, and encoded once more than it came: every service but S3 does so.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    let mut out = String::new();
    for segment in &segments {
        out.push('/');
        out.extend(utf8_percent_encode(segment, RESERVED));
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

/// Decoded, encoded again in the one way, sorted. The signature itself is no part of it.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = pairs(query)
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The parameters of a query string, decoded. A plus sign stays a plus sign, as in the specification of SigV4.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(name).decode_utf8_lossy(), percent_decode_str(value).decode_utf8_lossy())
    })
}
