//! Manifests and indexes, as far as running an image needs them.

use std::collections::BTreeMap;

use blobs::Digest;
use serde::{Deserialize, Serialize};

use crate::limits::LAYERS_MAX;
use crate::{ImageError, Platform};

/// One part that a manifest or index lists.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing)]
    pub(crate) platform: Option<Platform>,
}

/// An image manifest: Docker's and OCI's have the same shape.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    /// Lowest first.
    pub(crate) layers: Vec<Descriptor>,
}

pub(crate) enum Document {
    Manifest(Manifest),
    Index(Vec<Descriptor>),
}

/// What registries are asked for, in the order of preference.
pub(crate) const ACCEPT: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u32,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads either; what it lists tells which it is.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Document, ImageError> {
        let invalid = |reason: String| ImageError::Invalid { what: "manifest", reason };
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if raw.schema_version != 2 {
            return Err(invalid(format!("schema version {} is not supported", raw.schema_version)));
        }
        match (raw.config, raw.layers, raw.manifests) {
            (Some(config), layers, None) => {
                let layers = layers.unwrap_or_default();
                if layers.len() > LAYERS_MAX {
                    return Err(invalid("max depth exceeded".to_owned()));
                }
                Ok(Document::Manifest(Manifest { config, layers }))
            }
            (None, None, Some(manifests)) => Ok(Document::Index(manifests)),
            _ => Err(invalid("it is neither a manifest nor an index".to_owned())),
        }
    }
}

/// The entry of an index that runs on `platform`. An entry that names no platform runs anywhere.
pub(crate) fn choose<'a>(manifests: &'a [Descriptor], platform: &Platform) -> Result<&'a Descriptor, ImageError> {
    let fits = |descriptor: &&Descriptor| descriptor.platform.as_ref().is_some_and(|offered| platform.accepts(offered));
    let unnamed = |descriptor: &&Descriptor| descriptor.platform.is_none();
    manifests
        .iter()
        .find(fits)
        .or_else(|| manifests.iter().find(unnamed))
        .ok_or_else(|| ImageError::NoPlatform { platform: platform.clone() })
}
