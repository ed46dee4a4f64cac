//! Blobs that arrive over several requests, and over a restart.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{Algorithm, BlobError, Blobs, Digest, Hasher};

/// How long a request may take to let go of an upload that a later one wants: what it has in hand is written first.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);

/// The name of an upload, hard to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

impl FromStr for UploadId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<UploadId, uuid::Error> {
        Uuid::try_parse(text).map(UploadId)
    }
}

/// What is remembered of an upload between requests. An upload that is not in memory is read again from the disk.
#[derive(Debug)]
pub(crate) enum Progress {
    Waiting {
        hasher: Box<Hasher>,
        offset: u64,
    },
    /// Rung when a later request wants the upload.
    Writing {
        wanted: Arc<Notify>,
    },
}

/// An upload in the hands of one request. Dropped, it waits for the next request with all its bytes.
#[derive(Debug)]
pub struct Upload {
    blobs: Blobs,
    id: UploadId,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    offset: u64,
    wanted: Arc<Notify>,
    finished: bool,
}

impl Blobs {
    /// Begins an upload of a blob that is not known yet.
    pub fn start_upload(&self) -> Result<UploadId, BlobError> {
        let id = UploadId(Uuid::new_v4());
        let path = self.upload_path(id);
        File::create_new(&path).map_err(BlobError::io("create", &path))?;
        self.uploads().insert(id, Progress::Waiting { hasher: Box::new(new_hasher()), offset: 0 });
        Ok(id)
    }

    /// Takes an upload to write at its end. Only one caller has it at a time.
    ///
    /// The first call after a restart reads the bytes that had arrived before.
    pub fn upload(&self, id: UploadId) -> Result<Upload, BlobError> {
        let path = self.upload_path(id);
        let wanted = Arc::new(Notify::new());
        let mut uploads = self.uploads();
        let known = match uploads.insert(id, Progress::Writing { wanted: Arc::clone(&wanted) }) {
            Some(writing @ Progress::Writing { .. }) => {
                uploads.insert(id, writing);
                return Err(BlobError::UploadBusy { upload: id });
            }
            Some(Progress::Waiting { hasher, offset }) => Some((*hasher, offset)),
            None => None,
        };
        drop(uploads);
        let taken = self.take_upload(id, &path, known, wanted);
        if taken.is_err() {
            self.uploads().remove(&id);
            self.inner.let_go.notify_waiters();
        }
        taken
    }

    /// Like [`Blobs::upload`], but a request that holds the upload is asked to let it go.
    ///
    /// A client whose connection broke continues on a new one, often before this side has noticed. So the later request is
    /// the one that counts.
    pub async fn take_over_upload(&self, id: UploadId) -> Result<Upload, BlobError> {
        let deadline = tokio::time::Instant::now() + LET_GO_WITHIN;
        loop {
            let let_go = self.inner.let_go.notified();
            tokio::pin!(let_go);
            // From here on no ring is missed.
            let_go.as_mut().enable();
            let blobs = self.clone();
            let taken = tokio::task::spawn_blocking(move || blobs.upload(id)).await;
            match taken.map_err(|_| BlobError::UploadBusy { upload: id })? {
                Err(BlobError::UploadBusy { .. }) => {}
                other => return other,
            }
            if let Some(Progress::Writing { wanted }) = self.uploads().get(&id) {
                wanted.notify_one();
            }
            if tokio::time::timeout_at(deadline, let_go).await.is_err() {
                return Err(BlobError::UploadBusy { upload: id });
            }
        }
    }

    /// Forgets what is in memory of an upload whose file is about to go. False while somebody writes to it.
    pub(crate) fn forget_upload(&self, name: &str) -> bool {
        let Ok(id) = name.parse() else { return true };
        let mut uploads = self.uploads();
        if matches!(uploads.get(&id), Some(Progress::Writing { .. })) {
            return false;
        }
        uploads.remove(&id);
        true
    }

    fn take_upload(
        &self,
        id: UploadId,
        path: &PathBuf,
        known: Option<(Hasher, u64)>,
        wanted: Arc<Notify>,
    ) -> Result<Upload, BlobError> {
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::UploadNotFound { upload: id },
            _ => BlobError::io("open", path)(error),
        })?;
        let (hasher, offset) = match known {
            Some(known) => known,
            None => {
                let mut hasher = new_hasher();
                let offset = io::copy(&mut file, &mut hasher).map_err(BlobError::io("read", path))?;
                (hasher, offset)
            }
        };
        Ok(Upload { blobs: self.clone(), id, path: path.clone(), file, hasher, offset, wanted, finished: false })
    }

    /// How many bytes of an upload have arrived.
    pub fn upload_offset(&self, id: UploadId) -> Result<u64, BlobError> {
        if let Some(Progress::Waiting { offset, .. }) = self.uploads().get(&id) {
            return Ok(*offset);
        }
        let path = self.upload_path(id);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::UploadNotFound { upload: id }),
            Err(error) => Err(BlobError::io("look at", &path)(error)),
        }
    }

    /// How many uploads have begun and not ended, as far as anybody continued them since a restart.
    pub fn uploads_under_way(&self) -> usize {
        self.uploads().len()
    }

    fn upload_path(&self, id: UploadId) -> PathBuf {
        self.dir("uploads").join(id.to_string())
    }

    fn uploads(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<UploadId, Progress>> {
        // The map is whole after every statement that touches it, so a panic elsewhere does not spoil it.
        self.inner.uploads.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Upload {
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Bytes that have arrived so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Rings when a later request wants the upload; whoever writes should then stop and drop it.
    pub fn wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.wanted)
    }

    /// Makes a blob of it. A digest other than `expected` is an error, and ends the upload too.
    pub fn commit(self, expected: Digest) -> Result<Digest, BlobError> {
        self.commit_after(expected, |_, _, _| Ok(()))
    }

    pub(crate) fn commit_after(
        mut self,
        expected: Digest,
        publish: impl FnOnce(&Digest, &File, &Path) -> Result<(), BlobError>,
    ) -> Result<Digest, BlobError> {
        let adopted = self.blobs.adopt(&self.file, &self.path, self.hasher.clone(), Some(expected), publish);
        self.finished = matches!(adopted, Ok(_) | Err(BlobError::Mismatch { .. }));
        adopted
    }

    /// Gives it up and forgets its bytes.
    pub fn cancel(mut self) {
        self.finished = true;
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.offset += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished {
            let _ = fs::remove_file(&self.path);
            self.blobs.uploads().remove(&self.id);
        } else {
            let waiting = Progress::Waiting { hasher: Box::new(self.hasher.clone()), offset: self.offset };
            self.blobs.uploads().insert(self.id, waiting);
        }
        self.blobs.inner.let_go.notify_waiters();
    }
}

/// Of the algorithm that nearly every blob will be named by.
fn new_hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}
