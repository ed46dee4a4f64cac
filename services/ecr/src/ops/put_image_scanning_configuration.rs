//! PutImageScanningConfiguration: kept and shown, though nothing is scanned.

use api_ecr::{Error, PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse};
use shape::Caller;

use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutImageScanningConfigurationRequest,
) -> Result<PutImageScanningConfigurationResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "PutImageScanningConfiguration")?;
    let scanning = required(input.image_scanning_configuration, "imageScanningConfiguration")?;
    service
        .decide(move |registry| {
            let changed = registry.change_repository(&key, |settings| {
                settings.scan_on_push = scanning.scan_on_push.unwrap_or(false);
                Ok(())
            });
            let shown = views::repository(&key, changed.map_err(refusals::registry)??);
            Ok(PutImageScanningConfigurationResponse {
                registry_id: shown.registry_id,
                repository_name: shown.repository_name,
                image_scanning_configuration: shown.image_scanning_configuration,
            })
        })
        .await
}
