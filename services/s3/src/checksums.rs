//! What clients compare bytes with.

use std::io::{self, Write};

use api_s3::{Error, ErrorCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blobs::Digest;
use crc_fast::CrcAlgorithm;
use md5::Digest as _;
use model::{Checksum, UploadPart};
use sha1::Digest as _;

use crate::refusals::{bad_digest, invalid_argument, not_implemented};

/// What S3 computes when a client names none.
pub(crate) const DEFAULT: &str = "CRC64NVME";

pub(crate) const FULL_OBJECT: &str = "FULL_OBJECT";
pub(crate) const COMPOSITE: &str = "COMPOSITE";

/// Those that we compute, as they are called in the API and in headers.
const KNOWN: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// All checksums at once: which of them a client means, a trailer may say after the bytes.
pub(crate) struct Summing<W> {
    sink: W,
    md5: md5::Md5,
    crc32: crc_fast::Digest,
    crc32c: crc_fast::Digest,
    crc64nvme: crc_fast::Digest,
    sha1: sha1::Sha1,
}

/// The checksums of some bytes.
pub(crate) struct Sums {
    pub md5: [u8; 16],
    crc32: u64,
    crc32c: u64,
    crc64nvme: u64,
    sha1: Vec<u8>,
    sha256: Vec<u8>,
}

impl<W> Summing<W> {
    pub fn new(sink: W) -> Summing<W> {
        Summing {
            sink,
            md5: md5::Md5::new(),
            crc32: crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc),
            crc32c: crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi),
            crc64nvme: crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme),
            sha1: sha1::Sha1::new(),
        }
    }

    /// The sink, and everything but SHA-256, which the blob's own name is.
    pub fn finish(self) -> (W, impl FnOnce(&Digest) -> Sums) {
        let (md5, sha1) = (self.md5.finalize().into(), self.sha1.finalize().to_vec());
        let (crc32, crc32c, crc64nvme) = (self.crc32.finalize(), self.crc32c.finalize(), self.crc64nvme.finalize());
        let sums = move |digest: &Digest| Sums {
            md5,
            crc32,
            crc32c,
            crc64nvme,
            sha1,
            sha256: hex::decode(digest.hex()).unwrap_or_default(),
        };
        (self.sink, sums)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        let bytes = &bytes[..count];
        self.md5.update(bytes);
        self.crc32.update(bytes);
        self.crc32c.update(bytes);
        self.crc64nvme.update(bytes);
        self.sha1.update(bytes);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sums {
    /// In Base64; None for an algorithm that nobody here computes.
    pub fn value(&self, algorithm: &str) -> Option<String> {
        let crc32 = |value: u64| value.to_be_bytes()[4..].to_vec();
        let bytes = match algorithm {
            "CRC32" => crc32(self.crc32),
            "CRC32C" => crc32(self.crc32c),
            "CRC64NVME" => self.crc64nvme.to_be_bytes().to_vec(),
            "SHA1" => self.sha1.clone(),
            "SHA256" => self.sha256.clone(),
            _ => return None,
        };
        Some(STANDARD.encode(bytes))
    }

    /// Compares with what a client said, and gives what is worth keeping.
    pub fn check(&self, said: &Said) -> Result<Checksum, Error> {
        if let Some(md5) = &said.content_md5 {
            let given = STANDARD.decode(md5).ok().filter(|given| given.len() == 16);
            let Some(given) = given else {
                return Err(Error::new(ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid."));
            };
            if given != self.md5 {
                return Err(bad_digest("Content-MD5"));
            }
        }
        for (algorithm, given) in &said.values {
            match self.value(algorithm) {
                Some(value) if value == *given => {}
                Some(_) => return Err(bad_digest(algorithm)),
                None => return Err(not_implemented(&format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase()))),
            }
        }
        let asked = said.values.first().map(|(algorithm, _)| algorithm.as_str());
        let algorithm = said.algorithm.as_deref().or(asked).unwrap_or(DEFAULT);
        let value = self.value(algorithm).ok_or_else(|| not_implemented("x-amz-sdk-checksum-algorithm"))?;
        Ok(Checksum { algorithm: algorithm.to_owned(), value, kind: FULL_OBJECT.to_owned() })
    }
}

/// What a client says of the bytes it sends.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub algorithm: Option<String>,
    pub content_md5: Option<String>,
    pub values: Vec<(String, String)>,
}

impl Said {
    /// A trailer, which may be a checksum.
    pub fn hear(&mut self, name: &str, value: &str) {
        if let Some(algorithm) = name.strip_prefix("x-amz-checksum-") {
            self.values.push((algorithm.to_ascii_uppercase(), value.to_owned()));
        }
    }
}

/// The members of a shape that are checksums, by their algorithm.
macro_rules! said {
    ($input:expr) => {{
        let mut values: Vec<(String, String)> = Vec::new();
        for (algorithm, value) in [
            ("CRC32", &$input.checksum_crc32),
            ("CRC32C", &$input.checksum_crc32_c),
            ("CRC64NVME", &$input.checksum_crc64_nvme),
            ("SHA1", &$input.checksum_sha1),
            ("SHA256", &$input.checksum_sha256),
            ("SHA512", &$input.checksum_sha512),
            ("MD5", &$input.checksum_md5),
            ("XXHASH64", &$input.checksum_xxhash64),
            ("XXHASH3", &$input.checksum_xxhash3),
            ("XXHASH128", &$input.checksum_xxhash128),
        ] {
            if let Some(value) = value {
                values.push((algorithm.to_owned(), value.clone()));
            }
        }
        values
    }};
}
pub(crate) use said;

/// Says a checksum in the members of a shape.
macro_rules! say {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let checksum: &model::Checksum = checksum;
            let value = Some(checksum.value.clone());
            match checksum.algorithm.as_str() {
                "CRC32" => $output.checksum_crc32 = value,
                "CRC32C" => $output.checksum_crc32_c = value,
                "CRC64NVME" => $output.checksum_crc64_nvme = value,
                "SHA1" => $output.checksum_sha1 = value,
                "SHA256" => $output.checksum_sha256 = value,
                _ => {}
            }
        }
    };
}
pub(crate) use say;

