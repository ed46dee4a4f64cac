//! The signatures of a body in chunks: each is over the one before, so that none can be left out or changed in order.

use hmac::Mac;
use sha2::{Digest, Sha256};

use super::claim::Claim;
use super::{hmac, sha256_hex, signing_key};

/// Checks one chunk after another.
pub struct ChunkSigner {
    key: Vec<u8>,
    /// `20261123T131534Z`, a line end and the scope.
    place: String,
    previous: String,
    claimed: String,
    hasher: Sha256,
    /// Those that no signature has covered yet.
    trailers: String,
}

impl ChunkSigner {
    /// After the request's own signature, which is the first of them.
    pub fn new(claim: &Claim, secret: &str) -> ChunkSigner {
        ChunkSigner {
            key: signing_key(secret, &claim.scope),
            place: format!("{}\n{}", claim.date, claim.scope),
            previous: claim.signature.clone(),
            claimed: String::new(),
            hasher: Sha256::new(),
            trailers: String::new(),
        }
    }

    pub(crate) fn begin(&mut self, signature: &str) {
        signature.clone_into(&mut self.claimed);
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Whether the chunk that ends here is what was signed.
    pub(crate) fn end(&mut self) -> bool {
        let digest = hex::encode(std::mem::take(&mut self.hasher).finalize());
        let text =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{digest}", self.place, self.previous, sha256_hex(b""));
        let is_right = self.is_signed(&text, &self.claimed);
        self.previous = std::mem::take(&mut self.claimed);
        is_right
    }

    pub(crate) fn trailer(&mut self, name: &str, value: &str) {
        self.trailers.push_str(name);
        self.trailers.push(':');
        self.trailers.push_str(value);
        self.trailers.push('\n');
    }

    pub(crate) fn end_trailers(&mut self, signature: &str) -> bool {
        let digest = sha256_hex(std::mem::take(&mut self.trailers).as_bytes());
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{digest}", self.place, self.previous);
        self.is_signed(&text, signature)
    }

    pub(crate) fn has_all_trailers_signed(&self) -> bool {
        self.trailers.is_empty()
    }

    /// The comparison takes the same time wherever they differ.
    fn is_signed(&self, text: &str, signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|given| hmac(&self.key, text).verify_slice(&given).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::{Place, Scope};

    /// The example of the Amazon S3 API Reference, "Signature calculations … transferring payload in multiple chunks".
    #[test]
    fn the_example_of_aws() {
        let claim = Claim {
            place: Place::Header,
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            scope: Scope { date: "20130524".to_owned(), region: "us-east-1".to_owned(), service: "s3".to_owned() },
            date: "20130524T000000Z".to_owned(),
            signed_headers: Vec::new(),
            signature: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".to_owned(),
            session_token: None,
        };
        let mut signer = ChunkSigner::new(&claim, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        for (length, signature) in [
            (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ] {
            signer.begin(signature);
            signer.update(&vec![b'a'; length]);
            assert!(signer.end(), "{length}");
        }
        signer.begin("ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
        assert!(!signer.end());
    }
}
