//! GetRegistryScanningConfiguration.

use api_ecr::{Error, GetRegistryScanningConfigurationRequest, GetRegistryScanningConfigurationResponse};
use registry::Holder;
use shape::Caller;

use crate::names;
use crate::scanning::ScanningRecord;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    _input: GetRegistryScanningConfigurationRequest,
) -> Result<GetRegistryScanningConfigurationResponse, Error> {
    let scope = names::scope(caller)?;
    let kept: Option<ScanningRecord> =
        service.on_disk(move |registry| registry.record(Holder::Registry(&scope), ScanningRecord::NAME)).await?;
    Ok(GetRegistryScanningConfigurationResponse {
        registry_id: Some(caller.account.clone()),
        scanning_configuration: Some(kept.unwrap_or_default().view()),
    })
}
