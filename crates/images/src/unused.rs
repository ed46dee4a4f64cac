//! Which names a node may forget, and in which order.

use std::collections::HashSet;
use std::time::Duration;

use blobs::{Digest, DiskUse};
use stdx::Timestamp;

use crate::{ImageError, ImageStore, Origin, Stored};

impl ImageStore {
    /// The images that were pulled at least `minimum_age` ago and that no task has, the one used longest ago first.
    ///
    /// What was loaded from an archive is not among them: nobody could bring it back. As in Amazon ECS, where images that the agent
    /// did not pull are left alone.
    pub fn unused(&self, in_use: &HashSet<Digest>, minimum_age: Duration, now: Timestamp) -> Vec<Stored> {
        let held = self.inner.pins.held();
        let mut unused = self.list();
        unused.retain(|stored| {
            stored.origin == Origin::Pulled
                && now.since(stored.stored_at) >= minimum_age
                && !in_use.contains(&stored.digest)
                && !held.contains(&stored.digest)
        });
        unused.sort_by(|a, b| (a.used_at, &a.name).cmp(&(b.used_at, &b.name)));
        unused
    }

    /// How full the disk is that has the unpacked layers.
    pub async fn disk_use(&self) -> Result<DiskUse, ImageError> {
        self.on_disk(|inner| {
            let dir = &inner.options.dir;
            DiskUse::of(dir).map_err(ImageError::disk("look at the disk of", dir))
        })
        .await
    }
}
