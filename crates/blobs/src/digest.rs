//! The name of a blob.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher as HashState};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

/// The algorithms that the OCI image specification registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

/// The SHA-256, or SHA-512, of some bytes.
///
/// Shape: in text `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits, the OCI form.
/// Errors: any other algorithm, length or letter case is refused.
/// Source: OCI image specification, "Digests".
#[derive(Clone, Copy)]
pub struct Digest {
    algorithm: Algorithm,
    /// As many as the algorithm gives; the rest are zero.
    bytes: [u8; 64],
}

/// A text that is not a digest we can store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a digest of the form sha256:<64 hexadecimal digits> or sha512:<128 hexadecimal digits>")]
pub struct DigestError {
    pub text: String,
}

impl Algorithm {
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    /// As a digest begins, and as the directory of such blobs is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    const fn len(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }
}

impl Digest {
    /// The SHA-256, which everybody uses.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::with(Algorithm::Sha256, bytes)
    }

    pub fn with(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    pub fn from_hasher(hasher: Sha256) -> Digest {
        Digest::new(Algorithm::Sha256, &hasher.finalize())
    }

    /// The digest of other bytes, by this one's algorithm: equal to this one when the bytes are its own.
    pub fn of_same_kind(&self, bytes: &[u8]) -> Digest {
        Digest::with(self.algorithm, bytes)
    }

    fn new(algorithm: Algorithm, digits: &[u8]) -> Digest {
        let mut bytes = [0; 64];
        bytes[..digits.len()].copy_from_slice(digits);
        Digest { algorithm, bytes }
    }

    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// The digits without the algorithm, as file names use them: their number tells the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    /// Reads the digits of [`Digest::hex`] back.
    pub fn from_hex(text: &str) -> Result<Digest, DigestError> {
        let wrong = || DigestError { text: text.chars().take(150).collect() };
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.len() * 2 == text.len());
        let algorithm = algorithm.filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase())).ok_or_else(wrong)?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes[..algorithm.len()]).map_err(|_| wrong())?;
        Ok(Digest { algorithm, bytes })
    }
}

/// Takes a digest of bytes that come one after the other.
#[derive(Clone, Debug)]
pub enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(hasher) => Digest::new(Algorithm::Sha256, &hasher.finalize()),
            Hasher::Sha512(hasher) => Digest::new(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

/// So that `io::copy` can hash a file.
impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let wrong = || DigestError { text: text.chars().take(150).collect() };
        let (name, digits) = text.split_once(':').ok_or_else(wrong)?;
        Digest::from_hex(digits).ok().filter(|digest| digest.algorithm.as_str() == name).ok_or_else(wrong)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Digest) -> bool {
        self.algorithm == other.algorithm && self.bytes() == other.bytes()
    }
}

impl Eq for Digest {}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Digest) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Digest) -> Ordering {
        (self.algorithm, self.bytes()).cmp(&(other.algorithm, other.bytes()))
    }
}

impl Hash for Digest {
    fn hash<H: HashState>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_digest() {
        let good = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(good.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").to_string(), good);
        for bad in [
            "",
            "sha256:",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
            "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha384:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:../../../../../../../../../../../../../../../../../etc/passwd/..",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn both_algorithms_are_told_apart() {
        let long = Digest::with(Algorithm::Sha512, b"abc");
        let text = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert_eq!(long.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), long);
        assert_eq!(Digest::from_hex(&long.hex()).unwrap(), long);
        assert!(text.replace("sha512", "sha256").parse::<Digest>().is_err());
        assert_ne!(long, Digest::of(b"abc"));
        assert_eq!(long.of_same_kind(b"abc"), long);
        let half = Digest::from_hex(&long.hex()[..64]).unwrap();
        assert_ne!(half, long, "the first half of it is another digest");
        assert!(half < long);
    }
}
