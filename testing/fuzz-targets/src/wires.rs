//! The AWS protocols: inputs and answers, dates, signatures.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use shape::{Document, Operation, ServiceModel, Timestamp};
use wire::sigv4::{Claim, Credentials, Unsigned, canonical_request, sign_headers, verify};
use wire::{json, parsers};

use crate::{line, text};

const MODELS: [&ServiceModel; 4] = [&api_ecs::MODEL, &api_logs::MODEL, &api_ecr::MODEL, &api_sts::MODEL];

static OPERATIONS: LazyLock<Vec<(&'static ServiceModel, &'static Operation)>> = LazyLock::new(|| {
    MODELS.iter().flat_map(|model| model.operations.iter().map(move |operation| (*model, *operation))).collect()
});

/// The operation that the first line names, or a number chooses, and what is behind it.
pub(crate) fn operation(bytes: &[u8]) -> (&'static ServiceModel, &'static Operation, &[u8]) {
    let (name, rest) = line(bytes);
    let named = OPERATIONS.iter().find(|(_, operation)| operation.name.as_bytes() == name);
    let numbered = usize::from(name.first().copied().unwrap_or_default()) % OPERATIONS.len();
    let (model, operation) = *named.unwrap_or(&OPERATIONS[numbered]);
    (model, operation, rest)
}

/// An input in JSON is refused, or written and read again it stays what it is.
pub(crate) fn json_input(bytes: &[u8]) {
    let (model, operation, body) = operation(bytes);
    let Ok(document) = json::decode(operation.input, body) else { return };
    let _ = shape::check(model, operation, &document);
    survives(operation.input, document);
}

/// What an answer says is read by the typed client.
pub(crate) fn api_answers(bytes: &[u8]) {
    let (_, operation, body) = operation(bytes);
    let Ok(document) = json::decode(operation.output, body) else { return };
    survives(operation.output, document);
}

fn survives(schema: &'static shape::Schema, document: Document) {
    let written = json::encode(schema, &document);
    let read = json::decode(schema, &written).unwrap_or_else(|error| panic!("{error}: {}", text(&written)));
    // serde_json reads a fraction to within its last digit.
    if !has_fraction(&read) {
        assert_eq!(text(&json::encode(schema, &read)), text(&written));
    }
}

fn has_fraction(document: &Document) -> bool {
    match document {
        Document::Float(_) => true,
        Document::List(items) => items.iter().any(has_fraction),
        Document::Map(entries) => entries.iter().any(|(_, item)| has_fraction(item)),
        Document::Structure(members) => members.iter().any(|(_, item)| has_fraction(item)),
        _ => false,
    }
}

/// An input in the query protocol; the second line is the query string, the rest the body.
pub(crate) fn query_input(bytes: &[u8]) {
    let (model, operation, rest) = operation(bytes);
    let (query, body) = line(rest);
    if let Ok(document) = parsers::query_input(operation, query, body) {
        let _ = shape::check(model, operation, &document);
    }
}

/// What is read as a point in time is written and read as the same one.
pub(crate) fn dates(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(at) = wire::parse_amz_date(text) {
        assert_eq!(wire::parse_amz_date(&wire::amz_date(at)), Some(at), "{text}");
    }
    if let Some(at) = parsers::iso8601(text) {
        let written = at.to_string();
        assert!(!written.starts_with('+') && written.len() >= 24, "{written}");
    }
}

/// The first line is the request line, `METHOD path?query`; the others are headers.
pub(crate) fn sigv4(bytes: &[u8]) {
    let (first, rest) = line(bytes);
    let (method, target) = text(first).split_once(' ').unwrap_or(("GET", text(first)));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for header in rest.split(|byte| *byte == b'\n') {
        let Some(at) = header.iter().position(|byte| *byte == b':') else { continue };
        let value = HeaderValue::from_bytes(header[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&header[..at]), value) {
            headers.append(name, value);
        }
    }
    let now = Timestamp::from_millis(1_440_938_160_000);
    let request =
        Unsigned { method: &method, path, query, headers: &headers, payload_hash: "UNSIGNED-PAYLOAD", service: "ecs" };
    if let Ok(claim) = Claim::of(&headers, query) {
        let canonical = canonical_request(&request, &claim.signed_headers);
        assert!(canonical.ends_with("UNSIGNED-PAYLOAD"));
        assert!(verify(&claim, "not the secret", &request, now).is_err(), "a signature of nobody is believed");
    }
    // What we sign is believed, whatever else the request says.
    let credentials = Credentials { access_key: "AKIDEXAMPLE".into(), secret: "secret".into(), session_token: None };
    headers.remove(http::header::AUTHORIZATION);
    headers.entry(http::header::HOST).or_insert(HeaderValue::from_static("localhost"));
    sign_headers(&credentials, ("us-east-1", "ecs"), now, (&method, path, query), &mut headers, b"");
    // The hash of no bytes.
    let payload_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    if let Ok(claim) = Claim::of(&headers, query) {
        let request = Unsigned { method: &method, path, query, headers: &headers, payload_hash, service: "ecs" };
        let believed = verify(&claim, "secret", &request, now);
        assert_eq!(believed, Ok(()), "{method} {path}?{query} {headers:?}");
    }
}
