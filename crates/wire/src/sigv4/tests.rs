//! The published vectors of SigV4, and what a forger might try.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::dates::parse_amz_date;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20150830T123600Z";

fn credentials() -> Credentials {
    Credentials { access_key: "AKIDEXAMPLE".into(), secret: SECRET.into(), session_token: None }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    headers
}

fn signed(service: &str, request: (&Method, &str, &str), pairs: &[(&str, &str)], body: &[u8]) -> HeaderMap {
    let mut headers = headers(pairs);
    let now = parse_amz_date(DATE).unwrap();
    sign_headers(&credentials(), ("us-east-1", service), now, request, &mut headers, body);
    headers
}

/// The suite "aws-sig-v4-test-suite": service `service`, host `example.amazonaws.com`.
fn check_suite(request: (&Method, &str, &str), extra: &[(&str, &str)], body: &[u8], signature: &str) {
    let mut pairs = vec![("host", "example.amazonaws.com")];
    pairs.extend(extra);
    let headers = signed("service", request, &pairs, body);
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
}

#[test]
fn get_vanilla() {
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    check_suite((&Method::GET, "/", ""), &[], b"", signature);
    // get-relative and get-slash of the suite: paths that mean `/`.
    check_suite((&Method::GET, "/example/..", ""), &[], b"", signature);
    check_suite((&Method::GET, "//", ""), &[], b"", signature);
}

#[test]
fn get_vanilla_query_order_key_case() {
    check_suite(
        (&Method::GET, "/", "Param2=value2&Param1=value1"),
        &[],
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
}

#[test]
fn post_vanilla() {
    check_suite((&Method::POST, "/", ""), &[], b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

#[test]
fn post_x_www_form_urlencoded() {
    check_suite(
        (&Method::POST, "/", ""),
        &[("content-type", "application/x-www-form-urlencoded")],
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    );
}

#[test]
fn the_example_of_the_user_guide() {
    let query = "Action=ListUsers&Version=2010-05-08";
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    let headers = signed(
        "iam",
        (&Method::GET, "/", query),
        &[("host", "iam.amazonaws.com"), ("content-type", content_type)],
        b"",
    );
    assert_eq!(
        headers["authorization"],
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
    let scope = Scope { date: "20150830".into(), region: "us-east-1".into(), service: "iam".into() };
    assert_eq!(
        hex::encode(signing_key(SECRET, &scope)),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
}

/// A request, its claim, and the time it was signed.
struct Sent {
    headers: HeaderMap,
    query: String,
    body: Vec<u8>,
}

impl Sent {
    fn new(credentials: &Credentials, body: &[u8]) -> Sent {
        let mut headers = headers(&[("host", "localhost:4566"), ("x-amz-target", "T.Op")]);
        let now = parse_amz_date(DATE).unwrap();
        sign_headers(credentials, ("eu-west-1", "ecs"), now, (&Method::POST, "/", ""), &mut headers, body);
        Sent { headers, query: String::new(), body: body.to_vec() }
    }

    fn presigned(expires: Duration) -> Sent {
        let now = parse_amz_date(DATE).unwrap();
        let query =
            presign_query(&credentials(), ("eu-west-1", "sts"), now, ("localhost", "/", "Action=A%20b"), expires);
        Sent { headers: headers(&[("host", "localhost")]), query, body: Vec::new() }
    }

    fn verify(&self, secret: &str, later: i64) -> Result<(), VerifyError> {
        let claim = Claim::of(&self.headers, &self.query).unwrap();
        let now = Timestamp::from_millis(parse_amz_date(DATE).unwrap().as_millis() + later * 1000);
        let method = if self.query.is_empty() { Method::POST } else { Method::GET };
        let payload_hash = sha256_hex(&self.body);
        let request = Unsigned {
            method: &method,
            path: "/",
            query: &self.query,
            headers: &self.headers,
            payload_hash: &payload_hash,
            service: &claim.scope.service,
        };
        verify(&claim, secret, &request, now)
    }
}

use shape::Timestamp;

#[test]
fn what_is_signed_is_believed_for_five_minutes() {
    let sent = Sent::new(&credentials(), b"{}");
    assert_eq!(sent.verify(SECRET, 0), Ok(()));
    assert_eq!(sent.verify(SECRET, 300), Ok(()));
    assert_eq!(sent.verify(SECRET, -300), Ok(()));
    assert_eq!(
        sent.verify(SECRET, 301).unwrap_err().to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"
    );
    assert_eq!(
        sent.verify(SECRET, -301).unwrap_err().to_string(),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"
    );
}

#[test]
fn what_is_changed_is_not_believed() {
    let sent = Sent::new(&credentials(), b"{}");
    assert_eq!(sent.verify("another secret", 0), Err(VerifyError::Mismatch));
    let mut body = Sent::new(&credentials(), b"{}");
    body.body = b"{ }".to_vec();
    assert_eq!(body.verify(SECRET, 0), Err(VerifyError::Mismatch));
    let mut header = Sent::new(&credentials(), b"{}");
    header.headers.insert("x-amz-target", HeaderValue::from_static("T.Other"));
    assert_eq!(header.verify(SECRET, 0), Err(VerifyError::Mismatch));
}

#[test]
fn a_presigned_request_lives_as_long_as_it_says() {
    let sent = Sent::presigned(Duration::from_secs(60));
    assert_eq!(sent.verify(SECRET, 59), Ok(()));
    assert!(matches!(sent.verify(SECRET, 61), Err(VerifyError::Expired { .. })));
    let eternal = Sent::presigned(Duration::from_secs(604_801));
    assert_eq!(eternal.verify(SECRET, 0), Err(VerifyError::LivesTooLong));
}

#[test]
fn a_session_token_is_part_of_the_claim() {
    let credentials = Credentials { session_token: Some("token".into()), ..credentials() };
    let sent = Sent::new(&credentials, b"");
    assert_eq!(sent.verify(SECRET, 0), Ok(()));
    assert_eq!(Claim::of(&sent.headers, "").unwrap().session_token.as_deref(), Some("token"));
}

#[test]
fn an_incomplete_header_says_what_it_lacks() {
    let of = |value: &str| Claim::of(&headers(&[("authorization", value)]), "").unwrap_err().to_string();
    assert_eq!(
        of("AWS4-HMAC-SHA256 SignedHeaders=host"),
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. \
         Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. \
         Authorization=AWS4-HMAC-SHA256 SignedHeaders=host"
    );
    assert_eq!(of("Basic QVdTOg=="), "Request is missing Authentication Token");
    assert_eq!(Claim::of(&HeaderMap::new(), ""), Err(ClaimError::Missing));
}

proptest! {
    #[test]
    fn no_header_or_query_panics(authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,80}", query in "[ -~]{0,80}") {
        let headers = headers(&[("authorization", &authorization), ("x-amz-date", "x")]);
        _ = Claim::of(&headers, &query);
        _ = Claim::of(&HeaderMap::new(), &format!("X-Amz-Algorithm=x&{query}"));
    }
}
