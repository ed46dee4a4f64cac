//! Who is calling, and whether we believe it.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use sha2::{Digest, Sha256};
use shape::{Caller, CommonError, ErrorCode, ErrorFacts, Principal, Timestamp, WireError};

use crate::sigv4::{ChunkSigner, Claim, ClaimError, Unsigned, VerifyError, key_of_version_2, verify};

/// Whether signatures are checked.
#[derive(Clone)]
pub enum AuthMode {
    /// Whoever reaches us may do everything; for loopback only. A twelve-digit access key id names its account, any
    /// other is account [`OPEN_ACCOUNT`]. Signatures, clocks and missing signatures do not matter.
    Open,
    /// Requests are signed with keys that the store knows.
    Verify(Arc<dyn CredentialStore>),
}

/// The keys that sign.
///
/// Calls may be concurrent and must not block.
pub trait CredentialStore: Send + Sync {
    fn find(&self, access_key: &str) -> Option<Key>;
}

/// An access key and whose it is.
#[derive(Clone)]
pub struct Key {
    pub secret: String,
    /// What `X-Amz-Security-Token` must be; None for long-lived keys.
    pub session_token: Option<String>,
    pub expires: Option<Timestamp>,
    pub account: String,
    pub principal: Principal,
}

/// The account of an access key that names none.
pub const OPEN_ACCOUNT: &str = "000000000000";
/// Where a request comes to that names no region.
pub const DEFAULT_REGION: &str = "us-east-1";

impl AuthMode {
    /// The caller behind a request.
    ///
    /// Errors: those of AWS for a signature that is missing, incomplete, old, unknown or wrong.
    pub fn caller(&self, parts: &Parts, body: &Bytes, now: Timestamp, request_id: String) -> Result<Caller, WireError> {
        self.caller_of(parts, &|| hex::encode(Sha256::digest(body)), now, request_id)
    }

    /// The same for a request whose body comes later. What it says of its body is signed, and has to be compared when the body is
    /// here.
    pub fn caller_before(&self, parts: &Parts, now: Timestamp, request_id: String) -> Result<Caller, WireError> {
        let said = parts.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
        self.caller_of(parts, &|| said.unwrap_or("UNSIGNED-PAYLOAD").to_owned(), now, request_id)
    }

    /// Who checks the signatures of the chunks of a body; nobody where signatures are not looked at.
    pub fn chunk_signer(&self, parts: &Parts) -> Option<ChunkSigner> {
        let AuthMode::Verify(store) = self else { return None };
        let claim = Claim::of(&parts.headers, parts.uri.query().unwrap_or_default()).ok()?;
        Some(ChunkSigner::new(&claim, &store.find(&claim.access_key)?.secret))
    }

    fn caller_of(
        &self,
        parts: &Parts,
        payload_hash: &dyn Fn() -> String,
        now: Timestamp,
        request_id: String,
    ) -> Result<Caller, WireError> {
        let claim = Claim::of(&parts.headers, parts.uri.query().unwrap_or_default());
        let (account, principal, claim) = match self {
            AuthMode::Open => {
                let claim = claim.ok();
                let other = || key_of_version_2(parts.uri.query().unwrap_or_default());
                let key = claim.as_ref().map(|claim| claim.access_key.clone()).or_else(other);
                let account = key.as_deref().map_or(OPEN_ACCOUNT, open_account).to_owned();
                let region = claim.as_ref().map_or(DEFAULT_REGION, |claim| &claim.scope.region);
                let principal = Principal::root(&account, region);
                (account, principal, claim)
            }
            AuthMode::Verify(store) => {
                let claim = claim.map_err(refused_claim)?;
                let key = believed(store.as_ref(), &claim, parts, &payload_hash(), now)?;
                (key.account, key.principal, Some(claim))
            }
        };
        let (access_key, region) = match claim {
            Some(claim) => (Some(claim.access_key), claim.scope.region),
            None => (None, DEFAULT_REGION.to_owned()),
        };
        Ok(Caller { account, region, access_key, principal, request_id, endpoint: endpoint(parts) })
    }
}

fn open_account(access_key: &str) -> &str {
    let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
    if is_account { access_key } else { OPEN_ACCOUNT }
}

fn believed(
    store: &dyn CredentialStore,
    claim: &Claim,
    parts: &Parts,
    payload_hash: &str,
    now: Timestamp,
) -> Result<Key, WireError> {
    let unknown = || {
        WireError::new(
            *CommonError::UnrecognizedClientException.facts(),
            "The security token included in the request is invalid.",
        )
    };
    let key = store.find(&claim.access_key).ok_or_else(unknown)?;
    let request = Unsigned {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        payload_hash,
        service: &claim.scope.service,
    };
    verify(claim, &key.secret, &request, now).map_err(refused_signature)?;
    // After the signature, so that a stranger cannot ask which tokens are right.
    if key.session_token != claim.session_token {
        return Err(unknown());
    }
    if key.expires.is_some_and(|expires| expires <= now) {
        return Err(WireError::new(EXPIRED_TOKEN, "The security token included in the request is expired"));
    }
    Ok(key)
}

const EXPIRED_TOKEN: ErrorFacts = ErrorFacts::client("ExpiredTokenException", 400).code("ExpiredToken");

fn refused_claim(error: ClaimError) -> WireError {
    let code = match error {
        ClaimError::Missing => CommonError::MissingAuthenticationTokenException,
        ClaimError::Twice => CommonError::InvalidSignatureException,
        ClaimError::Incomplete(_) => CommonError::IncompleteSignatureException,
    };
    WireError::new(*code.facts(), error.to_string())
}

fn refused_signature(error: VerifyError) -> WireError {
    let code = match error {
        VerifyError::Date(_) => CommonError::IncompleteSignatureException,
        _ => CommonError::InvalidSignatureException,
    };
    WireError::new(*code.facts(), error.to_string())
}

/// How the client addressed us, so that answers can point back here.
fn endpoint(parts: &Parts) -> Option<String> {
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))?;
    let scheme = parts.headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok());
    let scheme = scheme.filter(|scheme| *scheme == "https").unwrap_or("http");
    Some(format!("{scheme}://{host}"))
}
