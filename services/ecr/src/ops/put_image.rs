//! PutImage: a manifest whose layers are there, under a tag or under its digest.

use api_ecr::{Error, ErrorCode, Image, PutImageRequest, PutImageResponse};
use blobs::Digest;
use registry::{Manifest, Registry, RegistryError, RepositoryKey, Tag, Target};
use shape::Caller;

use crate::refusals::{self, invalid, refuse, required};
use crate::service::EcrService;
use crate::{names, views};

struct Put {
    key: RepositoryKey,
    manifest: String,
    media_type: Option<String>,
    tag: Option<Tag>,
    digest: Digest,
}

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutImageRequest,
) -> Result<PutImageResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "PutImage")?;
    let manifest = required(input.image_manifest, "imageManifest")?;
    let tag = input
        .image_tag
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'"))?;
    let digest = Digest::of(manifest.as_bytes());
    if let Some(expected) = input.image_digest.filter(|expected| *expected != digest.to_string()) {
        let message = format!(
            "The image digest '{expected}' does not match the digest '{digest}' that was calculated of the image manifest"
        );
        return Err(refuse(ErrorCode::ImageDigestDoesNotMatchException, message));
    }
    let put = Put { key, manifest, media_type: input.image_manifest_media_type, tag, digest };
    service.decide(move |registry| store(registry, put)).await
}

fn store(registry: &Registry, put: Put) -> Result<PutImageResponse, Error> {
    // Unlike a push, it creates no repository.
    registry.repository(&put.key).map_err(refusals::registry)?;
    let (bytes, media_type) = (put.manifest.as_bytes(), put.media_type.as_deref());
    let manifest = Manifest::parse(media_type, bytes).map_err(refusals::registry)?;
    let target = put.tag.clone().map_or(Target::Digest(put.digest), Target::Tag);
    match registry.resolve(&put.key, &target) {
        Ok((known, _)) if known == put.digest => return Err(exists(&put)),
        Ok(_) | Err(RegistryError::ManifestUnknown) => {}
        Err(error) => return Err(refusals::registry(error)),
    }
    match registry.put_manifest(&put.key, &target, media_type, bytes) {
        Ok(_) => Ok(PutImageResponse {
            image: Some(Image {
                image_id: Some(views::identifier(&put.digest, put.tag.as_ref())),
                ..views::manifest(&put.key, bytes, manifest.media_type.as_str().to_owned())
            }),
        }),
        Err(RegistryError::ManifestBlobUnknown { .. }) => Err(lacks(registry, &put.key, &manifest)?),
        Err(error) => Err(refusals::registry(error)),
    }
}

fn exists(put: &Put) -> Error {
    let tag = put.tag.as_ref().map(|tag| format!(" and tag '{tag}'")).unwrap_or_default();
    let message = format!(
        "Image with digest '{}'{tag} already exists in the repository with name '{}' in registry with id '{}'",
        put.digest,
        put.key.name,
        put.key.scope.account()
    );
    refuse(ErrorCode::ImageAlreadyExistsException, message)
}

/// What of the manifest has to be uploaded first.
fn lacks(registry: &Registry, key: &RepositoryKey, manifest: &Manifest) -> Result<Error, Error> {
    let mut missing = Vec::new();
    for blob in &manifest.blobs {
        if registry.find_blob(key, blob).map_err(refusals::registry)?.is_none() {
            missing.push(*blob);
        }
    }
    for part in &manifest.manifests {
        match registry.resolve(key, &Target::Digest(*part)) {
            Err(RegistryError::ManifestUnknown) => missing.push(*part),
            found => drop(found.map_err(refusals::registry)?),
        }
    }
    let (code, what) = if manifest.media_type.is_index() {
        (ErrorCode::ReferencedImagesNotFoundException, "Images")
    } else {
        (ErrorCode::LayersNotFoundException, "Layers")
    };
    let message = format!(
        "{what} with digests '{missing:?}' required for pushing image into repository with name '{}' in the registry with \
         id '{}' do not exist",
        key.name,
        key.scope.account()
    );
    Ok(refuse(code, message))
}
