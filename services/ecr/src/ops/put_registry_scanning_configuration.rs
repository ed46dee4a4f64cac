//! PutRegistryScanningConfiguration: kept and shown, though nothing is scanned.

use api_ecr::enums::{scan_frequency, scan_type};
use api_ecr::{
    Error, ErrorCode, PutRegistryScanningConfigurationRequest, PutRegistryScanningConfigurationResponse,
    RegistryScanningRule,
};
use registry::Holder;
use shape::Caller;

use crate::names;
use crate::refusals::{invalid, refuse, required};
use crate::scanning::{ScanningRecord, ScanningRule};
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutRegistryScanningConfigurationRequest,
) -> Result<PutRegistryScanningConfigurationResponse, Error> {
    let scope = names::scope(caller)?;
    let scan_type = input.scan_type.unwrap_or_else(|| scan_type::BASIC.to_owned());
    if scan_type == scan_type::ENHANCED {
        let message = "Enhanced scanning needs Amazon Inspector, which Berth does not have.";
        return Err(refuse(ErrorCode::ValidationException, message));
    }
    let rules = input.rules.unwrap_or_default().into_iter().map(rule).collect::<Result<_, _>>()?;
    let record = ScanningRecord::new(scan_type, rules);
    let shown = record.clone().view();
    service
        .on_disk(move |registry| registry.put_record(Holder::Registry(&scope), ScanningRecord::NAME, &record))
        .await?;
    Ok(PutRegistryScanningConfigurationResponse { registry_scanning_configuration: Some(shown) })
}

fn rule(rule: RegistryScanningRule) -> Result<ScanningRule, Error> {
    let frequency = required(rule.scan_frequency, "scanFrequency")?;
    if frequency == scan_frequency::CONTINUOUS_SCAN {
        return Err(invalid("scanFrequency", "CONTINUOUS_SCAN is not supported when scanType is set as BASIC"));
    }
    let filters = required(rule.repository_filters, "repositoryFilters")?;
    let filters = filters.into_iter().map(|filter| required(filter.filter, "filter")).collect::<Result<_, _>>()?;
    Ok(ScanningRule { frequency, filters })
}
