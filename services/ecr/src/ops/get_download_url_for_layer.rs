//! GetDownloadUrlForLayer: an address at this very server that needs no login, and ends.

use api_ecr::{Error, ErrorCode, GetDownloadUrlForLayerRequest, GetDownloadUrlForLayerResponse};
use blobs::Digest;
use registry::{RegistryError, RepositoryKey, UpstreamError};
use shape::Caller;

use crate::limits::LAYER_URL_LIFE;
use crate::refusals::{self, refuse, required};
use crate::service::EcrService;
use crate::{layers, names};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: GetDownloadUrlForLayerRequest,
) -> Result<GetDownloadUrlForLayerResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "GetDownloadUrlForLayer")?;
    let text = required(input.layer_digest, "layerDigest")?;
    let digest = layers::required(&text, "layerDigest")?;
    let endpoint = caller.endpoint.clone().unwrap_or_else(|| format!("https://{}", key.scope.host()));
    let expires = service.now() + LAYER_URL_LIFE;
    if let Some(digest) = digest {
        bring(service, &key, digest).await?;
    }
    service
        .decide(move |registry| {
            registry.repository(&key).map_err(refusals::registry)?;
            let here = match digest {
                Some(digest) => registry.find_blob(&key, &digest).map_err(refusals::registry)?.map(|_| digest),
                None => None,
            };
            let digest = here.ok_or_else(|| {
                let message = format!(
                    "The layer with digest '{text}' does not exist in the repository with name '{}' in the registry with \
                     id '{}'",
                    key.name,
                    key.scope.account()
                );
                refuse(ErrorCode::LayersNotFoundException, message)
            })?;
            let url = format!("{endpoint}{}", registry.signed_path(&key, &digest, expires));
            Ok(GetDownloadUrlForLayerResponse { download_url: Some(url), layer_digest: Some(text) })
        })
        .await
}

/// A layer of a copy of another registry comes from there, if it is there.
async fn bring(service: &EcrService, key: &RepositoryKey, digest: Digest) -> Result<(), Error> {
    match service.registry().bring_part(key, digest).await {
        Ok(())
        | Err(RegistryError::BlobUnknown { .. } | RegistryError::NameUnknown { .. })
        | Err(RegistryError::Upstream(UpstreamError::NotFound)) => Ok(()),
        Err(RegistryError::Upstream(error)) => {
            Err(refuse(ErrorCode::UnableToGetUpstreamLayerException, error.to_string()))
        }
        Err(error) => Err(refusals::registry(error)),
    }
}
