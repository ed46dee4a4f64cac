//! StartImageScan: no image is of a type that can be scanned here.

use api_ecr::{Error, ErrorCode, StartImageScanRequest, StartImageScanResponse};
use shape::Caller;

use crate::refusals::{refuse, required};
use crate::service::EcrService;
use crate::{image_ids, names};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: StartImageScanRequest,
) -> Result<StartImageScanResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "StartImageScan")?;
    let id = required(input.image_id, "imageId")?;
    service
        .decide(move |registry| {
            let (digest, _) = image_ids::require(registry, &key, &id)?;
            let message = format!(
                "The image '{digest}' in the repository with name '{}' in the registry with id '{}' is of a type that \
                 cannot be scanned: Berth does not scan images",
                key.name,
                key.scope.account()
            );
            Err(refuse(ErrorCode::UnsupportedImageTypeException, message))
        })
        .await
}
