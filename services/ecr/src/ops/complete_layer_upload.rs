//! CompleteLayerUpload: the parts become a layer, if they are what they are said to be.

use api_ecr::{CompleteLayerUploadRequest, CompleteLayerUploadResponse, Error, ErrorCode};
use registry::{Registry, RegistryError, RepositoryKey};
use shape::Caller;

use crate::refusals::{self, refuse, required};
use crate::service::EcrService;
use crate::{layers, names};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: CompleteLayerUploadRequest,
) -> Result<CompleteLayerUploadResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "CompleteLayerUpload")?;
    let id = required(input.upload_id, "uploadId")?;
    let digests = required(input.layer_digests, "layerDigests")?;
    service.decide(move |registry| complete(registry, &key, id, &digests)).await
}

fn complete(
    registry: &Registry,
    key: &RepositoryKey,
    id: String,
    digests: &[String],
) -> Result<CompleteLayerUploadResponse, Error> {
    let upload = layers::upload_id(&id, key)?;
    let end = registry.parts_end(key, upload).map_err(|error| layers::upload(error, &id, key))?;
    let (name, account) = (&key.name, key.scope.account());
    let in_repository = format!("in the repository with name '{name}' in the registry with id '{account}'");
    if end == 0 {
        let message = format!("The upload with id '{id}' {in_repository} does not contain any layer parts");
        return Err(refuse(ErrorCode::EmptyUploadException, message));
    }
    // Of several digests, by different algorithms, one is ours.
    let mut named = digests.iter().filter_map(|text| layers::required(text, "layerDigests").transpose());
    let Some(digest) = named.next().transpose()? else {
        return Err(refuse(ErrorCode::InvalidLayerException, "The layer digest must be a SHA-256 digest"));
    };
    if registry.find_blob(key, &digest).map_err(refusals::registry)?.is_some() {
        let message = format!("The layer with digest '{digest}' already exists {in_repository}");
        return Err(refuse(ErrorCode::LayerAlreadyExistsException, message));
    }
    registry.finish_parts(key, upload, &digest).map_err(|error| match error {
        RegistryError::DigestMismatch { actual, .. } => refuse(
            ErrorCode::InvalidLayerException,
            format!("The layer digest '{digest}' does not match the digest of what was uploaded, '{actual}'"),
        ),
        other => layers::upload(other, &id, key),
    })?;
    Ok(CompleteLayerUploadResponse {
        registry_id: Some(account.to_owned()),
        repository_name: Some(name.to_string()),
        upload_id: Some(id),
        layer_digest: Some(digest.to_string()),
    })
}
