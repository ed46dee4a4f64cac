//! One blob on its way from another registry: written to the disk, checked, and read by whoever waits for it meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blobs::{BlobWriter, Digest, PumpError};
use bytes::Bytes;
use futures::{Stream, stream};
use tokio::sync::watch;

use crate::limits::{BLOB_BYTES_MAX, FETCH_ATTEMPTS, FETCHES_MAX};
use crate::turns::Turns;
use crate::upstream::{Upstream, UpstreamBlob, UpstreamError};
use crate::{Registry, RegistryError, RepositoryKey};

/// How much is read at once for a client.
const CHUNK: u64 = 256 * 1024;

/// How far a fetch is.
#[derive(Clone, Debug)]
enum Progress {
    /// So many bytes are on the disk, and nobody knows yet whether they are the right ones.
    Going(u64),
    Done,
    Failed(Arc<str>),
}

/// Who has a blob when it is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The repository that lacked it.
    Repository,
    /// The disk before the object store, which has it already.
    Cache,
}

/// A blob on its way. Clones are one fetch.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    pub(crate) size: u64,
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
}

/// All fetches of a registry.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    going: Mutex<HashMap<(RepositoryKey, Digest), Fetch>>,
    /// Had while one is begun, so that everybody joins the same.
    beginning: Turns<(RepositoryKey, Digest)>,
}

impl Fetches {
    fn going(&self) -> MutexGuard<'_, HashMap<(RepositoryKey, Digest), Fetch>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how far the disk is.
struct Told {
    writer: BlobWriter,
    progress: watch::Sender<Progress>,
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.progress.send_replace(Progress::Going(self.writer.written()));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Registry {
    /// Joins the fetch of a blob that the repository is to have, or begins it.
    pub(crate) async fn fetch_blob(
        self: &Arc<Self>,
        key: &RepositoryKey,
        digest: Digest,
        upstream: Arc<dyn Upstream>,
    ) -> Result<Fetch, RegistryError> {
        self.fetch(key, digest, upstream, For::Repository).await
    }

    /// The same, wherever it goes. It goes on when nobody waits for it any more.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        key: &RepositoryKey,
        digest: Digest,
        upstream: Arc<dyn Upstream>,
        into: For,
    ) -> Result<Fetch, RegistryError> {
        let name = (key.clone(), digest);
        let _beginning = self.fetches.beginning.turn(name.clone()).await;
        if let Some(fetch) = self.fetches.going().get(&name) {
            return Ok(fetch.clone());
        }
        if self.fetches.going().len() >= FETCHES_MAX {
            return Err(RegistryError::TooManyUploads);
        }
        let unknown = || RegistryError::BlobUnknown { digest, name: key.name.to_string() };
        let first = upstream.blob(&digest, 0).await.map_err(|error| match error {
            UpstreamError::NotFound => unknown(),
            error => RegistryError::Upstream(error),
        })?;
        if first.start != 0 || first.size > BLOB_BYTES_MAX {
            return Err(RegistryError::TooLarge { limit: BLOB_BYTES_MAX });
        }
        let blobs = self.blobs.clone();
        let begun = tokio::task::spawn_blocking(move || {
            let writer = blobs.local().writer_by(digest.algorithm())?;
            let file = writer.reader()?;
            Ok::<_, RegistryError>((writer, file))
        });
        let (writer, file) = begun.await.map_err(|_| RegistryError::Abandoned)??;
        let (sender, progress) = watch::channel(Progress::Going(0));
        let fetch = Fetch { size: first.size, file: Arc::new(file), progress };
        self.fetches.going().insert(name.clone(), fetch.clone());
        let registry = Arc::clone(self);
        tokio::spawn(async move {
            let told = Told { writer, progress: sender.clone() };
            let done = registry.bring(&name.0, digest, &*upstream, first, told, into).await;
            registry.fetches.going().remove(&name);
            sender.send_replace(match done {
                Ok(()) => Progress::Done,
                Err(reason) => {
                    tracing::warn!(%digest, repository = %name.0, reason, "a blob could not be brought from upstream");
                    Progress::Failed(reason.into())
                }
            });
        });
        Ok(fetch)
    }

