//! Where images come from that are not here: other registries, seen through two small traits.
//!
//! The registry does not speak to other registries itself, and does not know rules: whoever opens it hands both in.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use blobs::Digest;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{Registry, RegistryError, RepositoryKey, Target};

/// Which repositories are copies of others.
pub trait Upstreams: fmt::Debug + Send + Sync {
    /// Where the images of a repository come from when they are not here; `None` for a repository of its own. May block on the
    /// disk, may repeat and be concurrent.
    fn of(&self, registry: &Registry, key: &RepositoryKey) -> Result<Option<Arc<dyn Upstream>>, RegistryError>;
}

/// One repository of another registry. All calls may repeat and be concurrent. What it answers is not trusted.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Whether the other registry is there and lets us in. The repository itself may be missing.
    async fn ping(&self) -> Result<(), UpstreamError>;

    async fn manifest(&self, target: &Target) -> Result<UpstreamManifest, UpstreamError>;

    /// The bytes of a blob from `start` on, or from its beginning when the registry cannot do that.
    async fn blob(&self, digest: &Digest, start: u64) -> Result<UpstreamBlob, UpstreamError>;
}

pub struct UpstreamManifest {
    pub media_type: Option<String>,
    pub bytes: Bytes,
}

pub struct UpstreamBlob {
    /// Where `body` begins.
    pub start: u64,
    /// Of the whole blob.
    pub size: u64,
    pub body: BoxStream<'static, Result<Bytes, String>>,
}

/// Why another registry did not give what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    #[error("the upstream registry does not have it")]
    NotFound,
    #[error("the upstream registry refuses: {message}")]
    Denied { message: String },
    #[error("the upstream registry does not answer: {reason}")]
    Unreachable { reason: String },
    /// The registry's own object store.
    #[error("the object store does not give it: {reason}")]
    Storage { reason: String },
}
