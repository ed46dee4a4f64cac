//! BatchDeleteImage: what can be deleted is, and the rest says why not.

use api_ecr::{BatchDeleteImageRequest, BatchDeleteImageResponse, Error, ImageFailure, ImageIdentifier};
use registry::{Deleted, Registry, RegistryError, RepositoryKey, Target};
use shape::Caller;

use crate::image_ids::{Failure, ImageId};
use crate::refusals::required;
use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: BatchDeleteImageRequest,
) -> Result<BatchDeleteImageResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "BatchDeleteImage")?;
    let ids = required(input.image_ids, "imageIds")?;
    service.on_disk(move |registry| delete(registry, &key, ids)).await
}

fn delete(
    registry: &Registry,
    key: &RepositoryKey,
    ids: Vec<ImageIdentifier>,
) -> Result<BatchDeleteImageResponse, RegistryError> {
    registry.repository(key)?;
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for id in ids {
        match delete_one(registry, key, &id)? {
            Ok(gone) => deleted.extend(views::identifiers(&gone.digest, &gone.tags)),
            Err(failure) => failures.push(ImageFailure {
                image_id: Some(id),
                failure_code: Some(failure.code().to_owned()),
                failure_reason: Some(failure.reason()),
            }),
        }
    }
    Ok(BatchDeleteImageResponse { image_ids: Some(deleted), failures: Some(failures) })
}

fn delete_one(
    registry: &Registry,
    key: &RepositoryKey,
    id: &ImageIdentifier,
) -> Result<Result<Deleted, Failure>, RegistryError> {
    let deleted = match ImageId::parse(id) {
        Ok(ImageId::Digest(digest)) => registry.delete_manifest(key, &Target::Digest(digest)),
        Ok(ImageId::Tag(tag)) => registry.delete_tag(key, &tag, None),
        Ok(ImageId::Both(tag, digest)) => registry.delete_tag(key, &tag, Some(&digest)),
        Err(failure) => return Ok(Err(failure)),
    };
    match deleted {
        Ok(deleted) => Ok(Ok(deleted)),
        Err(error) => Failure::of(error).map(Err),
    }
}
