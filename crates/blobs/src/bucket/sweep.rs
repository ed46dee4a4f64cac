//! Deleting what nobody needs, while other servers go on.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Bucket, blob, doomed, used};
use crate::store::Swept;
use crate::{BlobError, Digest};

/// The mark of a sweep that is this old belongs to a server that died over it.
const DEAD_AFTER: Duration = Duration::from_secs(3600);

impl Bucket {
    /// Deletes every blob that is not in `needed`, and was neither written nor used for `unused_for`.
    pub(crate) fn sweep(&self, needed: &HashSet<Digest>, unused_for: Duration) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        for (digest, meta) in self.list()? {
            if needed.contains(&digest) || !is_older(meta.last_modified.into(), unused_for) {
                continue;
            }
            if self.used_within(&digest, unused_for)? || !self.doom(&digest)? {
                continue;
            }
            if let Some(bytes) = self.take(&digest, unused_for)? {
                swept.blobs += 1;
                swept.bytes += bytes;
            }
            failpoint::place("blobs.bucket.swept");
            self.remove(&doomed(&digest))?;
        }
        Ok(swept)
    }

    fn used_within(&self, digest: &Digest, age: Duration) -> Result<bool, BlobError> {
        let used = self.head(&used(digest))?;
        Ok(used.is_some_and(|meta| !is_older(meta.last_modified.into(), age)))
    }

    /// Says that a blob is about to go. False when another server said so and is at it.
    fn doom(&self, digest: &Digest) -> Result<bool, BlobError> {
        let name = doomed(digest);
        if let Some(meta) = self.head(&name)?
            && !is_older(meta.last_modified.into(), DEAD_AFTER)
        {
            return Ok(false);
        }
        self.put(&name, Bytes::new())?;
        Ok(true)
    }

    /// Deletes a blob that is doomed, unless somebody used or wrote it meanwhile; gives its length.
    fn take(&self, digest: &Digest, unused_for: Duration) -> Result<Option<u64>, BlobError> {
        let Some(meta) = self.head(&blob(digest))? else { return Ok(None) };
        if !is_older(meta.last_modified.into(), unused_for) || self.used_within(digest, unused_for)? {
            return Ok(None);
        }
        self.known().remove(digest);
        self.remove(&blob(digest))?;
        self.remove(&used(digest))?;
        Ok(Some(meta.size))
    }
}

/// By the store's clock, as far as ours agrees: a server whose clock is wrong by more than an hour would sweep too early.
fn is_older(written: SystemTime, age: Duration) -> bool {
    age.is_zero() || written.elapsed().is_ok_and(|elapsed| elapsed >= age)
}
