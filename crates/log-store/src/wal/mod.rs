//! The write-ahead log: every event lies here first, of whatever group, so that a turn of the writer costs one `fdatasync`.
//!
//! It is a few files `wal/<number>.wal`, each a row of batches. The newest is written to; the others are full, or of an
//! earlier process, and wait to be sealed into segments. A file whose number the manifest has passed is done with.

pub(crate) mod record;
mod recover;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::directory::{remove, sync_directory};
use crate::error::StoreError;
use crate::frame::{self, MAGIC_BYTES};
use record::Record;

pub(crate) use recover::{count, recover};

pub(crate) const WAL_MAGIC: &[u8; MAGIC_BYTES] = b"BRTHWAL1";

/// One file. It stays readable for whoever holds it, though it may be removed already.
pub(crate) struct WalFile {
    pub(crate) number: u64,
    path: PathBuf,
    file: File,
}

impl WalFile {
    /// Makes a new one, durably.
    pub(crate) fn create(directory: &Path, number: u64) -> Result<WalFile, StoreError> {
        let path = wal_path(directory, number);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = open.map_err(StoreError::io("create", &path))?;
        file.write_all(WAL_MAGIC).and_then(|()| file.sync_all()).map_err(StoreError::io("create", &path))?;
        sync_directory(directory)?;
        Ok(WalFile { number, path, file })
    }

    fn open(directory: &Path, number: u64) -> Result<WalFile, StoreError> {
        let path = wal_path(directory, number);
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        Ok(WalFile { number, path, file })
    }

    /// Writes at the end, which is at `length`, and makes it durable. After an error nothing of it is there, unless
    /// nobody can know: then the error is [`StoreError::Broken`].
    pub(crate) fn append(&self, length: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if let Err(error) = self.file.write_all_at(bytes, length) {
            // Cut off what was written, so that space comes back and the next append starts on clean ground.
            if self.file.set_len(length).is_err() {
                return Err(StoreError::Broken { path: self.path.clone() });
            }
            return Err(StoreError::io("write", &self.path)(error));
        }
        failpoint::place("logs.write");
        if let Err(error) = self.file.sync_data() {
            // After a failed fsync nobody knows what is on the disk; only reading it anew can tell.
            tracing::error!(file = %self.path.display(), %error, "failed to make logs durable");
            return Err(StoreError::Broken { path: self.path.clone() });
        }
        failpoint::place("logs.written");
        Ok(())
    }

    /// The payload of one batch, without its group.
    pub(crate) fn read(&self, record: &Record) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; record.length as usize];
        self.file.read_exact_at(&mut bytes, record.offset.into()).map_err(StoreError::io("read", &self.path))?;
        let batch = frame::only(&bytes).and_then(|payload| record::split_group(payload).ok());
        let (_, batch) = batch.ok_or_else(|| self.damaged(record.offset.into(), "a batch fails its checksum"))?;
        Ok(batch.to_vec())
    }

    /// All of it. It is bounded, so this is too.
    pub(crate) fn read_all(&self) -> Result<Vec<u8>, StoreError> {
        let error = || StoreError::io("read", &self.path);
        let mut bytes = vec![0; self.file.metadata().map_err(error())?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0).map_err(error())?;
        Ok(bytes)
    }

    pub(crate) fn damaged(&self, offset: u64, what: &'static str) -> StoreError {
        StoreError::damaged(&self.path, offset, what)
    }

    pub(crate) fn remove(&self) -> Result<(), StoreError> {
        remove(&self.path)
    }
}

pub(crate) fn wal_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.wal"))
}

/// The numbers of the files that are there, in order.
fn numbers(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let entries = fs::read_dir(directory).map_err(StoreError::io("list", directory))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("list", directory))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".wal")?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What one group has in one file.
pub(crate) struct WalPart {
    pub(crate) file: Arc<WalFile>,
    pub(crate) records: Vec<Record>,
}
