//! Images from archives: what `docker save` writes, and OCI layouts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use blobs::{Blobs, Digest, durable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::archive::{Archive, Form, Wanted, invalid};
use crate::image::Image;
use crate::limits::{ARCHIVE_IMAGES_MAX, INDEX_DEPTH_MAX};
use crate::manifest::{Descriptor, Document, Manifest, choose};
use crate::ready::Source;
use crate::references::Origin;
use crate::store::Inner;
use crate::{ImageConfig, ImageError, ImageStore, Platform, Reference};

/// What an archive had for this platform.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The names that now stand for its images, sorted. Empty when the archive names none.
    pub names: Vec<Reference>,
    /// Each once. One without a name is gone with the first collection after the value is dropped.
    pub images: Vec<Image>,
}

/// An image whose parts are blobs by now.
struct Imported {
    digest: Digest,
    names: BTreeSet<Reference>,
}

/// One image of `manifest.json`. Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

impl ImageStore {
    /// Loads the images of an archive: a tar as `docker save` writes it, or an OCI layout as a tar or a folder. Tars may be gzipped or
    /// zstd-compressed.
    ///
    /// Loading the same again reads the archive and changes nothing. Names are taken only when all images are complete.
    pub async fn load(&self, path: &Path) -> Result<Loaded, ImageError> {
        let path = path.to_owned();
        let imported =
            self.on_disk(move |inner| import(inner, &Archive::open(&path, inner.options.unpacked_bytes_max)?));
        self.take_in(imported.await?).await
    }

    /// Loads the images of an archive that arrives as a stream, which is kept aside first.
    pub async fn load_from(&self, mut source: impl Read + Send + 'static) -> Result<Loaded, ImageError> {
        let imported = self.on_disk(move |inner| {
            let path = inner.options.dir.join(format!("{}{}", durable::TEMPORARY_PREFIX, Uuid::new_v4().simple()));
            let disk = |action| ImageError::disk(action, &path);
            let file = File::options().read(true).write(true).create_new(true).open(&path);
            let mut file = file.map_err(disk("create"))?;
            // Without a name it cannot be left behind.
            fs::remove_file(&path).map_err(disk("remove"))?;
            std::io::copy(&mut source, &mut file).map_err(disk("write"))?;
            import(inner, &Archive::of_tar(file, inner.options.unpacked_bytes_max)?)
        });
        self.take_in(imported.await?).await
    }

    async fn take_in(&self, imported: Vec<Imported>) -> Result<Loaded, ImageError> {
        let mut images = BTreeMap::new();
        for Imported { digest, .. } in &imported {
            let digest = *digest;
            let content = self.on_disk(move |inner| inner.content(digest)).await?;
            images.insert(digest, self.ready(content, Source::Disk, &|_| {}).await?);
        }
        let sizes: BTreeMap<Digest, u64> = images.iter().map(|(digest, image)| (*digest, image.size_bytes())).collect();
        let names = self.on_disk(move |inner| {
            let mut names = BTreeSet::new();
            for image in imported {
                let size = sizes.get(&image.digest).copied().unwrap_or_default();
                for name in image.names {
                    inner.references.put(&name, image.digest, Origin::Loaded, size)?;
                    names.insert(name);
                }
            }
            Ok(names)
        });
        Ok(Loaded { names: names.await?.into_iter().collect(), images: images.into_values().collect() })
    }
}

/// Makes blobs of an archive's images.
fn import(inner: &Inner, archive: &Archive) -> Result<Vec<Imported>, ImageError> {
    let mut parts = Parts::default();
    let docker = match archive.document("manifest.json")? {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?,
        None => Vec::new(),
    };
    let (mut imported, builds) = match archive.document("index.json")? {
        Some(index) => (oci_images(archive, &index, &docker, &inner.options.platform, &mut parts)?, Vec::new()),
        None if docker.is_empty() => {
            return Err(invalid(
                "it has neither an index.json, as an OCI layout, nor a manifest.json, as docker save writes it",
            ));
        }
        None => {
            (Vec::new(), docker.iter().map(|image| docker_image(archive, image, &mut parts)).collect::<Result<_, _>>()?)
        }
    };
    if imported.len() + builds.len() > ARCHIVE_IMAGES_MAX {
        return Err(invalid("too many images"));
    }
    let blobs = inner.blobs();
    archive.import(blobs, parts.wanted, inner.options.unpacked_bytes_max)?;
    for (digest, document) in parts.documents {
        blobs.put_by(digest.algorithm(), &document)?;
    }
    for build in builds {
        imported.push(build.finish(blobs)?);
    }
    Ok(imported)
}

/// What shall become blobs.
#[derive(Default)]
struct Parts {
    documents: Vec<(Digest, Vec<u8>)>,
    wanted: Vec<Wanted>,
}

// OCI layouts.

