//! Blobs by digest.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::upload::Progress;
use crate::{Algorithm, BlobError, Digest, Hasher, UploadId, durable};

/// How long a half-written file or an upload nobody continues is kept.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A directory of blobs: `sha256/<hex>` and `sha512/<hex>`, with `tmp/` and `uploads/` beside them on the same file system.
///
/// Every call may repeat and may be concurrent with any other, in this process or another. After a failure nothing
/// remains but, at worst, a file in `tmp/` that [`Blobs::remove_abandoned`] removes. Calls block on the disk.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    root: PathBuf,
    /// Held for the moment in which a blob becomes used, or goes: never both.
    using: Mutex<()>,
    pub(crate) uploads: Mutex<HashMap<UploadId, Progress>>,
    /// Rings whenever a request lets go of an upload.
    pub(crate) let_go: Notify,
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
        for name in ["sha256", "sha512", "tmp", "uploads"] {
            let dir = root.join(name);
            durable::create_dir_all(&dir).map_err(BlobError::io("create directory", &dir))?;
        }
        let blobs = Blobs {
            inner: Arc::new(Inner { root, using: Mutex::default(), uploads: Mutex::default(), let_go: Notify::new() }),
        };
        blobs.remove_abandoned(ABANDONED_AFTER)?;
        Ok(blobs)
    }

    /// Removes half-written files and uploads that got no byte for `unused_for`; gives their number.
    ///
    /// Nobody who writes right now is disturbed, however slow.
    pub fn remove_abandoned(&self, unused_for: Duration) -> Result<u64, BlobError> {
        let files = remove_older(&self.dir("tmp"), unused_for, |_| true)?;
        let uploads = remove_older(&self.dir("uploads"), unused_for, |name| self.forget_upload(name))?;
        Ok(files + uploads)
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.inner.root.join(name)
    }

    fn using(&self) -> MutexGuard<'_, ()> {
        // It guards no memory, only an order.
        self.inner.using.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the bytes of a blob are, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir(digest.algorithm().as_str()).join(digest.hex())
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
        self.put_by(Algorithm::Sha256, bytes)
    }

    pub fn put_by(&self, algorithm: Algorithm, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::with(algorithm, bytes);
        if self.keep(&digest)? {
            return Ok(digest);
        }
        let mut writer = self.writer_by(algorithm)?;
        writer.write_all(bytes).map_err(BlobError::io("write", &writer.path))?;
        writer.commit(Some(digest))
    }

    /// Starts a blob whose digest will be known when all bytes are written.
    pub fn writer(&self) -> Result<BlobWriter, BlobError> {
        self.writer_by(Algorithm::Sha256)
    }

    /// The same for a blob that will be known by a digest of this algorithm.
    pub fn writer_by(&self, algorithm: Algorithm) -> Result<BlobWriter, BlobError> {
        let path = self.dir("tmp").join(Uuid::new_v4().simple().to_string());
        let file = File::create_new(&path).map_err(BlobError::io("create", &path))?;
        Ok(BlobWriter { blobs: self.clone(), file, path, hasher: Hasher::new(algorithm), written: 0 })
    }

    /// Lets this store have a blob of another one: the same file where that can be, else a copy.
    pub fn put_from(&self, other: &Blobs, digest: &Digest) -> Result<(), BlobError> {
        if self.keep(digest)? {
            return Ok(());
        }
        let (from, to) = (other.path(digest), self.path(digest));
        match fs::hard_link(&from, &to) {
            Ok(()) => {
                let dir = self.dir(digest.algorithm().as_str());
                return durable::sync_dir(&dir).map_err(BlobError::io("flush directory", &dir));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BlobError::NotFound { digest: *digest });
            }
            // Another file system.
            Err(_) => {}
        }
        let mut writer = self.writer_by(digest.algorithm())?;
        io::copy(&mut other.file(digest)?, &mut writer).map_err(BlobError::io("copy", &from))?;
        writer.commit(Some(*digest)).map(drop)
    }

    /// Marks a blob as just used, so that a sweep in progress leaves it. False when it is not here.
    pub fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        let _using = self.using();
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
        let mut digests = Vec::new();
        for algorithm in Algorithm::ALL {
            let dir = self.dir(algorithm.as_str());
            for entry in fs::read_dir(&dir).map_err(BlobError::io("list", &dir))? {
                let entry = entry.map_err(BlobError::io("list", &dir))?;
                let digest = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok());
                // A file that is no blob is not ours to judge.
                digests.extend(digest.filter(|digest| digest.algorithm() == algorithm));
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
            let _using = self.using();
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if is_older(&metadata, unused_for) && self.delete(&digest)? {
                swept.blobs += 1;
                swept.bytes += metadata.len();
            }
        }
        Ok(swept)
    }

    /// Gives a complete file its name, if that is the expected one, and the name it got. Before it has its name, `publish`
    /// may do something with it, or refuse.
    pub(crate) fn adopt(
        &self,
        file: &File,
        path: &Path,
        hasher: Hasher,
        expected: Option<Digest>,
        publish: impl FnOnce(&Digest, &File, &Path) -> Result<(), BlobError>,
    ) -> Result<Digest, BlobError> {
        let mut actual = hasher.finish();
        if let Some(expected) = expected {
            if expected.algorithm() != actual.algorithm() {
                // It was not known before the end by which algorithm the blob would be named.
                let mut hasher = Hasher::new(expected.algorithm());
                let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher));
                copied.map_err(BlobError::io("read", path))?;
                actual = hasher.finish();
            }
            if actual != expected {
                return Err(BlobError::Mismatch { expected, actual });
            }
        }
        file.sync_all().map_err(BlobError::io("flush", path))?;
        publish(&actual, file, path)?;
        let target = self.path(&actual);
        let using = self.using();
        // When two writers bring the same blob, the second rename replaces the first file with equal bytes; a reader
        // that has the first open keeps it.
        fs::rename(path, &target).map_err(BlobError::io("rename to", &target))?;
        drop(using);
        let dir = self.dir(actual.algorithm().as_str());
        durable::sync_dir(&dir).map_err(BlobError::io("flush directory", &dir))?;
        Ok(actual)
    }
}

