//! What a request says about its signer, before anything is believed.

use std::fmt;

use http::HeaderMap;
use thiserror::Error;

use super::ALGORITHM;
use super::canonical::pairs;

/// A signature as it stands in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub place: Place,
    pub access_key: String,
    pub scope: Scope,
    /// `20261123T131534Z`
    pub date: String,
    /// Lower case.
    pub signed_headers: Vec<String>,
    /// Hex.
    pub signature: String,
    pub session_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Header,
    /// Presigned, with the seconds it lives.
    Query {
        expires: u64,
    },
}

/// What a signature is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `20261123`
    pub date: String,
    pub region: String,
    pub service: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// Why there is no usable claim. The texts are those of AWS.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ClaimError {
    #[error("Request is missing Authentication Token")]
    Missing,
    #[error("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")]
    Twice,
    #[error("{0}")]
    Incomplete(String),
}

impl Claim {
    /// Reads the claim of a request, from its header or its query string.
    pub fn of(headers: &HeaderMap, query: &str) -> Result<Claim, ClaimError> {
        let header = headers.get(http::header::AUTHORIZATION);
        let presigned = pairs(query).any(|(name, _)| name == "X-Amz-Algorithm");
        match (header, presigned) {
            (None, false) => Err(ClaimError::Missing),
            (Some(_), true) => Err(ClaimError::Twice),
            (None, true) => from_query(query),
            (Some(header), false) => from_header(headers, &String::from_utf8_lossy(header.as_bytes())),
        }
    }
}

/// The access key of an address that is signed in the way before this one. boto3 still makes such for S3 unless it is told otherwise.
/// Nobody here checks them; where signatures are not looked at, they say whose a request is.
pub(crate) fn key_of_version_2(query: &str) -> Option<String> {
    let value = |wanted: &str| pairs(query).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    value("Signature")?;
    value("AWSAccessKeyId")
}

fn from_header(headers: &HeaderMap, authorization: &str) -> Result<Claim, ClaimError> {
    let Some(rest) = authorization.strip_prefix(ALGORITHM) else {
        // Basic and Bearer belong to other doors of this port; here they are no token at all.
        return Err(ClaimError::Missing);
    };
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        match part.trim().split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("SignedHeaders", value)) => signed_headers = Some(value),
            Some(("Signature", value)) => signature = Some(value),
            _ => {}
        }
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // A `Date` header in another format is not understood by current SDKs either, so only the first is read.
    let date = text("x-amz-date");
    let mut lacking = Vec::new();
    for (name, present) in [
        ("Credential", credential.is_some()),
        ("Signature", signature.is_some()),
        ("SignedHeaders", signed_headers.is_some()),
    ] {
        if !present {
            lacking.push(format!("Authorization header requires '{name}' parameter."));
        }
    }
    if date.is_none() {
        lacking.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned());
    }
    let (Some(credential), Some(signed_headers), Some(signature), Some(date)) =
        (credential, signed_headers, signature, date)
    else {
        return Err(ClaimError::Incomplete(format!("{} Authorization={authorization}", lacking.join(" "))));
    };
    let (access_key, scope) = parse_credential(credential)?;
    Ok(Claim {
        place: Place::Header,
        access_key,
        scope,
        date,
        signed_headers: signed_headers.split(';').map(str::to_ascii_lowercase).collect(),
        signature: signature.to_owned(),
        session_token: text("x-amz-security-token"),
    })
}

fn from_query(query: &str) -> Result<Claim, ClaimError> {
    let value = |wanted: &str| pairs(query).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    let require = |name: &str| {
        value(name).ok_or_else(|| {
            ClaimError::Incomplete(format!(
                "AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
            ))
        })
    };
    let (access_key, scope) = parse_credential(&require("X-Amz-Credential")?)?;
    let expires = require("X-Amz-Expires")?;
    Ok(Claim {
        place: Place::Query {
            expires: expires
                .parse()
                .map_err(|_| ClaimError::Incomplete("X-Amz-Expires should be a number".to_owned()))?,
        },
        access_key,
        scope,
        date: require("X-Amz-Date")?,
        signed_headers: require("X-Amz-SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect(),
        signature: require("X-Amz-Signature")?,
        session_token: value("X-Amz-Security-Token"),
    })
}

/// `AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request`; the access key may itself contain slashes in theory, so from the right.
fn parse_credential(text: &str) -> Result<(String, Scope), ClaimError> {
    let parts: Vec<&str> = text.rsplitn(5, '/').collect();
    let [terminator, service, region, date, access_key] = parts[..] else {
        return Err(ClaimError::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{text}'"
        )));
    };
    if terminator != "aws4_request" {
        return Err(ClaimError::Incomplete(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'."
        )));
    }
    let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
    Ok((access_key.to_owned(), scope))
}
