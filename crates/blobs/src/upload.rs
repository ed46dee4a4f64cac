//! Blobs that arrive over several requests, and over a restart.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{BlobError, Blobs, Digest};

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
    Waiting { hasher: Sha256, offset: u64 },
    Writing,
}

/// An upload in the hands of one request. Dropped, it waits for the next request with all its bytes.
#[derive(Debug)]
pub struct Upload {
    blobs: Blobs,
    id: UploadId,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    offset: u64,
    finished: bool,
}

impl Blobs {
    /// Begins an upload of a blob that is not known yet.
    pub fn start_upload(&self) -> Result<UploadId, BlobError> {
        let id = UploadId(Uuid::new_v4());
        let path = self.upload_path(id);
        File::create_new(&path).map_err(BlobError::io("create", &path))?;
        self.uploads().insert(id, Progress::Waiting { hasher: Sha256::new(), offset: 0 });
        Ok(id)
    }

    /// Takes an upload to write at its end. Only one caller has it at a time.
    ///
    /// The first call after a restart reads the bytes that had arrived before.
    pub fn upload(&self, id: UploadId) -> Result<Upload, BlobError> {
        let path = self.upload_path(id);
        let known = match self.uploads().insert(id, Progress::Writing) {
            Some(Progress::Writing) => return Err(BlobError::UploadBusy { upload: id }),
            Some(Progress::Waiting { hasher, offset }) => Some((hasher, offset)),
            None => None,
        };
        let taken = self.take_upload(id, &path, known);
        if taken.is_err() {
            self.uploads().remove(&id);
        }
        taken
    }

    fn take_upload(&self, id: UploadId, path: &PathBuf, known: Option<(Sha256, u64)>) -> Result<Upload, BlobError> {
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::UploadNotFound { upload: id },
            _ => BlobError::io("open", path)(error),
        })?;
        let (hasher, offset) = match known {
            Some(known) => known,
            None => {
                let mut hasher = Sha256::new();
                let offset = io::copy(&mut file, &mut hasher).map_err(BlobError::io("read", path))?;
                (hasher, offset)
            }
        };
        Ok(Upload { blobs: self.clone(), id, path: path.clone(), file, hasher, offset, finished: false })
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

    /// Makes a blob of it. A digest other than `expected` is an error, and ends the upload too.
    pub fn commit(mut self, expected: Digest) -> Result<Digest, BlobError> {
        let actual = Digest::from_hasher(self.hasher.clone());
        self.blobs.adopt(&self.file, &self.path, actual, Some(expected)).inspect_err(|error| {
            self.finished = matches!(error, BlobError::Mismatch { .. });
        })?;
        self.finished = true;
        Ok(actual)
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
            let waiting = Progress::Waiting { hasher: self.hasher.clone(), offset: self.offset };
            self.blobs.uploads().insert(self.id, waiting);
        }
    }
}
