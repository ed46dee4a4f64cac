//! Names of images: one small file each, and all of them in memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use blobs::{Digest, durable};
use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{ImageError, Reference};

/// Where a named image came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A registry, the built-in one included.
    Pulled,
    /// An archive.
    Loaded,
}

/// A named image of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub name: Reference,
    /// Of the manifest or index that the name stands for.
    pub digest: Digest,
    pub origin: Origin,
    /// What its layers take as they travel.
    pub size_bytes: u64,
    /// When the name got this meaning.
    pub stored_at: Timestamp,
    /// When it was last asked for, to the minute.
    pub used_at: Timestamp,
}

/// A name as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// The version of this record's format.
    version: u32,
    name: Reference,
    digest: Digest,
    origin: Origin,
    size_bytes: u64,
    stored_at: Timestamp,
}

#[derive(Debug)]
struct Known {
    record: Record,
    /// Also the file's modification time. It is a hint for those who make room, and not worth a flush.
    used_at: AtomicI64,
}

#[derive(Debug)]
pub(crate) struct References {
    dir: PathBuf,
    known: RwLock<BTreeMap<Reference, Known>>,
    /// Writers take turns, so that memory and disk change in the same order.
    turn: Mutex<()>,
}

const VERSION: u32 = 1;

/// How exact `used_at` is.
const USED_WITHIN: Duration = Duration::from_secs(60);

impl References {
    pub(crate) fn open(dir: PathBuf) -> Result<References, ImageError> {
        durable::create_dir_all(&dir).map_err(ImageError::disk("create directory", &dir))?;
        let mut known = BTreeMap::new();
        let entries = fs::read_dir(&dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(ImageError::disk("list", &dir))? {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(durable::TEMPORARY_PREFIX) {
                fs::remove_file(&path).map_err(ImageError::disk("remove", &path))?;
                continue;
            }
            // A file that is no record is not ours to judge.
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let record = read(&path)?;
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let used_at = modified.map_or(record.stored_at, |at| timestamp(at).max(record.stored_at));
            known.insert(record.name.clone(), Known { record, used_at: AtomicI64::new(used_at.as_millis()) });
        }
        Ok(References { dir, known: RwLock::new(known), turn: Mutex::default() })
    }

    fn known(&self) -> RwLockReadGuard<'_, BTreeMap<Reference, Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Reference, Known>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &Reference) -> PathBuf {
        // A name may be longer than a file's name can be, and has slashes.
        self.dir.join(format!("{}.json", Digest::of(name.to_string().as_bytes()).hex()))
    }

    /// What a name stands for. A name with a digest is also found under another name of its repository with that digest.
    pub(crate) fn find(&self, name: &Reference) -> Option<Stored> {
        let known = self.known();
        if let Some(known) = known.get(name) {
            return Some(known.stored());
        }
        let digest = name.digest()?;
        known
            .values()
            .find(|known| known.record.digest == *digest && known.record.name.same_repository(name))
            .map(Known::stored)
    }

    pub(crate) fn all(&self) -> Vec<Stored> {
        self.known().values().map(Known::stored).collect()
    }

    /// Lets a name stand for an image. When it does already, nothing is written. Blocks on the disk.
    pub(crate) fn put(
        &self,
        name: &Reference,
        digest: Digest,
        origin: Origin,
        size_bytes: u64,
    ) -> Result<(), ImageError> {
        let is_known = |known: &Known| known.record.digest == digest && known.record.origin == origin;
        if self.known().get(name).is_some_and(is_known) {
            self.touch(name);
            return Ok(());
        }
        let stored_at = timestamp(SystemTime::now());
        let record = Record { version: VERSION, name: name.clone(), digest, origin, size_bytes, stored_at };
        let path = self.path(name);
        let bytes = serde_json::to_vec(&record)
            .map_err(|error| ImageError::Record { path: path.clone(), reason: error.to_string() })?;

        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        durable::write(&path, &bytes).map_err(ImageError::disk("write", &path))?;
        self.known_mut().insert(name.clone(), Known { record, used_at: AtomicI64::new(stored_at.as_millis()) });
        Ok(())
    }

    /// Notes that a name was used. Blocks on the disk, at most once a minute.
    pub(crate) fn touch(&self, name: &Reference) {
        let now = SystemTime::now();
        let known = self.known();
        let Some(known) = known.get(name) else { return };
        let before = Timestamp::from_millis(known.used_at.load(Ordering::Relaxed));
        if timestamp(now).since(before) < USED_WITHIN {
            return;
        }
        known.used_at.store(timestamp(now).as_millis(), Ordering::Relaxed);
        // A hint that is lost does no harm.
        let _ = File::open(self.path(name)).and_then(|file| file.set_modified(now));
    }

    /// Forgets a name; false when it was not known. Blocks on the disk.
    pub(crate) fn remove(&self, name: &Reference) -> Result<bool, ImageError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        durable::remove(&path).map_err(ImageError::disk("remove", &path))?;
        Ok(self.known_mut().remove(name).is_some())
    }
}

impl Known {
    fn stored(&self) -> Stored {
        Stored {
            name: self.record.name.clone(),
            digest: self.record.digest,
            origin: self.record.origin,
            size_bytes: self.record.size_bytes,
            stored_at: self.record.stored_at,
            used_at: Timestamp::from_millis(self.used_at.load(Ordering::Relaxed)),
        }
    }
}

fn read(path: &Path) -> Result<Record, ImageError> {
    let wrong = |reason: String| ImageError::Record { path: path.to_owned(), reason };
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let bytes = fs::read(path).map_err(ImageError::disk("read", path))?;
    let Version { version } = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if version != VERSION {
        return Err(wrong(format!("version {version} is not supported")));
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
}

fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