/// Which checksum an upload in parts is to have: algorithm and kind.
///
/// Source: Amazon S3 User Guide, "Checking object integrity", the table of full object and composite checksums.
pub(crate) fn of_upload(algorithm: Option<&str>, kind: Option<&str>) -> Result<(String, String), Error> {
    let algorithm = algorithm.unwrap_or(DEFAULT);
    if !KNOWN.contains(&algorithm) {
        return Err(not_implemented("x-amz-checksum-algorithm"));
    }
    let kind = match (algorithm, kind) {
        ("CRC64NVME", None | Some(FULL_OBJECT)) => FULL_OBJECT,
        ("CRC32" | "CRC32C", Some(FULL_OBJECT)) => FULL_OBJECT,
        ("CRC64NVME", _) | (_, Some(FULL_OBJECT)) => {
            let message = format!(
                "The {} checksum type cannot be used with the {algorithm} checksum algorithm.",
                kind.unwrap_or_default()
            );
            return Err(Error::new(ErrorCode::InvalidRequest, message));
        }
        (_, None | Some(COMPOSITE)) => COMPOSITE,
        (_, Some(other)) => return Err(invalid_argument(format!("Checksum type {other} is not valid."))),
    };
    Ok((algorithm.to_owned(), kind.to_owned()))
}

/// The checksum of an object of these parts; None when one of them has another.
pub(crate) fn of_parts(algorithm: &str, kind: &str, parts: &[&UploadPart]) -> Option<Checksum> {
    let mut values = Vec::new();
    for part in parts {
        let checksum = part.checksum.as_ref().filter(|checksum| checksum.algorithm == algorithm)?;
        values.push((STANDARD.decode(&checksum.value).ok()?, part.content.size));
    }
    let value = match kind {
        FULL_OBJECT => combined(algorithm, &values)?,
        _ => {
            let all: Vec<u8> = values.iter().flat_map(|(value, _)| value.iter().copied()).collect();
            let mut summing = Summing::new(io::sink());
            summing.write_all(&all).ok()?;
            let sums = summing.finish().1(&Digest::with(blobs::Algorithm::Sha256, &all));
            format!("{}-{}", sums.value(algorithm)?, parts.len())
        }
    };
    Some(Checksum { algorithm: algorithm.to_owned(), value, kind: kind.to_owned() })
}

