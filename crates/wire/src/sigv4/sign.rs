//! The client's half.

use std::fmt;
use std::time::Duration;

use hmac::Mac;
use http::{HeaderMap, HeaderValue, Method};
use shape::Timestamp;

use super::canonical::{Unsigned, canonical_request, encoded};
use super::claim::Scope;
use super::{ALGORITHM, hmac, sha256_hex, signing_key, string_to_sign};
use crate::dates::amz_date;

/// What a client signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key: String,
    pub secret: String,
    pub session_token: Option<String>,
}

/// The secrets stay out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Signs a request: adds `x-amz-date`, `authorization` and, with a session token, `x-amz-security-token`.
///
/// `headers` must hold `host` and every header that is to be signed; all that are present are signed.
pub fn sign_headers(
    credentials: &Credentials,
    (region, service): (&str, &str),
    now: Timestamp,
    (method, path, query): (&Method, &str, &str),
    headers: &mut HeaderMap,
    body: &[u8],
) {
    let date = amz_date(now);
    headers.insert("x-amz-date", header(&date));
    if let Some(token) = &credentials.session_token {
        headers.insert("x-amz-security-token", header(token));
    }
    let mut signed: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
    signed.sort_unstable();
    let scope = Scope { date: date[..8].to_owned(), region: region.to_owned(), service: service.to_owned() };
    let payload_hash = sha256_hex(body);
    let canonical =
        canonical_request(&Unsigned { method, path, query, headers, payload_hash: &payload_hash, service }, &signed);
    let signature = signature(&credentials.secret, &date, &scope, &canonical);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key,
        signed.join(";")
    );
    headers.insert(http::header::AUTHORIZATION, header(&authorization));
}

/// The query string of a presigned GET: `query` and the signature's own parameters. Only `host` is signed.
pub fn presign_query(
    credentials: &Credentials,
    (region, service): (&str, &str),
    now: Timestamp,
    (host, path, query): (&str, &str, &str),
    expires: Duration,
) -> String {
    let date = amz_date(now);
    let scope = Scope { date: date[..8].to_owned(), region: region.to_owned(), service: service.to_owned() };
    let credential = format!("{}/{scope}", credentials.access_key);
    let mut all = query.to_owned();
    let mut add = |name: &str, value: &str| {
        if !all.is_empty() {
            all.push('&');
        }
        all.push_str(&format!("{name}={}", encoded(value)));
    };
    add("X-Amz-Algorithm", ALGORITHM);
    add("X-Amz-Credential", &credential);
    add("X-Amz-Date", &date);
    add("X-Amz-Expires", &expires.as_secs().to_string());
    add("X-Amz-SignedHeaders", "host");
    if let Some(token) = &credentials.session_token {
        add("X-Amz-Security-Token", token);
    }
    let headers = HeaderMap::from_iter([(http::header::HOST, header(host))]);
    let payload_hash = sha256_hex(b"");
    let request =
        Unsigned { method: &Method::GET, path, query: &all, headers: &headers, payload_hash: &payload_hash, service };
    let canonical = canonical_request(&request, &["host".to_owned()]);
    let signature = signature(&credentials.secret, &date, &scope, &canonical);
    format!("{all}&X-Amz-Signature={signature}")
}

pub(super) fn signature(secret: &str, date: &str, scope: &Scope, canonical_request: &str) -> String {
    let key = signing_key(secret, scope);
    hex::encode(hmac(&key, &string_to_sign(date, scope, canonical_request)).finalize().into_bytes())
}

/// Access keys and tokens are visible ASCII; one that is not cannot be sent, and signs as the empty text.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
