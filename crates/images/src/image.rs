//! An image that is here, as those who run it see it.

use std::sync::Arc;

use blobs::{BlobError, Blobs, Digest};

use crate::layers::Layers;
use crate::limits::{DOCUMENT_BYTES_MAX, INDEX_DEPTH_MAX};
use crate::manifest::{Descriptor, Document, choose};
use crate::pins::{Pin, Pins};
use crate::{ImageConfig, ImageError, Layer, Platform};

/// An image, complete and unpacked.
///
/// While a value or one of its clones is held, no collection removes the image's layers: hold it until the task that uses
/// them is in [`crate::Keep::images`].
#[derive(Clone, Debug)]
pub struct Image {
    content: Arc<Content>,
    _pin: Arc<Pin>,
}

impl Image {
    /// Digests are pinned first and looked for afterwards, so that nothing that was found can vanish.
    pub(crate) fn new(content: Arc<Content>, pins: &Pins) -> Image {
        let pin = pins.hold(content.needs().collect());
        Image { content, _pin: Arc::new(pin) }
    }

    pub(crate) fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// What the image's name stood for when it was resolved: the digest of its manifest, or of its index when it is for
    /// several platforms. `describe-tasks` shows it as `imageDigest`.
    pub fn digest(&self) -> Digest {
        self.content.digest
    }

    /// The digest of the configuration: what Docker calls the image's id.
    pub fn id(&self) -> Digest {
        self.content.id
    }

    pub fn config(&self) -> &ImageConfig {
        &self.content.config
    }

    /// Lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.content.layers
    }

    pub fn platform(&self) -> &Platform {
        &self.content.platform
    }

    /// What the layers take as they travel.
    pub fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }
}

/// What an image is made of, whether or not all of it is here.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) digest: Digest,
    pub(crate) id: Digest,
    /// Indexes, manifest and configuration.
    documents: Vec<Digest>,
    pub(crate) config: ImageConfig,
    pub(crate) platform: Platform,
    pub(crate) layers: Vec<Layer>,
    /// How each of the layers travels.
    pub(crate) parts: Vec<Part>,
    /// Roughly what this takes in memory.
    pub(crate) weight: usize,
}

/// A layer as it travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) blob: Digest,
    pub(crate) size: u64,
}

impl Content {
    /// Reads what `digest` names for `platform` from blobs that are here. Blocks on the disk.
    pub(crate) fn read(
        blobs: &Blobs,
        layers: &Layers,
        platform: &Platform,
        digest: Digest,
    ) -> Result<Content, ImageError> {
        let mut documents = Vec::new();
        let mut weight = 0;
        let mut next = digest;
        for _ in 0..=INDEX_DEPTH_MAX {
            let bytes = document(blobs, next)?;
            documents.push(next);
            weight += bytes.len();
            match Document::parse(&bytes)? {
                Document::Index(manifests) => next = choose(&manifests, platform)?.digest,
                Document::Manifest(manifest) => {
                    let id = manifest.config.digest;
                    documents.push(id);
                    let bytes = document(blobs, id)?;
                    weight += bytes.len();
                    let (config, diff_ids) = ImageConfig::parse(&bytes)?;
                    check(&config, platform, &manifest.layers, &diff_ids)?;
                    let parts = manifest.layers.iter().map(|layer| Part { blob: layer.digest, size: layer.size });
                    let (layers, parts) = (layers.of(&diff_ids), parts.collect());
                    let platform = config.platform();
                    return Ok(Content { digest, id, documents, config, platform, layers, parts, weight });
                }
            }
        }
        Err(ImageError::Invalid { what: "index", reason: "too many indexes in each other".to_owned() })
    }

    /// Every blob and every layer that the image is made of.
    pub(crate) fn needs(&self) -> impl Iterator<Item = Digest> + '_ {
        let blobs = self.parts.iter().map(|part| part.blob);
        self.documents.iter().copied().chain(blobs).chain(self.layers.iter().map(|layer| layer.chain_id))
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.size))
    }

    #[cfg(test)]
    pub(crate) fn empty(digest: Digest, weight: usize) -> Content {
        let config = ImageConfig::default();
        let platform = config.platform();
        let (documents, layers, parts) = (Vec::new(), Vec::new(), Vec::new());
        Content { digest, id: digest, documents, config, platform, layers, parts, weight }
    }
}

/// Reads a small blob and checks that the disk did not change it.
pub(crate) fn document(blobs: &Blobs, digest: Digest) -> Result<Vec<u8>, ImageError> {
    let bytes = blobs.read(&digest, DOCUMENT_BYTES_MAX).map_err(|error| match error {
        BlobError::TooLarge { .. } => ImageError::Invalid { what: "manifest", reason: error.to_string() },
        other => other.into(),
    })?;
    match digest.of_same_kind(&bytes) {
        actual if actual == digest => Ok(bytes),
        actual => Err(ImageError::DocumentMismatch { what: "manifest", expected: digest, actual }),
    }
}

fn check(
    config: &ImageConfig,
    platform: &Platform,
    layers: &[Descriptor],
    diff_ids: &[Digest],
) -> Result<(), ImageError> {
    // As Docker does, only the operating system is held against an image that has no index: another processor may be emulated.
    if !config.os.is_empty() && config.os != platform.os {
        return Err(ImageError::OperatingSystem { os: config.os.clone() });
    }
    if layers.len() != diff_ids.len() {
        let reason = format!("it has {} layers, and its manifest {}", diff_ids.len(), layers.len());
        return Err(ImageError::Invalid { what: "image configuration", reason });
    }
    Ok(())
}