const CONTAINERD_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The images of an OCI layout's index. Source: OCI image specification, "Image Layout".
fn oci_images(
    archive: &Archive,
    index: &[u8],
    docker: &[DockerImage],
    platform: &Platform,
    parts: &mut Parts,
) -> Result<Vec<Imported>, ImageError> {
    let Document::Index(manifests) = Document::parse(index)? else { return Err(invalid("index.json is not an index")) };
    let mut by_name: BTreeMap<Option<&str>, Vec<Descriptor>> = BTreeMap::new();
    for manifest in &manifests {
        let name = manifest.annotations.get(CONTAINERD_NAME).or_else(|| manifest.annotations.get(REF_NAME));
        by_name.entry(name.map(String::as_str)).or_default().push(manifest.clone());
    }
    let mut imported = Vec::new();
    let mut foreign = None;
    for (name, group) in by_name {
        // Those with a platform are variants of one image; those without are images of their own.
        let (variants, mut chosen): (Vec<_>, Vec<_>) = group.into_iter().partition(|entry| entry.platform.is_some());
        match choose(&variants, platform) {
            Ok(variant) => chosen.push(variant.clone()),
            Err(error) if chosen.is_empty() && name.is_some() => return Err(error),
            // Signatures and attestations lie about without a name, for a platform that nobody has.
            Err(error) => foreign = Some(error),
        }
        for descriptor in chosen {
            let config = oci_parts(archive, descriptor.digest, platform, parts)?;
            let mut names = docker_names(docker, config)?;
            // A bare word beside a proper name is only its tag.
            let is_tag = !names.is_empty() && name.is_some_and(|name| !name.contains(['/', ':']));
            if !is_tag {
                names.extend(name.and_then(|name| name.parse().ok()));
            }
            imported.push(Imported { digest: descriptor.digest, names });
        }
    }
    match foreign {
        Some(error) if imported.is_empty() => Err(error),
        _ => Ok(imported),
    }
}

/// Finds what the image `digest` needs for `platform`; gives the digest of its configuration.
fn oci_parts(archive: &Archive, digest: Digest, platform: &Platform, parts: &mut Parts) -> Result<Digest, ImageError> {
    let path = |digest: &Digest| format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
    let mut next = digest;
    for _ in 0..=INDEX_DEPTH_MAX {
        let bytes = archive.document(&path(&next))?.ok_or_else(|| invalid(format!("{next} is missing")))?;
        let actual = next.of_same_kind(&bytes);
        if actual != next {
            return Err(ImageError::DocumentMismatch { what: "manifest", expected: next, actual });
        }
        let document = Document::parse(&bytes)?;
        parts.documents.push((next, bytes));
        match document {
            Document::Index(manifests) => next = choose(&manifests, platform)?.digest,
            Document::Manifest(Manifest { config, layers }) => {
                let blobs = std::iter::once(config.digest).chain(layers.iter().map(|layer| layer.digest));
                parts.wanted.extend(blobs.map(|digest| Wanted { path: path(&digest), digest, form: Form::AsItIs }));
                return Ok(config.digest);
            }
        }
    }
    Err(invalid("too many indexes in each other"))
}

/// The names that `docker save` gives beside an OCI layout.
fn docker_names(docker: &[DockerImage], config: Digest) -> Result<BTreeSet<Reference>, ImageError> {
    let suffix = format!("/{}", config.hex());
    let mut names = BTreeSet::new();
    for image in docker.iter().filter(|image| image.config.ends_with(&suffix)) {
        names.extend(image.names()?);
    }
    Ok(names)
}

// What docker save writes.

impl DockerImage {
    fn names(&self) -> Result<BTreeSet<Reference>, ImageError> {
        self.repo_tags.iter().flatten().map(|tag| tag.parse().map_err(ImageError::Reference)).collect()
    }
}

/// An image that lacks a manifest until its layers are blobs.
struct Build {
    config: Descriptor,
    layers: Vec<Digest>,
    names: BTreeSet<Reference>,
}

fn docker_image(archive: &Archive, image: &DockerImage, parts: &mut Parts) -> Result<Build, ImageError> {
    let bytes = archive.document(&image.config)?.ok_or_else(|| invalid(format!("{} is missing", image.config)))?;
    let (_, diff_ids) = ImageConfig::parse(&bytes)?;
    if image.layers.len() != diff_ids.len() {
        return Err(invalid(format!("{} has {} layers, and not {}", image.config, image.layers.len(), diff_ids.len())));
    }
    // The layers are kept plain, so that the manifest depends on nothing but the configuration.
    for (path, digest) in image.layers.iter().zip(&diff_ids) {
        parts.wanted.push(Wanted { path: path.clone(), digest: *digest, form: Form::Plain });
    }
    let config = descriptor("application/vnd.oci.image.config.v1+json", Digest::of(&bytes), bytes.len() as u64);
    parts.documents.push((config.digest, bytes));
    Ok(Build { config, layers: diff_ids, names: image.names()? })
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new(), platform: None }
}

impl Build {
    /// Gives the image the manifest that a push of it would have.
    fn finish(self, blobs: &Blobs) -> Result<Imported, ImageError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            schema_version: u32,
            media_type: &'static str,
            config: Descriptor,
            layers: Vec<Descriptor>,
        }
        let mut layers = Vec::new();
        for digest in self.layers {
            let size = blobs.size(&digest)?.ok_or(blobs::BlobError::NotFound { digest })?;
            layers.push(descriptor("application/vnd.oci.image.layer.v1.tar", digest, size));
        }
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let written = Written { schema_version: 2, media_type, config: self.config, layers };
        let bytes = serde_json::to_vec(&written).map_err(|error| invalid(error.to_string()))?;
        Ok(Imported { digest: blobs.put(&bytes)?, names: self.names })
    }
}
