//! Buckets in host names: `BUCKET.s3.eu-west-1.amazonaws.com`, `BUCKET.localhost:4566`.

use std::borrow::Cow;

use http::header;
use http::request::Parts;
use shape::ServiceModel;

use crate::sigv4::{Claim, key_of_version_2};

/// Whether a request is for this REST service: its signature says so, or without one its host.
pub(crate) fn is_meant(model: &ServiceModel, parts: &Parts) -> bool {
    match Claim::of(&parts.headers, parts.uri.query().unwrap_or_default()) {
        Ok(claim) => claim.scope.service == model.signing_name,
        Err(_) => {
            let is_of_s3 = model.signing_name == "s3";
            service_label(host(parts), model.endpoint_prefix).is_some()
                || is_of_s3 && key_of_version_2(parts.uri.query().unwrap_or_default()).is_some()
        }
    }
}

/// The path with the bucket in it, wherever the client has said it.
pub(crate) fn path<'a>(model: &ServiceModel, parts: &'a Parts) -> Cow<'a, str> {
    let path = parts.uri.path();
    match bucket(host(parts), model.endpoint_prefix) {
        Some(bucket) => format!("/{bucket}{path}").into(),
        None => path.into(),
    }
}

fn host(parts: &Parts) -> &str {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.host()).unwrap_or_default();
    // An IPv6 address has colons of its own, and no bucket before it.
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What stands before the name of the service, and the name is all of its label: `s3`, or `s3-` with a region.
fn service_label<'a>(host: &'a str, prefix: &str) -> Option<&'a str> {
    let mut at = 0;
    for label in host.split('.') {
        let rest = label.strip_prefix(prefix);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            return Some(host[..at].trim_end_matches('.'));
        }
        at += label.len() + 1;
    }
    None
}

fn bucket<'a>(host: &'a str, prefix: &str) -> Option<&'a str> {
    let before = match host.strip_suffix(".localhost") {
        // `s3.localhost` names the service, and every other name there a bucket.
        Some(name) if service_label(name, prefix).is_none() => Some(name),
        _ => service_label(host, prefix),
    };
    before.filter(|bucket| !bucket.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_name_buckets() {
        for (host, expected) in [
            ("127.0.0.1", None),
            ("localhost", None),
            ("[::1]", None),
            ("berth.example.com", None),
            ("s3.localhost", None),
            ("s3.eu-west-1.amazonaws.com", None),
            ("env.localhost", Some("env")),
            ("env.files.localhost", Some("env.files")),
            ("env.s3.localhost", Some("env")),
            ("env.s3.amazonaws.com", Some("env")),
            ("env.files.s3.eu-west-1.amazonaws.com", Some("env.files")),
            ("env.s3-eu-west-1.amazonaws.com", Some("env")),
            ("env.s3.berth.example.com", Some("env")),
        ] {
            assert_eq!(bucket(host, "s3"), expected, "{host}");
        }
    }
}
