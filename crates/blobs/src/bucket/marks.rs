//! Who relies on a blob says so, and looks whether somebody deletes it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Bucket, Known, blob, doomed, used};
use crate::{BlobError, Digest};

/// How long a note that a blob is used stands for further uses. Far below any age at which a sweep takes blobs.
pub(super) const NOTE_EVERY: Duration = Duration::from_secs(600);

/// How long somebody waits for a sweep to make up its mind.
const DOOMED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many blobs a process remembers.
const KNOWN_MAX: usize = 100_000;

impl Bucket {
    /// What this process noted lately, which no sweep anywhere overrules.
    pub(super) fn fresh(&self, digest: &Digest) -> Option<Known> {
        self.known().get(digest).filter(|known| known.noted.elapsed() < NOTE_EVERY).copied()
    }

    /// Notes that a blob is used, so that no sweep takes it. False when it is not here.
    pub(crate) fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        if self.fresh(digest).is_some() {
            return Ok(true);
        }
        let noted = Instant::now();
        if self.head(&blob(digest))?.is_none() {
            return Ok(false);
        }
        self.put(&used(digest), Bytes::new())?;
        self.outlast(digest)?;
        // Whatever a sweep had begun before the note is over, and none that begins later takes it.
        let Some(meta) = self.head(&blob(digest))? else {
            // The note is about nothing.
            self.remove(&used(digest))?;
            return Ok(false);
        };
        self.remember(digest, Known { size: meta.size, noted });
        Ok(true)
    }

    /// Waits until no sweep is about to delete a blob.
    pub(super) fn outlast(&self, digest: &Digest) -> Result<(), BlobError> {
        let deadline = Instant::now() + DOOMED_WITHIN;
        while self.head(&doomed(digest))?.is_some() {
            if Instant::now() >= deadline {
                return Err(BlobError::Doomed { digest: *digest });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    pub(super) fn remember(&self, digest: &Digest, found: Known) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, known| known.noted.elapsed() < NOTE_EVERY);
        }
        if known.len() < KNOWN_MAX {
            known.insert(*digest, found);
        }
    }
}
