//! What a bucket and an object may be called.

use api_s3::{Error, ErrorCode};

use crate::limits::KEY_BYTES_MAX;
use crate::refusals::invalid_argument;

/// Source: Amazon S3 User Guide, "General purpose bucket naming rules".
pub(crate) fn bucket(name: Option<&str>) -> Result<String, Error> {
    let name = name.unwrap_or_default();
    let is_end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let is_address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    let is_good = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_end(*byte) || matches!(byte, b'.' | b'-'))
        && is_end(bytes[0])
        && is_end(bytes[bytes.len() - 1])
        && !name.contains("..")
        && !is_address
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix));
    if is_good {
        return Ok(name.to_owned());
    }
    let error = Error::new(ErrorCode::InvalidBucketName, "The specified bucket is not valid.");
    Err(error.with_member("BucketName", name.into()))
}

pub(crate) fn key(key: Option<&str>) -> Result<String, Error> {
    let key = key.unwrap_or_default();
    match key.len() {
        0 => Err(invalid_argument("An object has a key.")),
        1..=KEY_BYTES_MAX => Ok(key.to_owned()),
        _ => Err(Error::new(ErrorCode::KeyTooLongError, "Your key is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets() {
        for name in ["abc", "my-bucket.2", "1.2.3", "a1.2.3.4"] {
            assert!(bucket(Some(name)).is_ok(), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "ab", "Abc", "-ab", "ab-", "a_b", "a..b", "1.2.3.4", "xn--a", "a-s3alias", "a/b", &long] {
            assert_eq!(bucket(Some(name)).unwrap_err().code, ErrorCode::InvalidBucketName, "{name}");
        }
    }
}
