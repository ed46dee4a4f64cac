//! Object stores by their address: where bulky data lies when it does not lie in a directory of this machine.
//!
//! `s3://BUCKET/PREFIX` is a bucket of Amazon S3, or of any server that speaks its protocol, which `?endpoint=URL` names.
//! Whoever stores something is handed an [`ObjectStore`] and knows neither addresses nor keys.
//!
//! [`Buckets`] are those that tasks name. Start reading at [`open`]; `http.rs` lets the store speak through the HTTP client that the rest of Berth uses.

#![forbid(unsafe_code)]

mod address;
mod buckets;
mod http;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};

pub use address::{Address, AddressError};
pub use buckets::{BucketError, Buckets, Encryption, Place, place};

/// How long a request is tried again before its caller hears of it: a push or a pull waits meanwhile.
const RETRY_FOR: Duration = Duration::from_secs(30);
const RETRIES_MAX: usize = 8;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to prepare the object store {address}")]
    Prepare {
        address: String,
        #[source]
        source: object_store::Error,
    },
    #[error("the object store {address} does not answer as it should")]
    Ask {
        address: String,
        #[source]
        source: object_store::Error,
    },
}

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error("the object {key} cannot be read")]
    Ask {
        key: String,
        #[source]
        source: object_store::Error,
    },
    #[error("the object {key} is larger than {bytes_max} bytes")]
    TooLarge { key: String, bytes_max: u64 },
}

/// How a store is spoken to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The environment in which the AWS SDKs would look for keys.
    pub variables: Vec<(String, String)>,
    /// How long a request is tried again.
    pub retry_for: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { variables: std::env::vars().collect(), retry_for: RETRY_FOR }
    }
}

/// Opens a store without asking it anything yet. Keys come from where the AWS SDKs have them: the environment, a task's or
/// an instance's role.
pub fn open(address: &Address, options: &Options) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in options.variables.iter().filter(|(name, _)| name.starts_with("AWS_")) {
        // Whoever works with Berth has its own address in `AWS_ENDPOINT_URL`, which is no bucket's.
        let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() else { continue };
        if !matches!(key, AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::Bucket) {
            builder = builder.with_config(key, value);
        }
    }
    let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: options.retry_for, ..RetryConfig::default() };
    builder = builder
        .with_bucket_name(&address.bucket)
        .with_http_connector(http::Connector)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retry);
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = &address.region {
        builder = builder.with_region(region);
    }
    let store = builder.build().map_err(|source| OpenError::Prepare { address: address.to_string(), source })?;
    Ok(match address.prefix.as_str() {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}

/// Whether the bucket is there and may be read: a wrong address or key is told at the start, not by the first push.
pub async fn check(address: &Address, store: &dyn ObjectStore) -> Result<(), OpenError> {
    match store.head(&object_store::path::Path::from("berth")).await {
        Ok(_) => {}
        // A key that is not there and a bucket that is not there look alike to HEAD; a listing tells them apart.
        Err(object_store::Error::NotFound { .. }) => {}
        Err(source) => return Err(OpenError::Ask { address: address.to_string(), source }),
    }
    let listed = store.list_with_delimiter(Some(&object_store::path::Path::from("berth"))).await;
    listed.map(drop).map_err(|source| OpenError::Ask { address: address.to_string(), source })
}

/// A small object as a whole, by its key. One that is larger than this is an error.
pub async fn get(store: &dyn ObjectStore, key: &str, bytes_max: u64) -> Result<Vec<u8>, GetError> {
    let failed = |source| GetError::Ask { key: key.to_owned(), source };
    let path = object_store::path::Path::parse(key).map_err(|error| failed(error.into()))?;
    let found = store.get(&path).await.map_err(failed)?;
    if found.meta.size > bytes_max {
        return Err(GetError::TooLarge { key: key.to_owned(), bytes_max });
    }
    Ok(found.bytes().await.map_err(failed)?.to_vec())
}

/// A part of a store that is somebody's own.
pub fn part(store: &Arc<dyn ObjectStore>, name: &str) -> Arc<dyn ObjectStore> {
    Arc::new(PrefixStore::new(Arc::clone(store), name))
}
