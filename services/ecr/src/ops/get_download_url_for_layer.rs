//! GetDownloadUrlForLayer: an address at this very server that needs no login, and ends.

use api_ecr::{Error, ErrorCode, GetDownloadUrlForLayerRequest, GetDownloadUrlForLayerResponse};
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
