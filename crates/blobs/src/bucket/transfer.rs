//! A file becomes an object: in parts of one size, a few at once, in constant memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use object_store::{MultipartUpload, PutPayload};

use super::{Bucket, Known, blob, blocking};
use crate::{BlobError, Digest};

/// S3 takes at most 10,000 parts, of at least 5 MiB: with this, more than the largest layer.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 4;

impl Bucket {
    /// Stores bytes that are already in memory and are what `digest` says.
    pub(crate) fn put_bytes(&self, digest: &Digest, bytes: Bytes) -> Result<(), BlobError> {
        self.placing(digest, bytes.len() as u64, || self.put(&blob(digest), bytes.clone()))
    }

    /// Stores a file that is what `digest` says. It is there whole when this returns, and not at all before.
    pub(crate) fn put_file(&self, digest: &Digest, file: &File, path: &Path) -> Result<(), BlobError> {
        if self.keep(digest)? {
            return Ok(());
        }
        let size = file.metadata().map_err(BlobError::io("look at", path))?.len();
        self.placing(digest, size, || {
            if size <= PART_BYTES {
                let bytes = read(file, 0, size).map_err(BlobError::io("read", path))?;
                return self.put(&blob(digest), bytes);
            }
            let file = file.try_clone().map_err(BlobError::io("read", path))?;
            self.put_parts(digest, file, path, size)
        })
    }

    /// A sweep that began before the blob was here may delete what was just put; then it is put again.
    fn placing(&self, digest: &Digest, size: u64, put: impl Fn() -> Result<(), BlobError>) -> Result<(), BlobError> {
        let noted = Instant::now();
        put()?;
        failpoint::place("blobs.bucket.put");
        self.outlast(digest)?;
        if self.head(&blob(digest))?.is_none() {
            put()?;
        }
        self.remember(digest, Known { size, noted });
        Ok(())
    }

    fn put_parts(&self, digest: &Digest, file: File, path: &Path, size: u64) -> Result<(), BlobError> {
        let (objects, name, path) = (self.objects.clone(), blob(digest), path.to_owned());
        blocking(async move {
            let begun = objects.put_multipart_opts(&name, Default::default()).await;
            let mut upload = begun.map_err(BlobError::object("write", &name))?;
            let sent = send(&mut *upload, file, size).await;
            let ended = match sent {
                Ok(()) => upload.complete().await.map(drop).map_err(BlobError::object("write", &name)),
                Err(Broken::Read(error)) => Err(BlobError::io("read", &path)(error)),
                Err(Broken::Send(error)) => Err(BlobError::object("write", &name)(error)),
            };
            if ended.is_err()
                && let Err(error) = upload.abort().await
            {
                // Its parts take room until the bucket's own rule for unfinished uploads removes them.
                tracing::warn!(%error, %name, "an unfinished upload stays in the object store");
            }
            ended
        })
    }
}

enum Broken {
    Read(io::Error),
    Send(object_store::Error),
}

async fn send(upload: &mut dyn MultipartUpload, file: File, size: u64) -> Result<(), Broken> {
    let file = std::sync::Arc::new(file);
    let mut sending = futures::stream::FuturesUnordered::new();
    let mut at = 0;
    while at < size || !sending.is_empty() {
        if at < size && sending.len() < PARTS_AT_ONCE {
            let (part, file) = (PART_BYTES.min(size - at), file.clone());
            let bytes = tokio::task::spawn_blocking(move || read(&file, at, part)).await;
            let bytes = bytes.map_err(|error| Broken::Read(io::Error::other(error)))?.map_err(Broken::Read)?;
            sending.push(tokio::spawn(upload.put_part(PutPayload::from(bytes))));
            at += part;
            failpoint::place("blobs.bucket.part");
            continue;
        }
        match sending.next().await {
            Some(Ok(sent)) => sent.map_err(Broken::Send)?,
            Some(Err(panic)) => return Err(Broken::Read(io::Error::other(panic))),
            None => {}
        }
    }
    Ok(())
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, at)?;
    Ok(Bytes::from(bytes))
}
