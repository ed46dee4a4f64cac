//! BatchGetImage: manifests, exactly as they were pushed. Those of a copy of another registry come from there.

use std::collections::{BTreeMap, BTreeSet};

use api_ecr::{BatchGetImageRequest, BatchGetImageResponse, Error, Image, ImageFailure, ImageIdentifier};
use registry::{Registry, RegistryError, RepositoryKey};
use shape::Caller;

use crate::image_ids::{Failure, ImageId};
use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::{image_ids, names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: BatchGetImageRequest,
) -> Result<BatchGetImageResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "BatchGetImage")?;
    let ids = required(input.image_ids, "imageIds")?;
    let mut missed = BTreeMap::new();
    for (at, id) in ids.iter().enumerate() {
        if let Err(failure) = bring(service, &key, id).await? {
            missed.insert(at, failure);
        }
    }
    service.on_disk(move |registry| get(registry, &key, ids, missed)).await
}

/// Looks upstream as a pull would. What is no image's name is found out later.
async fn bring(service: &EcrService, key: &RepositoryKey, id: &ImageIdentifier) -> Result<Result<(), Failure>, Error> {
    let Ok(image) = ImageId::parse(id) else { return Ok(Ok(())) };
    match service.registry().freshen(key, &image.target()).await {
        Ok(()) => Ok(Ok(())),
        Err(error) => Failure::of(error).map(Err).map_err(refusals::registry),
    }
}

fn get(
    registry: &Registry,
    key: &RepositoryKey,
    ids: Vec<ImageIdentifier>,
    mut missed: BTreeMap<usize, Failure>,
) -> Result<BatchGetImageResponse, RegistryError> {
    registry.repository(key)?;
    let (mut images, mut failures, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (at, id) in ids.into_iter().enumerate() {
        let found = match missed.remove(&at) {
            Some(failure) => Err(failure),
            None => image_ids::find(registry, key, &id)?,
        };
        match found {
            // Who asks for one image twice gets it once.
            Ok((digest, _)) if !seen.insert((digest, id.image_tag.clone())) => {}
            Ok((digest, record)) => {
                let bytes = registry.manifest_bytes(&digest)?;
                images.push(Image {
                    image_id: Some(ImageIdentifier { image_digest: Some(digest.to_string()), image_tag: id.image_tag }),
                    ..views::manifest(key, &bytes, record.media_type)
                });
            }
            Err(failure) => failures.push(ImageFailure {
                image_id: Some(id),
                failure_code: Some(failure.code().to_owned()),
                failure_reason: Some(failure.reason()),
            }),
        }
    }
    Ok(BatchGetImageResponse { images: Some(images), failures: Some(failures) })
}
