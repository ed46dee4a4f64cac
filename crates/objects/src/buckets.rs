//! The buckets that tasks name: at the server that the tasks come from, or wherever the agent's environment says.

use std::fmt;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWrite;

use crate::{Address, GetError, OpenError, Options, get, open};

/// Names a server other than the one that the tasks come from, as it does for every AWS SDK.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";

/// Where buckets are, and the keys to them.
#[derive(Clone)]
pub struct Buckets {
    endpoint: Option<String>,
    options: Options,
}

/// An object in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
}

/// How an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket has it.
    Default,
    /// With the keys of the store's own, which is asked for.
    Aes256,
}

impl Buckets {
    /// Those of the server that `AWS_ENDPOINT_URL_S3` names, with the keys in the environment; without it those of `server`, with
    /// the key that its other services are asked with.
    pub fn of(server: &str, (access_key, secret, token): (&str, &str, Option<&str>)) -> Buckets {
        Buckets::from(std::env::vars().collect(), server, (access_key, secret, token))
    }

    /// Those of Amazon, or of the server that `AWS_ENDPOINT_URL_S3` names, with the keys in the environment.
    pub fn amazon() -> Buckets {
        Buckets { endpoint: None, options: Options::default() }
    }

    fn from(
        mut variables: Vec<(String, String)>,
        server: &str,
        (access_key, secret, token): (&str, &str, Option<&str>),
    ) -> Buckets {
        if variables.iter().any(|(name, value)| name == ENDPOINT && !value.is_empty()) {
            return Buckets { endpoint: None, options: Options { variables, ..Options::default() } };
        }
        variables.retain(|(name, _)| !name.starts_with("AWS_"));
        variables.push(("AWS_ACCESS_KEY_ID".to_owned(), access_key.to_owned()));
        variables.push(("AWS_SECRET_ACCESS_KEY".to_owned(), secret.to_owned()));
        variables.extend(token.map(|token| ("AWS_SESSION_TOKEN".to_owned(), token.to_owned())));
        let endpoint = Some(server.trim_end_matches('/').to_owned());
        Buckets { endpoint, options: Options { variables, ..Options::default() } }
    }

    /// A small object as a whole. One that is larger than this is an error.
    pub async fn get(&self, region: Option<&str>, place: Place<'_>, bytes_max: u64) -> Result<Vec<u8>, BucketError> {
        let store = self.open(region, place.bucket, Encryption::Default)?;
        Ok(get(&*store, place.key, bytes_max).await?)
    }

    /// An object that is there when what is written to it has been shut down, as a whole.
    pub fn writer(
        &self,
        region: Option<&str>,
        place: Place<'_>,
        encryption: Encryption,
    ) -> Result<impl AsyncWrite + Send + Unpin + use<>, BucketError> {
        let store = self.open(region, place.bucket, encryption)?;
        let failed =
            |error: object_store::path::Error| GetError::Ask { key: place.key.to_owned(), source: error.into() };
        Ok(BufWriter::new(store, Path::parse(place.key).map_err(failed)?))
    }

    fn open(
        &self,
        region: Option<&str>,
        bucket: &str,
        encryption: Encryption,
    ) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let address = Address {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            endpoint: self.endpoint.clone(),
            region: region.filter(|region| !region.is_empty()).map(str::to_owned),
        };
        let mut options = self.options.clone();
        if encryption == Encryption::Aes256 {
            options.variables.push(("AWS_SERVER_SIDE_ENCRYPTION".to_owned(), "AES256".to_owned()));
        }
        open(&address, &options)
    }
}

/// The keys stay out of logs.
impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why an object is not here, or not there.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Get(#[from] GetError),
}

/// `arn:aws:s3:::bucket/key`
pub fn place(arn: &str) -> Option<Place<'_>> {
    let mut parts = arn.splitn(6, ':');
    let of_s3 = parts.next()? == "arn" && parts.next()?.starts_with("aws") && parts.next()? == "s3";
    let (bucket, key) = parts.nth(2)?.split_once('/')?;
    (of_s3 && !bucket.is_empty() && !key.is_empty()).then_some(Place { bucket, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_bucket_and_key() {
        assert_eq!(place("arn:aws:s3:::bucket/a/b.env"), Some(Place { bucket: "bucket", key: "a/b.env" }));
        assert_eq!(place("arn:aws-cn:s3:::b/k"), Some(Place { bucket: "b", key: "k" }));
        for bad in ["s3://bucket/key", "arn:aws:s3:::bucket", "arn:aws:s3:::/key", "arn:aws:ec2:::a/b", ""] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_go_to_the_server_that_they_are_for() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let keys = ("here", "here's", None);
        let amazons = || vec![variable("AWS_ACCESS_KEY_ID", "theirs"), variable("HOME", "/root")];
        let ours = Buckets::from(amazons(), "http://berth:4566/", keys);
        assert_eq!(ours.endpoint.as_deref(), Some("http://berth:4566"));
        let given: Vec<_> = ours.options.variables.iter().filter(|(name, _)| name == "AWS_ACCESS_KEY_ID").collect();
        assert_eq!(given, [&variable("AWS_ACCESS_KEY_ID", "here")], "none of those that are for another");
        let elsewhere = [amazons(), vec![variable(ENDPOINT, "https://s3.amazonaws.com")]].concat();
        let theirs = Buckets::from(elsewhere.clone(), "http://berth:4566", keys);
        assert_eq!((theirs.endpoint, theirs.options.variables), (None, elsewhere));
    }
}
