//! Blobs wherever they are kept: in a directory, or in an object store with a directory before it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::ObjectStore;

use crate::bucket::{Bucket, Stream};
use crate::store::Swept;
use crate::{Algorithm, BlobError, BlobWriter, Blobs, Digest, Upload};

/// Blobs of a registry.
///
/// In a directory, they are the files of a [`Blobs`] and nothing else happens. In an object store, the directory has the
/// uploads until they are committed, and files of what was pushed or read last, as many as fit: every one of them may be deleted
/// at any time.
#[derive(Clone, Debug)]
pub struct BlobStore {
    local: Blobs,
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    bucket: Bucket,
    cache_bytes_max: u64,
    trimming: Mutex<()>,
}

/// A blob that can be read.
#[derive(Debug)]
pub enum Content {
    /// Whole, on this machine.
    File(File),
    /// In the object store, and not here.
    Elsewhere,
}

impl From<Blobs> for BlobStore {
    fn from(local: Blobs) -> BlobStore {
        BlobStore { local, shared: None }
    }
}

impl BlobStore {
    /// Blobs in an object store. `cache` is this store's own; its files take at most `cache_bytes_max`, uploads not counted.
    pub fn in_objects(cache: Blobs, objects: Arc<dyn ObjectStore>, cache_bytes_max: u64) -> BlobStore {
        let shared = Shared { bucket: Bucket::new(objects), cache_bytes_max, trimming: Mutex::default() };
        BlobStore { local: cache, shared: Some(Arc::new(shared)) }
    }

    /// The directory: of all blobs, or before the object store.
    pub fn local(&self) -> &Blobs {
        &self.local
    }

    /// Whether blobs are in an object store, which other servers may use too.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether a blob of this length may lie in the directory before the object store.
    pub fn may_cache(&self, size: u64) -> bool {
        self.shared.as_ref().is_some_and(|shared| size <= shared.cache_bytes_max)
    }

    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        match &self.shared {
            None => self.local.size(digest),
            Some(shared) => shared.bucket.size(digest),
        }
    }

    pub fn exists(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.size(digest)?.is_some())
    }

    /// Marks a blob as just used, so that a sweep in progress leaves it. False when it is not here.
    pub fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        let is_here = self.local.keep(digest)?;
        match &self.shared {
            None => Ok(is_here),
            Some(shared) => shared.bucket.keep(digest),
        }
    }

    /// A blob that is there, to be read.
    pub fn content(&self, digest: &Digest) -> Result<Content, BlobError> {
        match self.local.file(digest) {
            Ok(file) => Ok(Content::File(file)),
            Err(BlobError::NotFound { .. }) if self.shared.is_some() => Ok(Content::Elsewhere),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a blob in the object store within a range, and the length of the whole blob.
    pub async fn stream(&self, digest: Digest, range: Range<u64>) -> Result<(u64, Stream), BlobError> {
        let shared = self.shared.as_ref().ok_or(BlobError::NotFound { digest })?;
        shared.bucket.stream(digest, range).await
    }

    /// Reads a whole small blob, at most `limit` bytes.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, BlobError> {
        match (self.local.read(digest, limit), &self.shared) {
            (Err(BlobError::NotFound { .. }), Some(shared)) => {
                let bytes = shared.bucket.read(digest, limit)?;
                self.local.put_by(digest.algorithm(), &bytes)?;
                self.trim(bytes.len() as u64);
                Ok(bytes.into())
            }
            (read, _) => read,
        }
    }

    /// Stores bytes that are already in memory.
    pub fn put_by(&self, algorithm: Algorithm, bytes: &[u8]) -> Result<Digest, BlobError> {
        let Some(shared) = &self.shared else { return self.local.put_by(algorithm, bytes) };
        let digest = Digest::with(algorithm, bytes);
        if !shared.bucket.keep(&digest)? {
            shared.bucket.put_bytes(&digest, Bytes::copy_from_slice(bytes))?;
        }
        self.local.put_by(algorithm, bytes)?;
        self.trim(bytes.len() as u64);
        Ok(digest)
    }

    /// Makes a blob of what was written.
    pub fn commit(&self, writer: BlobWriter, expected: Digest) -> Result<(), BlobError> {
        let size = writer.written();
        writer.commit_after(Some(expected), |digest, file, path| self.publish(digest, file, path))?;
        self.trim(size);
        Ok(())
    }

    /// Makes a blob of an upload. Should the object store refuse, the upload stays, to be committed again.
    pub fn commit_upload(&self, upload: Upload, expected: Digest) -> Result<(), BlobError> {
        let size = upload.offset();
        upload.commit_after(expected, |digest, file, path| self.publish(digest, file, path))?;
        self.trim(size);
        Ok(())
    }

    /// Lets the directory have a blob that the object store has.
    pub fn cache(&self, writer: BlobWriter, expected: Digest) -> Result<(), BlobError> {
        let size = writer.written();
        writer.commit(Some(expected))?;
        self.trim(size);
        Ok(())
    }

    fn publish(&self, digest: &Digest, file: &File, path: &std::path::Path) -> Result<(), BlobError> {
        match &self.shared {
            None => Ok(()),
            Some(shared) => shared.bucket.put_file(digest, file, path),
        }
    }

    /// Deletes every blob that is not in `needed` and has not been written or used for `unused_for`.
    pub fn sweep(&self, needed: &HashSet<Digest>, unused_for: Duration) -> Result<Swept, BlobError> {
        match &self.shared {
            None => self.local.sweep(needed, unused_for),
            Some(shared) => {
                let swept = shared.bucket.sweep(needed, unused_for)?;
                // What no server has any more must not be served from here.
                self.local.sweep(needed, unused_for)?;
                Ok(swept)
            }
        }
    }

    /// The digests of all blobs, in no order.
    pub fn list(&self) -> Result<Vec<Digest>, BlobError> {
        match &self.shared {
            None => self.local.list(),
            Some(shared) => shared.bucket.digests(),
        }
    }

    pub fn delete(&self, digest: &Digest) -> Result<bool, BlobError> {
        let was_here = self.local.delete(digest)?;
        match &self.shared {
            None => Ok(was_here),
            Some(shared) => shared.bucket.delete(digest),
        }
    }

    /// Deletes files before the object store that were not used for longest, until the rest fits. `newest` came last.
    fn trim(&self, newest: u64) {
        let Some(shared) = &self.shared else { return };
        let _turn = shared.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = trim(&self.local, shared.cache_bytes_max, newest) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the files before the object store are not trimmed"
            );
        }
    }
}

fn trim(local: &Blobs, bytes_max: u64, newest: u64) -> Result<(), BlobError> {
    let mut files: Vec<(SystemTime, u64, Digest)> = Vec::new();
    for digest in local.list()? {
        let path = local.path(&digest);
        match fs::metadata(&path) {
            Ok(found) => files.push((found.modified().unwrap_or(SystemTime::UNIX_EPOCH), found.len(), digest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BlobError::io("look at", &path)(error)),
        }
    }
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    files.sort();
    // One that fits nowhere goes alone, not after all others.
    if newest > bytes_max {
        files.sort_by_key(|(_, size, _)| *size <= bytes_max);
    }
    for (_, size, digest) in files {
        if total <= bytes_max {
            break;
        }
        local.delete(&digest)?;
        total -= size;
    }
    Ok(())
}
