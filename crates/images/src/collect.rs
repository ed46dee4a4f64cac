//! Making room: what nobody needs any more is removed, and nothing else.

use std::collections::HashSet;
use std::time::Duration;

use blobs::{BlobError, Digest};

use crate::store::Inner;
use crate::{ImageError, ImageStore};

/// What a collection must not touch, besides what has a name, is held as an [`crate::Image`], or the built-in registry needs.
#[derive(Clone, Debug)]
pub struct Keep {
    /// [`crate::Image::digest`] of the images of all tasks that are or may be running.
    pub images: HashSet<Digest>,
    /// Blobs that were written or used within this time stay: a push or a load may be about to need them.
    pub unused_for: Duration,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { images: HashSet::new(), unused_for: Duration::from_secs(3600) }
    }
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub layers: u64,
    pub blobs: u64,
    /// What the blobs took; the layers' files come on top.
    pub blob_bytes: u64,
}

impl ImageStore {
    /// Removes every layer and blob that nothing needs.
    ///
    /// Pulls and loads go on meanwhile. When it cannot be known what something in `keep` needs, nothing is removed: the error names it.
    pub async fn collect(&self, keep: Keep) -> Result<Collected, ImageError> {
        let _turn = self.inner.collections.lock().await;
        self.on_disk(move |inner| collect(inner, &keep)).await
    }
}

fn collect(inner: &Inner, keep: &Keep) -> Result<Collected, ImageError> {
    // Before anything is marked: whoever lets go of an image later may have named it after the names were read.
    let collecting = inner.pins.collecting();
    let mut needed = HashSet::new();
    for stored in inner.references.all() {
        match inner.content(stored.digest) {
            Ok(content) => needed.extend(content.needs()),
            // Somebody deleted its blobs. It cannot run before it is pulled again, which brings its layers too.
            Err(ImageError::Blobs(BlobError::NotFound { digest })) => {
                tracing::warn!(name = %stored.name, %digest, "a named image is not complete");
            }
            Err(error) => return Err(error),
        }
    }
    for digest in &keep.images {
        match inner.content(*digest) {
            Ok(content) => needed.extend(content.needs()),
            Err(ImageError::Blobs(BlobError::NotFound { .. })) => {
                return Err(ImageError::NotHere { name: digest.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(local) = &inner.options.local {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| ImageError::Local { reason: error.to_string() };
        local.prune(keep.unused_for).map_err(failed)?;
        needed.extend(local.needed_blobs().map_err(failed)?);
    }
    let layers = inner.layers.sweep(|chain_id, remove| {
        if needed.contains(chain_id) {
            return Ok(false);
        }
        collecting.unless_held(chain_id, remove)
    })?;
    needed.extend(collecting.held());
    inner.cache.keep(&needed);
    let swept = inner.blobs().sweep(&needed, keep.unused_for)?;
    Ok(Collected { layers, blobs: swept.blobs, blob_bytes: swept.bytes })
}