fn combined(algorithm: &str, values: &[(Vec<u8>, u64)]) -> Option<String> {
    let (known, bytes) = match algorithm {
        "CRC32" => (CrcAlgorithm::Crc32IsoHdlc, 4),
        "CRC32C" => (CrcAlgorithm::Crc32Iscsi, 4),
        "CRC64NVME" => (CrcAlgorithm::Crc64Nvme, 8),
        _ => return None,
    };
    let mut whole: Option<u64> = None;
    for (value, size) in values {
        let value = value.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        whole = Some(match whole {
            None => value,
            Some(before) => crc_fast::checksum_combine(known, before, value, *size),
        });
    }
    Some(STANDARD.encode(&whole?.to_be_bytes()[8 - bytes..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(bytes: &[u8]) -> Sums {
        let mut summing = Summing::new(io::sink());
        summing.write_all(bytes).unwrap();
        summing.finish().1(&Digest::with(blobs::Algorithm::Sha256, bytes))
    }

    /// Computed bit by bit, by the polynomials of the algorithms.
    #[test]
    fn checksums_of_hello_world() {
        let sums = sums(b"hello world");
        for (algorithm, value) in [
            ("CRC32", "DUoRhQ=="),
            ("CRC32C", "yZRlqg=="),
            ("CRC64NVME", "jSnVw/bqjr4="),
            ("SHA1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
            ("SHA256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
        ] {
            assert_eq!(sums.value(algorithm).as_deref(), Some(value), "{algorithm}");
        }
        let said = |algorithm: &str, value: &str| Said {
            values: vec![(algorithm.to_owned(), value.to_owned())],
            ..Said::default()
        };
        assert_eq!(sums.check(&Said::default()).unwrap().algorithm, "CRC64NVME");
        assert_eq!(sums.check(&said("CRC32", "DUoRhQ==")).unwrap().value, "DUoRhQ==");
        assert_eq!(sums.check(&said("CRC32", "AAAAAA==")).unwrap_err().code, ErrorCode::BadDigest);
        assert_eq!(sums.check(&said("XXHASH3", "AAAAAA==")).unwrap_err().code, ErrorCode::NotImplemented);
        let md5 = |text: &str| Said { content_md5: Some(text.to_owned()), ..Said::default() };
        assert!(sums.check(&md5("XrY7u+Ae7tCTyyK7j1rNww==")).is_ok());
        assert_eq!(sums.check(&md5("AAAAAAAAAAAAAAAAAAAAAA==")).unwrap_err().code, ErrorCode::BadDigest);
        assert_eq!(sums.check(&md5("short")).unwrap_err().code, ErrorCode::InvalidDigest);
    }

    #[test]
    fn checksums_of_parts() {
        let part = |bytes: &[u8], algorithm: &str| UploadPart {
            bucket: String::new(),
            upload: String::new(),
            number: 1,
            etag: String::new(),
            modified_at: stdx::Timestamp::from_millis(0),
            content: model::Content { digest: String::new(), size: bytes.len() as u64 },
            checksum: Some(Checksum {
                algorithm: algorithm.to_owned(),
                value: sums(bytes).value(algorithm).unwrap(),
                kind: FULL_OBJECT.to_owned(),
            }),
        };
        for algorithm in ["CRC32", "CRC32C", "CRC64NVME"] {
            let (first, second) = (part(b"hello", algorithm), part(b" world", algorithm));
            let whole = of_parts(algorithm, FULL_OBJECT, &[&first, &second]).unwrap();
            assert_eq!(Some(whole.value), sums(b"hello world").value(algorithm), "{algorithm}");
        }
        let composite = of_parts("SHA256", COMPOSITE, &[&part(b"hello", "SHA256")]).unwrap();
        assert!(composite.value.ends_with("=-1"), "{composite:?}");
        assert_eq!(of_parts("SHA1", COMPOSITE, &[&part(b"hello", "CRC32")]), None);
    }
}
