//! The server's half.

use std::time::Duration;

use hmac::Mac;
use shape::Timestamp;
use thiserror::Error;

use super::canonical::{Unsigned, canonical_request};
use super::claim::{Claim, Place};
use super::{hmac, signing_key, string_to_sign};
use crate::dates::{amz_date, parse_amz_date};
use crate::limits::{CLOCK_SKEW_MAX, PRESIGNED_LIFE_MAX};

/// Why a claim is not believed. The texts are those of AWS.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    #[error("Date must be in ISO-8601 'basic format'. Got '{0}'. See http://en.wikipedia.org/wiki/ISO_8601")]
    Date(String),
    #[error(
        "Credential should be scoped to a valid date. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != '{date}', from '{full}'."
    )]
    ScopeDate { scope: String, date: String, full: String },
    #[error("Signature expired: {signed} is now earlier than {oldest} ({now} - {minutes} min.)")]
    Expired { signed: String, oldest: String, now: String, minutes: u64 },
    #[error("Signature not yet current: {signed} is still later than {newest} ({now} + 5 min.)")]
    NotYet { signed: String, newest: String, now: String },
    #[error(
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
    )]
    LivesTooLong,
    #[error("'Host' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

/// Believes a claim, or says why not. The comparison of signatures takes the same time wherever they differ.
pub fn verify(claim: &Claim, secret: &str, request: &Unsigned, now: Timestamp) -> Result<(), VerifyError> {
    check_date(claim, now)?;
    if !claim.signed_headers.iter().any(|name| name == "host") {
        return Err(VerifyError::HostNotSigned);
    }
    let canonical = canonical_request(request, &claim.signed_headers);
    let expected = hmac(&signing_key(secret, &claim.scope), &string_to_sign(&claim.date, &claim.scope, &canonical));
    let given = hex::decode(&claim.signature).map_err(|_| VerifyError::Mismatch)?;
    expected.verify_slice(&given).map_err(|_| VerifyError::Mismatch)
}

fn check_date(claim: &Claim, now: Timestamp) -> Result<(), VerifyError> {
    let signed = parse_amz_date(&claim.date).ok_or_else(|| VerifyError::Date(claim.date.clone()))?;
    if claim.scope.date != claim.date[..8] {
        return Err(VerifyError::ScopeDate {
            scope: claim.scope.date.clone(),
            date: claim.date[..8].to_owned(),
            full: claim.date.clone(),
        });
    }
    let life = match claim.place {
        Place::Header => CLOCK_SKEW_MAX,
        Place::Query { expires } if expires <= PRESIGNED_LIFE_MAX.as_secs() => Duration::from_secs(expires),
        Place::Query { .. } => return Err(VerifyError::LivesTooLong),
    };
    let oldest = now - life;
    if signed < oldest {
        let minutes = life.as_secs() / 60;
        return Err(VerifyError::Expired {
            signed: claim.date.clone(),
            oldest: amz_date(oldest),
            now: amz_date(now),
            minutes,
        });
    }
    let newest = now + CLOCK_SKEW_MAX;
    if signed > newest {
        return Err(VerifyError::NotYet { signed: claim.date.clone(), newest: amz_date(newest), now: amz_date(now) });
    }
    Ok(())
}
