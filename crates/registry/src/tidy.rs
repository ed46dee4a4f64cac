//! A registry that makes room by itself.

use std::sync::Arc;
use std::time::Duration;

use blobs::DiskUse;

use crate::limits::{COLLECT_EVERY, DISK_EVERY, FULL_PERCENT, UNUSED_FOR};
use crate::{Collected, Registry, RegistryError};

impl Registry {
    /// Collects for as long as it is awaited: every hour, and more often while the disk is nearly full. For a registry
    /// whose blobs are its own.
    pub async fn keep_tidy(self: Arc<Registry>) {
        let mut next = tokio::time::Instant::now() + COLLECT_EVERY;
        loop {
            let is_due = tokio::time::timeout_at(next, tokio::time::sleep(DISK_EVERY)).await.is_err();
            if is_due {
                next += COLLECT_EVERY;
            }
            let registry = Arc::clone(&self);
            let done = tokio::task::spawn_blocking(move || registry.tidy(is_due, UNUSED_FOR)).await;
            if let Ok(Err(error)) = done {
                tracing::error!(error = &error as &dyn std::error::Error, "the registry cannot make room");
            }
        }
    }

    fn tidy(&self, is_due: bool, unused_for: Duration) -> Result<Collected, RegistryError> {
        let disk = DiskUse::of(self.root()).map_err(RegistryError::io("look at the disk of", self.root()))?;
        // In an object store, it is not the disk that fills up.
        if !is_due && (self.is_shared() || disk.percent() < FULL_PERCENT) {
            return Ok(Collected::default());
        }
        let collected = self.collect(unused_for)?;
        if collected != Collected::default() {
            let Collected { forgotten, abandoned, blobs, blob_bytes } = collected;
            tracing::info!(forgotten, abandoned, blobs, blob_bytes, "the registry removed what no manifest needs");
        }
        Ok(collected)
    }
}
