//! `s3://BUCKET/PREFIX?endpoint=URL&region=REGION`

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// Where an object store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
    /// Of a server other than Amazon's.
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

/// A text that is no address of an object store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("an object store is s3://BUCKET/PREFIX, not '{text}'")]
    Scheme { text: String },
    #[error("'{bucket}' is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket { bucket: String },
    #[error("'{option}' is no option of an object store: endpoint=URL and region=REGION are")]
    Option { option: String },
    #[error("'{endpoint}' is no address of a server: http://HOST:PORT or https://HOST")]
    Endpoint { endpoint: String },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let scheme = || AddressError::Scheme { text: text.to_owned() };
        let rest = text.strip_prefix("s3://").ok_or_else(scheme)?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if !is_bucket(bucket) {
            return Err(AddressError::Bucket { bucket: bucket.to_owned() });
        }
        let prefix = prefix.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let mut address = Address { bucket: bucket.to_owned(), prefix, endpoint: None, region: None };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let unknown = || AddressError::Option { option: option.to_owned() };
            let (name, value) = option.split_once('=').ok_or_else(unknown)?;
            let value = percent_decode_str(value).decode_utf8().map_err(|_| unknown())?.into_owned();
            match name {
                "endpoint" if is_server(&value) => address.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "endpoint" => return Err(AddressError::Endpoint { endpoint: value }),
                "region" if !value.is_empty() => address.region = Some(value),
                _ => return Err(unknown()),
            }
        }
        Ok(address)
    }
}

/// Source: Amazon S3 User Guide, "General purpose bucket naming rules".
fn is_bucket(name: &str) -> bool {
    let is_end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_end(*byte) || matches!(byte, b'.' | b'-'))
        && is_end(bytes[0])
        && is_end(bytes[bytes.len() - 1])
}

fn is_server(text: &str) -> bool {
    let uri: Result<::http::Uri, _> = text.parse();
    uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        self.endpoint.as_ref().map_or(Ok(()), |endpoint| write!(f, " at {endpoint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let address = |bucket: &str, prefix: &str, endpoint: Option<&str>, region: Option<&str>| Address {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            region: region.map(str::to_owned),
        };
        for (text, expected) in [
            ("s3://images", address("images", "", None, None)),
            ("s3://images/", address("images", "", None, None)),
            ("s3://images//a/b/", address("images", "a/b", None, None)),
            ("s3://images/a?region=eu-west-1", address("images", "a", None, Some("eu-west-1"))),
            ("s3://images?endpoint=http://h:9000/", address("images", "", Some("http://h:9000"), None)),
            ("s3://a.b-3/x?endpoint=https%3A%2F%2Fh&region=r", address("a.b-3", "x", Some("https://h"), Some("r"))),
        ] {
            assert_eq!(text.parse::<Address>().unwrap(), expected, "{text}");
        }
        for (text, reason) in [
            ("/var/lib", "an object store is s3://BUCKET/PREFIX, not '/var/lib'"),
            ("gs://images", "an object store is s3://BUCKET/PREFIX, not 'gs://images'"),
            ("s3://", "'' is not the name of a bucket"),
            ("s3://Images", "'Images' is not the name of a bucket"),
            ("s3://-ab/x", "'-ab' is not the name of a bucket"),
            ("s3://images?secret=x", "'secret=x' is no option"),
            ("s3://images?region=", "'region=' is no option"),
            ("s3://images?endpoint=h:9000", "'h:9000' is no address of a server"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