    /// Brings a blob over as many connections as it takes, and lets the repository have it if it is what its name says.
    async fn bring(
        self: &Arc<Self>,
        key: &RepositoryKey,
        digest: Digest,
        upstream: &dyn Upstream,
        first: UpstreamBlob,
        mut told: Told,
        into: For,
    ) -> Result<(), String> {
        let size = first.size;
        let mut next = Some(first.body);
        for attempt in 1..=FETCH_ATTEMPTS {
            let body = match next.take() {
                Some(body) => Ok(body),
                None => match upstream.blob(&digest, told.writer.written()).await {
                    Ok(more) if more.size == size && more.start == told.writer.written() => Ok(more.body),
                    Ok(_) => Err("the upstream registry cannot continue what broke off".to_owned()),
                    Err(error) => Err(error.to_string()),
                },
            };
            let broken = match body {
                Err(reason) => reason,
                Ok(body) => {
                    let limit = size.saturating_sub(told.writer.written());
                    let (back, result) = blobs::pump(told, body, limit).await;
                    let Some(back) = back else { return Err("the writer panicked".to_owned()) };
                    told = back;
                    match result {
                        Ok(_) if told.writer.written() == size => {
                            return self.keep_fetched(key.clone(), digest, told.writer, into).await;
                        }
                        Ok(_) => "unexpected EOF".to_owned(),
                        Err(PumpError::Stream(reason)) => reason,
                        Err(error @ PumpError::TooLong { .. }) => return Err(error.to_string()),
                        Err(PumpError::Write(error)) => return Err(error.to_string()),
                    }
                }
            };
            if attempt == FETCH_ATTEMPTS {
                return Err(broken);
            }
            tracing::debug!(%digest, broken, attempt, "a blob from upstream broke off and is continued");
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        Err("it was never begun".to_owned())
    }

    async fn keep_fetched(
        self: &Arc<Self>,
        key: RepositoryKey,
        digest: Digest,
        writer: BlobWriter,
        into: For,
    ) -> Result<(), String> {
        let registry = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || {
            if into == For::Cache {
                return Ok(registry.blobs.cache(writer, digest)?);
            }
            registry.blobs.commit(writer, digest)?;
            registry.repository_or_new(&key, crate::AppliedFor::PullThroughCache)?;
            registry.link_blob(&key, &digest)
        });
        kept.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

impl Fetch {
    /// Resolves when the blob is here, and was found to be what its name says.
    pub(crate) async fn done(mut self) -> Result<(), RegistryError> {
        let ended = self.progress.wait_for(|progress| !matches!(progress, Progress::Going(_))).await;
        let reason = match ended.as_deref() {
            Ok(Progress::Done) => return Ok(()),
            Ok(Progress::Failed(reason)) => reason.to_string(),
            Ok(Progress::Going(_)) | Err(_) => "it was abandoned".to_owned(),
        };
        Err(RegistryError::Upstream(UpstreamError::Unreachable { reason }))
    }

    /// The bytes from `start` up to `end`, as they arrive.
    ///
    /// The last byte of the blob is held back until its digest is known, so that no client ever has the whole of a blob
    /// that is not what its name says.
    pub(crate) fn read(self, start: u64, end: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold((self, start), move |(mut fetch, at)| async move {
            if at >= end {
                return None;
            }
            let held = fetch.size.saturating_sub(1);
            let ready = fetch.progress.wait_for(|progress| match progress {
                Progress::Going(written) => (*written).min(held) > at,
                Progress::Done | Progress::Failed(_) => true,
            });
            let upto = match ready.await.as_deref() {
                Ok(Progress::Going(written)) => Ok((*written).min(held)),
                Ok(Progress::Done) => Ok(fetch.size),
                Ok(Progress::Failed(reason)) => Err(io::Error::other(reason.to_string())),
                Err(_) => Err(io::Error::other("it was abandoned")),
            };
            let read = match upto {
                Ok(upto) => fetch.read_at(at, upto.min(end)).await,
                Err(error) => Err(error),
            };
            // After an error the stream ends: nothing is left.
            let next = read.as_ref().map_or(end, |chunk| at + chunk.len() as u64);
            Some((read, (fetch, next)))
        })
    }

    async fn read_at(&self, at: u64, upto: u64) -> io::Result<Bytes> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let length = usize::try_from((upto - at).min(CHUNK)).unwrap_or(usize::MAX);
            let mut chunk = vec![0; length];
            file.read_exact_at(&mut chunk, at)?;
            Ok(Bytes::from(chunk))
        });
        read.await.map_err(io::Error::other)?
    }
}
