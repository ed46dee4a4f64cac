//! What the registry needs to know of a manifest: what it is, and what it needs.

use blobs::Digest;
use serde::Deserialize;

use crate::RegistryError;
use crate::limits::{DESCRIPTORS_MAX, MANIFEST_BYTES_MAX};

/// The manifests the registry keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    OciManifest,
    OciIndex,
    DockerManifest,
    DockerList,
}

impl MediaType {
    pub const fn as_str(self) -> &'static str {
        match self {
            MediaType::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            MediaType::OciIndex => "application/vnd.oci.image.index.v1+json",
            MediaType::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            MediaType::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    pub fn parse(text: &str) -> Option<MediaType> {
        [MediaType::OciManifest, MediaType::OciIndex, MediaType::DockerManifest, MediaType::DockerList]
            .into_iter()
            .find(|media_type| media_type.as_str() == text)
    }

    pub const fn is_index(self) -> bool {
        matches!(self, MediaType::OciIndex | MediaType::DockerList)
    }
}

/// A manifest that was read and found sound.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub media_type: MediaType,
    /// What it is, when it is no container image: the `artifactType`, else the config's media type.
    pub artifact_type: Option<String>,
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Config and layers, which must be blobs of the repository. Of an index, what it lists besides manifests: build caches
    /// are indexes of layers.
    pub blobs: Vec<Digest>,
    /// An index's manifests, which must be manifests of the repository.
    pub manifests: Vec<Digest>,
    /// The manifest this one is about.
    pub subject: Option<Digest>,
    /// What the layers and the config take together, in bytes, as they travel.
    pub content_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: Digest,
    size: u64,
    #[serde(default)]
    urls: Vec<String>,
}

impl Descriptor {
    fn is_manifest(&self) -> bool {
        self.media_type.as_deref().is_none_or(|text| MediaType::parse(text).is_some())
    }

    /// Some layers lie elsewhere by licence, and are never pushed.
    fn lies_elsewhere(&self) -> bool {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        !self.urls.is_empty() || media_type.contains(".nondistributable.") || media_type.contains(".foreign.")
    }
}

impl Manifest {
    /// Reads a manifest that was sent with `content_type`.
    pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Manifest, RegistryError> {
        let invalid = |reason: String| RegistryError::ManifestInvalid { reason };
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(RegistryError::TooLarge { limit: MANIFEST_BYTES_MAX as u64 });
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if document.schema_version != 2 {
            return Err(invalid(format!("schema version {} is not supported", document.schema_version)));
        }
        let named = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
        let media_type = match (named, document.media_type.as_deref()) {
            (Some(named), Some(inside)) if named != inside => {
                return Err(invalid(format!("it says it is '{inside}' and was sent as '{named}'")));
            }
            (Some(text), _) | (None, Some(text)) => {
                MediaType::parse(text).ok_or_else(|| invalid(format!("media type '{text}' is not supported")))?
            }
            (None, None) => return Err(invalid("it has no media type".to_owned())),
        };
        if document.layers.len() + document.manifests.len() > DESCRIPTORS_MAX {
            return Err(invalid(format!("it lists more than {DESCRIPTORS_MAX} parts")));
        }
        let subject = document.subject.as_ref().map(|subject| subject.digest);
        if media_type.is_index() {
            let (manifests, others): (Vec<_>, Vec<_>) = document.manifests.iter().partition(|part| part.is_manifest());
            return Ok(Manifest {
                media_type,
                artifact_type: document.artifact_type,
                annotations: document.annotations,
                blobs: others.into_iter().filter(|part| !part.lies_elsewhere()).map(|part| part.digest).collect(),
                manifests: manifests.into_iter().map(|manifest| manifest.digest).collect(),
                subject,
                content_size: 0,
            });
        }
        let config = document.config.ok_or_else(|| invalid("it has no config".to_owned()))?;
        let parts = || std::iter::once(&config).chain(&document.layers);
        Ok(Manifest {
            media_type,
            blobs: parts().filter(|part| !part.lies_elsewhere()).map(|part| part.digest).collect(),
            content_size: parts().fold(0, |sum, part| sum.saturating_add(part.size)),
            artifact_type: document.artifact_type.or(config.media_type),
            annotations: document.annotations,
            manifests: Vec::new(),
            subject,
        })
    }
}
