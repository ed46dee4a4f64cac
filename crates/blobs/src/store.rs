//! Blobs by digest.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::upload::Progress;
use crate::{BlobError, Digest, UploadId, durable};

/// How long a half-written file or an upload nobody continues is kept.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A directory of blobs: `sha256/<hex>`, with `tmp/` and `uploads/` beside it on the same file system.
///
/// Every call may repeat and may be concurrent with any other, in this process or another. After a failure nothing
/// remains but, at worst, a file in `tmp/` that a later [`Blobs::open`] removes. Calls block on the disk.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    root: PathBuf,
    pub(crate) uploads: Mutex<HashMap<UploadId, Progress>>,
}

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    pub blobs: u64,
    pub bytes: u64,
}

impl Blobs {
    /// Opens the store, creating its directories, and removes what earlier crashes left half-written.
    pub fn open(root: impl Into<PathBuf>) -> Result<Blobs, BlobError> {
        let root = root.into();
        for name in ["sha256", "tmp", "uploads"] {
            let dir = root.join(name);
            durable::create_dir_all(&dir).map_err(BlobError::io("create directory", &dir))?;
        }
        let blobs = Blobs { inner: Arc::new(Inner { root, uploads: Mutex::default() }) };
        remove_older(&blobs.dir("tmp"), ABANDONED_AFTER)?;
        remove_older(&blobs.dir("uploads"), ABANDONED_AFTER)?;
        Ok(blobs)
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.inner.root.join(name)
    }

    /// Where the bytes of a blob are, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir("sha256").join(digest.hex())
    }

    /// The length of a blob in bytes; `None` when it is not here.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("look at", &path)(error)),
        }
    }

    pub fn exists(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.size(digest)?.is_some())
    }

    /// Opens a blob for reading.
    pub fn file(&self, digest: &Digest) -> Result<File, BlobError> {
        let path = self.path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::NotFound { digest: *digest },
            _ => BlobError::io("open", &path)(error),
        })
    }

    /// Reads a whole small blob, at most `limit` bytes.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::new();
        let file = self.file(digest)?;
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(BlobError::io("read", &self.path(digest)))?;
        if bytes.len() as u64 > limit {
            return Err(BlobError::TooLarge { digest: *digest, limit });
        }
        Ok(bytes)
    }

    /// Stores bytes that are already in memory.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        if self.keep(&digest)? {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.write_all(bytes).map_err(BlobError::io("write", &writer.path))?;
        writer.commit(Some(digest))
    }

    /// Starts a blob whose digest will be known when all bytes are written.
    pub fn writer(&self) -> Result<BlobWriter, BlobError> {
        let path = self.dir("tmp").join(Uuid::new_v4().simple().to_string());
        let file = File::create_new(&path).map_err(BlobError::io("create", &path))?;
        Ok(BlobWriter { blobs: self.clone(), file, path, hasher: Sha256::new(), written: 0 })
    }

    /// Marks a blob as just used, so that a sweep in progress leaves it. False when it is not here.
    pub fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        let touched = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        match touched {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::io("touch", &path)(error)),
        }
    }

    /// Deletes a blob. True when it was here.
    pub fn delete(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::io("delete", &path)(error)),
        }
    }

    /// The digests of all blobs, in no order.
    pub fn list(&self) -> Result<Vec<Digest>, BlobError> {
        let dir = self.dir("sha256");
        let entries = fs::read_dir(&dir).map_err(BlobError::io("list", &dir))?;
        let mut digests = Vec::new();
        for entry in entries {
            let entry = entry.map_err(BlobError::io("list", &dir))?;
            // A file that is no blob is not ours to judge.
            if let Some(digest) = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok()) {
                digests.push(digest);
            }
        }
        Ok(digests)
    }

    /// Deletes every blob that is not in `needed` and has not been written or used for `unused_for`.
    ///
    /// The age closes the gap between a blob's arrival and the manifest that will need it: callers give at least
    /// an hour, except in tests.
    pub fn sweep(&self, needed: &HashSet<Digest>, unused_for: Duration) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        for digest in self.list()?.into_iter().filter(|digest| !needed.contains(digest)) {
            let path = self.path(&digest);
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if is_older(&metadata, unused_for) && self.delete(&digest)? {
                swept.blobs += 1;
                swept.bytes += metadata.len();
            }
        }
        Ok(swept)
    }

    /// Gives a complete, flushed file its name.
    pub(crate) fn adopt(
        &self,
        file: &File,
        path: &Path,
        actual: Digest,
        expected: Option<Digest>,
    ) -> Result<(), BlobError> {
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(BlobError::Mismatch { expected, actual });
        }
        file.sync_all().map_err(BlobError::io("flush", path))?;
        let target = self.path(&actual);
        // When two writers bring the same blob, the second rename replaces the first file with equal bytes; a reader
        // that has the first open keeps it.
        fs::rename(path, &target).map_err(BlobError::io("rename to", &target))?;
        let dir = self.dir("sha256");
        durable::sync_dir(&dir).map_err(BlobError::io("flush directory", &dir))
    }
}

/// One blob on its way to the disk. Dropped without [`BlobWriter::commit`], it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: Blobs,
    file: File,
    path: PathBuf,
    hasher: Sha256,
    written: u64,
}

impl BlobWriter {
    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the blob visible under its digest. With `expected`, any other digest is an error and nothing is stored.
    pub fn commit(self, expected: Option<Digest>) -> Result<Digest, BlobError> {
        let actual = Digest::from_hasher(self.hasher.clone());
        self.blobs.adopt(&self.file, &self.path, actual, expected)?;
        Ok(actual)
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // After a commit the file has moved and this finds nothing.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_older(metadata: &fs::Metadata, age: Duration) -> bool {
    metadata.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|elapsed| elapsed >= age)
}

fn remove_older(dir: &Path, age: Duration) -> Result<(), BlobError> {
    for entry in fs::read_dir(dir).map_err(BlobError::io("list", dir))? {
        let entry = entry.map_err(BlobError::io("list", dir))?;
        // Another process may remove the same leftovers.
        if entry.metadata().is_ok_and(|metadata| is_older(&metadata, age)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
