//! The layers of one image: brought, checked and unpacked, several at once.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use blobs::{BlobError, Digest, Hasher};
use futures::{StreamExt, TryStreamExt, stream};

use crate::image::{Content, Image, Part};
use crate::layers::Unpacked;
use crate::limits::DOWNLOADS_AT_ONCE;
use crate::remote::Session;
use crate::{ImageError, ImageStore, Layer, Missing, OnProgress, Progress, Reference};

/// Where layers come from that are not here.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// From nowhere.
    Disk,
    Remote(&'a Session),
    /// From wherever the built-in registry has them, which shares the blobs.
    Local(&'a Reference),
}

impl ImageStore {
    /// Makes sure that every layer is unpacked. Their blobs are here, or come from `source`.
    pub(crate) async fn ready(
        &self,
        content: Arc<Content>,
        source: Source<'_>,
        on_progress: OnProgress<'_>,
    ) -> Result<Image, ImageError> {
        let image = Image::new(Arc::clone(&content), &self.inner.pins);
        let looked = Arc::clone(&content);
        let missing = self.on_disk(move |inner| {
            let layers = looked.layers.iter().enumerate();
            Ok(layers.filter(|(_, layer)| !inner.layers.has(layer)).map(|(index, _)| index).collect::<Vec<_>>())
        });
        let missing = missing.await?;
        let tracker = Tracker::new(&content, &missing, on_progress);
        if missing.is_empty() {
            tracker.tell();
            return Ok(image);
        }
        let result = self.bring_layers(&content, missing, source, &tracker).await;
        if result.is_err() {
            // Whatever was wrong is looked at afresh next time.
            self.inner.cache.forget(&content.digest);
        }
        result.map(|()| image)
    }

    async fn bring_layers(
        &self,
        content: &Content,
        missing: Vec<usize>,
        source: Source<'_>,
        tracker: &Tracker<'_>,
    ) -> Result<(), ImageError> {
        let mut work = Vec::new();
        for index in missing {
            work.push(self.bring_layer(content, index, source, tracker));
        }
        let done: Vec<Option<usize>> = stream::iter(work).buffer_unordered(DOWNLOADS_AT_ONCE).try_collect().await?;
        // Some layers can only be unpacked over those below them. Lowest first, each finds them here.
        let later: BTreeSet<usize> = done.into_iter().flatten().collect();
        for index in later {
            self.unpack(content, index, Some(&content.layers[..index]), tracker).await?;
        }
        self.inner.layers.settle();
        Ok(())
    }

    /// Brings one layer and unpacks it; gives its index back when it needs those below it.
    async fn bring_layer(
        &self,
        content: &Content,
        index: usize,
        source: Source<'_>,
        tracker: &Tracker<'_>,
    ) -> Result<Option<usize>, ImageError> {
        let part = content.parts[index];
        let was_here = self.bring_blob(part, source, &|bytes| tracker.bytes(index, bytes)).await?;
        tracker.bytes(index, part.size);
        let below = (index == 0).then_some(&content.layers[..0]);
        let mut result = self.unpack(content, index, below, tracker).await;
        if was_here
            && let Source::Remote(session) = source
            && matches!(result, Err(ImageError::LayerInvalid { .. } | ImageError::LayerMismatch { .. }))
            && self.is_spoiled(part.blob).await?
        {
            tracing::warn!(blob = %part.blob, "the disk changed a layer; it is brought again");
            session.blob(self.inner.blobs(), part.blob, part.size, &|bytes| tracker.bytes(index, bytes)).await?;
            result = self.unpack(content, index, below, tracker).await;
        }
        result
    }

    async fn unpack(
        &self,
        content: &Content,
        index: usize,
        below: Option<&[Layer]>,
        tracker: &Tracker<'_>,
    ) -> Result<Option<usize>, ImageError> {
        let below = below.map(|layers| layers.iter().map(|layer| layer.dir.clone()).collect());
        let (layer, blob) = (&content.layers[index], content.parts[index].blob);
        match self.inner.layers.unpack(self.inner.blobs(), blob, layer, below).await? {
            Unpacked::Done => {
                tracker.layer_done();
                Ok(None)
            }
            Unpacked::NeedsLower => Ok(Some(index)),
        }
    }

    /// Makes sure that a layer's blob is here; true when it was before.
    async fn bring_blob(
        &self,
        part: Part,
        source: Source<'_>,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<bool, ImageError> {
        // Used, not only looked at: a sweep in progress leaves it.
        let keep = || self.on_disk(move |inner| Ok(inner.blobs().keep(&part.blob)?));
        if keep().await? {
            return Ok(true);
        }
        let missing = BlobError::NotFound { digest: part.blob };
        if let Source::Disk = source {
            return Err(missing.into());
        }
        let _turn = self.inner.downloads.turn(part.blob).await;
        if keep().await? {
            return Ok(true);
        }
        match source {
            Source::Remote(session) => session.blob(self.inner.blobs(), part.blob, part.size, on_bytes).await?,
            Source::Local(name) => self.bring_local(name, Missing::Part(part.blob)).await?,
            Source::Disk => {}
        }
        // What the built-in registry brought is here, if it had anywhere to bring it from.
        if keep().await? { Ok(false) } else { Err(missing.into()) }
    }

    /// Whether the bytes of a blob are no longer those that its name says.
    async fn is_spoiled(&self, blob: Digest) -> Result<bool, ImageError> {
        self.on_disk(move |inner| {
            let path = inner.blobs().path(&blob);
            let mut hasher = Hasher::new(blob.algorithm());
            io::copy(&mut inner.blobs().file(&blob)?, &mut hasher).map_err(ImageError::disk("read", &path))?;
            Ok(hasher.finish() != blob)
        })
        .await
    }
}

/// Adds up what the layers of one pull report.
struct Tracker<'a> {
    on_progress: OnProgress<'a>,
    total: Progress,
    layers_done: AtomicUsize,
    bytes: Vec<AtomicU64>,
}

impl<'a> Tracker<'a> {
    fn new(content: &Content, missing: &[usize], on_progress: OnProgress<'a>) -> Tracker<'a> {
        let total = Progress { layers: content.parts.len(), bytes: content.size_bytes(), ..Progress::default() };
        let bytes: Vec<_> = content.parts.iter().map(|part| AtomicU64::new(part.size)).collect();
        for index in missing {
            bytes[*index].store(0, Ordering::Relaxed);
        }
        Tracker { on_progress, total, layers_done: AtomicUsize::new(total.layers - missing.len()), bytes }
    }

    fn bytes(&self, index: usize, here: u64) {
        self.bytes[index].store(here, Ordering::Relaxed);
        self.tell();
    }

    fn layer_done(&self) {
        self.layers_done.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        (self.on_progress)(Progress {
            layers_done: self.layers_done.load(Ordering::Relaxed),
            bytes_done: self.bytes.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum(),
            ..self.total
        });
    }
}