/// One blob on its way to the disk. Dropped without [`BlobWriter::commit`], it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: Blobs,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    written: u64,
}

impl BlobWriter {
    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The digest of what was written so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// What was written so far, for reading. It stays readable after the commit.
    pub fn reader(&self) -> Result<File, BlobError> {
        File::open(&self.path).map_err(BlobError::io("open", &self.path))
    }

    /// Makes the blob visible under its digest. With `expected`, any other digest is an error and nothing is stored.
    pub fn commit(self, expected: Option<Digest>) -> Result<Digest, BlobError> {
        self.commit_after(expected, |_, _, _| Ok(()))
    }

    pub(crate) fn commit_after(
        self,
        expected: Option<Digest>,
        publish: impl FnOnce(&Digest, &File, &Path) -> Result<(), BlobError>,
    ) -> Result<Digest, BlobError> {
        self.blobs.adopt(&self.file, &self.path, self.hasher.clone(), expected, publish)
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

/// Removes files that were not written to for `age`, if `may_go` agrees to the name; gives their number.
fn remove_older(dir: &Path, age: Duration, may_go: impl Fn(&str) -> bool) -> Result<u64, BlobError> {
    let mut removed = 0;
    for entry in fs::read_dir(dir).map_err(BlobError::io("list", dir))? {
        let entry = entry.map_err(BlobError::io("list", dir))?;
        // Another process may remove the same leftovers.
        let is_old = entry.metadata().is_ok_and(|metadata| is_older(&metadata, age));
        if is_old && entry.file_name().to_str().is_some_and(&may_go) && fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}
