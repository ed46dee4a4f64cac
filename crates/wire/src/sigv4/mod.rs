//! Signature Version 4: how AWS knows who sent a request.
//!
//! [`canonical`] writes a request in the one form that both sides hash; [`sign`] is the client's half, [`claim`] and
//! [`verify`] the server's. No clock in here: `now` is an argument.
//!
//! Source: AWS IAM User Guide, "Create a signed AWS API request".

mod canonical;
mod chunks;
mod claim;
mod sign;
mod verify;

pub use canonical::{Unsigned, canonical_request};
pub use chunks::ChunkSigner;
pub(crate) use claim::key_of_version_2;
pub use claim::{Claim, ClaimError, Place, Scope};
pub use sign::{Credentials, presign_query, sign_headers};
pub use verify::{VerifyError, verify};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// The key that signs for one day, region and service.
fn signing_key(secret: &str, scope: &Scope) -> Vec<u8> {
    let step = |key: &[u8], text: &str| hmac(key, text).finalize().into_bytes().to_vec();
    let day = step(format!("AWS4{secret}").as_bytes(), &scope.date);
    let region = step(&day, &scope.region);
    let service = step(&region, &scope.service);
    step(&service, "aws4_request")
}

fn string_to_sign(date: &str, scope: &Scope, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()))
}

#[cfg(test)]
mod tests;
