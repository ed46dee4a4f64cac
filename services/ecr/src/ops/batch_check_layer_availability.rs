//! BatchCheckLayerAvailability: which layers need not be uploaded.

use api_ecr::enums::{layer_availability, layer_failure_code};
use api_ecr::{BatchCheckLayerAvailabilityRequest, BatchCheckLayerAvailabilityResponse, Error, Layer, LayerFailure};
use registry::{Registry, RegistryError, RepositoryKey};
use shape::Caller;

use crate::layers::{self, Named};
use crate::names;
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: BatchCheckLayerAvailabilityRequest,
) -> Result<BatchCheckLayerAvailabilityResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "BatchCheckLayerAvailability")?;
    let digests = required(input.layer_digests, "layerDigests")?;
    service.on_disk(move |registry| check(registry, &key, digests)).await
}

fn check(
    registry: &Registry,
    key: &RepositoryKey,
    digests: Vec<String>,
) -> Result<BatchCheckLayerAvailabilityResponse, RegistryError> {
    registry.repository(key)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    let failure = |digest: String, code: &str, reason: &str| LayerFailure {
        layer_digest: Some(digest),
        failure_code: Some(code.to_owned()),
        failure_reason: Some(reason.to_owned()),
    };
    for text in digests {
        let size = match layers::parse(&text) {
            Named::Nothing => {
                failures.push(failure(text, layer_failure_code::MISSING_LAYER_DIGEST, layers::MISSING));
                continue;
            }
            Named::Badly => {
                failures.push(failure(text, layer_failure_code::INVALID_LAYER_DIGEST, layers::INVALID));
                continue;
            }
            Named::Absent => None,
            Named::Digest(digest) => registry.find_blob(key, &digest)?,
        };
        let availability = if size.is_some() { layer_availability::AVAILABLE } else { layer_availability::UNAVAILABLE };
        found.push(Layer {
            layer_digest: Some(text),
            layer_availability: Some(availability.to_owned()),
            layer_size: size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
            media_type: None,
        });
    }
    Ok(BatchCheckLayerAvailabilityResponse { layers: Some(found), failures: Some(failures) })
}
