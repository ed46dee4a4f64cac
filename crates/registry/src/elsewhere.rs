//! Blobs that the object store has and this machine has not, on their way to whoever reads them.
//!
//! A whole blob comes once, whoever waits for it reads along, and it stays on the disk while there is room. A part of one, or one
//! that would not fit, goes straight from the store to its reader.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use blobs::{BlobError, BlobStore, Blobs, Content, Digest, Hasher, ObjectStream, PumpError};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use tokio::task::spawn_blocking;

use crate::fetch::For;
use crate::upstream::{Upstream, UpstreamBlob, UpstreamError, UpstreamManifest};
use crate::{BLOB_BYTES_MAX, Registry, RegistryError, RepositoryKey, Target};

/// The object store, as a fetch sees where its blob comes from.
struct Store(BlobStore);

#[async_trait]
impl Upstream for Store {
    async fn ping(&self) -> Result<(), UpstreamError> {
        Ok(())
    }

    async fn manifest(&self, _: &Target) -> Result<UpstreamManifest, UpstreamError> {
        // Manifests are read whole, through the store itself.
        Err(UpstreamError::NotFound)
    }

    async fn blob(&self, digest: &Digest, start: u64) -> Result<UpstreamBlob, UpstreamError> {
        match self.0.stream(*digest, start..u64::MAX).await {
            Ok((size, body)) => {
                let body = body.map(|chunk| chunk.map_err(|error| error.to_string())).boxed();
                Ok(UpstreamBlob { start, size, body })
            }
            Err(BlobError::NotFound { .. }) => Err(UpstreamError::NotFound),
            Err(error) => Err(UpstreamError::Storage { reason: error.to_string() }),
        }
    }
}

impl Registry {
    /// The bytes of a blob from `start` up to `end`, from the object store.
    pub(crate) async fn read_elsewhere(
        self: &Arc<Self>,
        key: &RepositoryKey,
        digest: Digest,
        size: u64,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, RegistryError> {
        if start == 0 && self.blobs.may_cache(size) {
            let store = Arc::new(Store(self.blobs.clone()));
            match self.fetch(key, digest, store, For::Cache).await {
                Ok(fetch) => return Ok(fetch.read(start, end).boxed()),
                // More at once than the disk should write.
                Err(RegistryError::TooManyUploads) => {}
                Err(error) => return Err(error),
            }
        }
        let (_, bytes) = self.blobs.stream(digest, start..end).await?;
        let is_whole = start == 0 && end == size;
        Ok(if is_whole { checked(bytes, digest).boxed() } else { bytes.map(|chunk| chunk.map_err(Into::into)).boxed() })
    }

    /// Lets a node have a blob of the object store in its own directory.
    pub async fn place(
        self: &Arc<Self>,
        key: &RepositoryKey,
        digest: Digest,
        node: &Blobs,
    ) -> Result<(), RegistryError> {
        let (registry, of, to) = (Arc::clone(self), key.clone(), node.clone());
        let looked = spawn_blocking(move || {
            if registry.put_cached(&digest, &to)? {
                return Ok(None);
            }
            let unknown = || RegistryError::BlobUnknown { digest, name: of.name.to_string() };
            registry.blobs.size(&digest)?.map(Some).ok_or_else(unknown)
        });
        let Some(size) = looked.await.map_err(|_| RegistryError::Abandoned)?? else { return Ok(()) };
        if self.blobs.may_cache(size) {
            let store = Arc::new(Store(self.blobs.clone()));
            self.fetch(key, digest, store, For::Cache).await?.done().await?;
            let (registry, to) = (Arc::clone(self), node.clone());
            let put = spawn_blocking(move || registry.put_cached(&digest, &to));
            if put.await.map_err(|_| RegistryError::Abandoned)?? {
                return Ok(());
            }
            // It had to make room at once.
        }
        let (_, bytes) = self.blobs.stream(digest, 0..u64::MAX).await?;
        let writer = node.writer_by(digest.algorithm())?;
        match blobs::pump(writer, bytes, BLOB_BYTES_MAX).await {
            (Some(writer), Ok(_)) => {
                let committed = spawn_blocking(move || writer.commit(Some(digest)));
                committed.await.map_err(|_| RegistryError::Abandoned)??;
                Ok(())
            }
            (_, Err(PumpError::Write(source))) => {
                Err(RegistryError::Io { action: "write", path: digest.to_string().into(), source })
            }
            (_, Err(error)) => Err(RegistryError::Upstream(UpstreamError::Storage { reason: error.to_string() })),
            (None, Ok(_)) => Err(RegistryError::Abandoned),
        }
    }

    /// Gives a node what the directory before the object store has. False when it has it not.
    fn put_cached(&self, digest: &Digest, node: &Blobs) -> Result<bool, RegistryError> {
        if node.keep(digest)? {
            return Ok(true);
        }
        if matches!(self.blobs.content(digest)?, Content::Elsewhere) {
            return Ok(false);
        }
        match node.put_from(self.blobs.local(), digest) {
            Ok(()) => Ok(true),
            Err(BlobError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The bytes of a whole blob. The last chunk is held back until the digest is known, so that no client ever has the whole of a
/// blob that is not what its name says.
fn checked(bytes: ObjectStream, digest: Digest) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let state = (bytes, Some(Hasher::new(digest.algorithm())), None::<Bytes>);
    stream::unfold(state, move |(mut bytes, hasher, mut held)| async move {
        let mut hasher = hasher?;
        loop {
            match bytes.next().await {
                Some(Ok(chunk)) => {
                    hasher.update(&chunk);
                    if let Some(ready) = held.replace(chunk) {
                        return Some((Ok(ready), (bytes, Some(hasher), held)));
                    }
                }
                Some(Err(error)) => return Some((Err(error.into()), (bytes, None, None))),
                None if hasher.finish() == digest => return held.map(|last| (Ok(last), (bytes, None, None))),
                None => return Some((Err(io::Error::other(format!("{digest} is damaged"))), (bytes, None, None))),
            }
        }
    })
}
