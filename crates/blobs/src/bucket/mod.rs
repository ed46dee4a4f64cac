//! Blobs in an object store, which several servers may share.
//!
//! ```text
//! blobs/<algorithm>/<hex>    the bytes
//! used/<hex>                 empty: somebody relied on the blob when this was written last
//! doomed/<hex>               empty: a sweep is about to delete the blob
//! ```
//!
//! The marks are how servers agree without a word between them. Whoever is about to rely on a blob writes that it is used, and
//! then looks whether it is doomed; whoever is about to delete one writes that it is doomed, and then looks whether it is used.
//! The store shows every write to every later read, so at least one of the two sees the other and yields.
//!
//! Calls block, on any thread: the requests run in a small runtime of their own.

mod marks;
mod sweep;
mod transfer;

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path as Name;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use crate::{BlobError, Digest};

/// Where the requests run: whoever waits may be on a thread of any runtime, or of none.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("objects").enable_all();
    builder.build().expect("the system has two more threads")
});

/// Runs a future to its end while this thread waits.
pub fn blocking<T, F>(future: F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    RUNTIME.spawn(async move { sender.send(future.await) });
    receiver.recv().expect("no request panics")
}

/// What this process knows of a blob in the store.
#[derive(Clone, Copy, Debug)]
struct Known {
    size: u64,
    /// When the blob was last noted as used, as far as this process did it.
    noted: Instant,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    objects: Arc<dyn ObjectStore>,
    known: Mutex<HashMap<Digest, Known>>,
}

/// The bytes of a blob as they come.
pub type Stream = BoxStream<'static, Result<Bytes, object_store::Error>>;

impl Bucket {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Bucket {
        Bucket { objects, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, Known>> {
        // The map is whole after every statement that touches it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The length of a blob; `None` when the store does not have it.
    pub(crate) fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        if let Some(known) = self.fresh(digest) {
            return Ok(Some(known.size));
        }
        Ok(self.head(&blob(digest))?.map(|meta| meta.size))
    }

    /// A whole small blob.
    pub(crate) fn read(&self, digest: &Digest, limit: u64) -> Result<Bytes, BlobError> {
        let (objects, name, digest) = (self.objects.clone(), blob(digest), *digest);
        blocking(async move {
            let found = objects.get(&name).await.map_err(|error| missing(digest, "read", &name, error))?;
            if found.meta.size > limit {
                return Err(BlobError::TooLarge { digest, limit });
            }
            let bytes = found.bytes().await.map_err(BlobError::object("read", &name))?;
            match digest.of_same_kind(&bytes) {
                actual if actual == digest => Ok(bytes),
                actual => Err(BlobError::Mismatch { expected: digest, actual }),
            }
        })
    }

    /// The bytes of a blob within a range, and the length of the whole.
    pub(crate) async fn stream(&self, digest: Digest, range: Range<u64>) -> Result<(u64, Stream), BlobError> {
        let name = blob(&digest);
        let range = (range.start > 0 || range.end < u64::MAX).then_some(match range.end {
            u64::MAX => GetRange::Offset(range.start),
            _ => GetRange::Bounded(range),
        });
        let options = GetOptions { range, ..GetOptions::default() };
        let objects = self.objects.clone();
        let at = name.clone();
        // Begun in our own runtime, for connections outlive whoever asked.
        let found = RUNTIME.spawn(async move { objects.get_opts(&at, options).await }).await;
        let found = found.map_err(|_| BlobError::Abandoned)?;
        let found = found.map_err(|error| missing(digest, "read", &name, error))?;
        Ok((found.meta.size, found.into_stream()))
    }

    /// Every blob with its length and when it was written, in no order.
    fn list(&self) -> Result<Vec<(Digest, object_store::ObjectMeta)>, BlobError> {
        let objects = self.objects.clone();
        let found: Result<Vec<_>, _> =
            blocking(async move { objects.list(Some(&Name::from(BLOBS))).try_collect().await });
        let found = found.map_err(BlobError::object("list", &Name::from(BLOBS)))?;
        let named = found.into_iter().filter_map(|meta| {
            let digest = meta.location.filename().and_then(|name| Digest::from_hex(name).ok())?;
            // An object that is no blob is not ours to judge.
            (meta.location == blob(&digest)).then_some((digest, meta))
        });
        Ok(named.collect())
    }

    pub(crate) fn digests(&self) -> Result<Vec<Digest>, BlobError> {
        Ok(self.list()?.into_iter().map(|(digest, _)| digest).collect())
    }

    pub(crate) fn delete(&self, digest: &Digest) -> Result<bool, BlobError> {
        let was_here = self.head(&blob(digest))?.is_some();
        self.known().remove(digest);
        self.remove(&blob(digest))?;
        self.remove(&used(digest))?;
        Ok(was_here)
    }

    fn head(&self, name: &Name) -> Result<Option<object_store::ObjectMeta>, BlobError> {
        let (objects, at) = (self.objects.clone(), name.clone());
        match blocking(async move { objects.head(&at).await }) {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(BlobError::object("look at", name)(error)),
        }
    }

    fn put(&self, name: &Name, bytes: Bytes) -> Result<(), BlobError> {
        let (objects, at) = (self.objects.clone(), name.clone());
        let put = blocking(async move { objects.put(&at, bytes.into()).await });
        put.map(drop).map_err(BlobError::object("write", name))
    }

    /// What is not there is removed already.
    fn remove(&self, name: &Name) -> Result<(), BlobError> {
        let (objects, at) = (self.objects.clone(), name.clone());
        match blocking(async move { objects.delete(&at).await }) {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            removed => removed.map_err(BlobError::object("delete", name)),
        }
    }
}

const BLOBS: &str = "blobs";

fn blob(digest: &Digest) -> Name {
    Name::from(format!("{BLOBS}/{}/{}", digest.algorithm().as_str(), digest.hex()))
}

fn used(digest: &Digest) -> Name {
    Name::from(format!("used/{}", digest.hex()))
}

fn doomed(digest: &Digest) -> Name {
    Name::from(format!("doomed/{}", digest.hex()))
}

fn missing(digest: Digest, action: &'static str, name: &Name, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::NotFound { digest },
        error => BlobError::object(action, name)(error),
    }
}
