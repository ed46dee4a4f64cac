//! BatchGetImage: manifests, exactly as they were pushed.

use std::collections::BTreeSet;

use api_ecr::{BatchGetImageRequest, BatchGetImageResponse, Error, Image, ImageFailure, ImageIdentifier};
use registry::{Registry, RegistryError, RepositoryKey};
use shape::Caller;

use crate::refusals::required;
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
    service.on_disk(move |registry| get(registry, &key, ids)).await
}

fn get(
    registry: &Registry,
    key: &RepositoryKey,
    ids: Vec<ImageIdentifier>,
) -> Result<BatchGetImageResponse, RegistryError> {
    registry.repository(key)?;
    let (mut images, mut failures, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for id in ids {
        match image_ids::find(registry, key, &id)? {
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
