//! BatchGetRepositoryScanningConfiguration: what the registry's rules and the repository's setting come to.

use api_ecr::enums::scanning_configuration_failure_code;
use api_ecr::{
    BatchGetRepositoryScanningConfigurationRequest, BatchGetRepositoryScanningConfigurationResponse, Error,
    RepositoryScanningConfiguration, RepositoryScanningConfigurationFailure,
};
use registry::{Holder, Registry, RegistryError, RepositoryKey, Scope};
use shape::Caller;

use crate::refusals::required;
use crate::scanning::{self, ScanningRecord};
use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: BatchGetRepositoryScanningConfigurationRequest,
) -> Result<BatchGetRepositoryScanningConfigurationResponse, Error> {
    let scope = names::scope(caller)?;
    let names = required(input.repository_names, "repositoryNames")?;
    let keys = names.iter().map(|name| Ok(RepositoryKey::new(&scope, names::parse(name)?)));
    let keys = keys.collect::<Result<Vec<_>, Error>>()?;
    service.on_disk(move |registry| get(registry, &scope, &keys)).await
}

fn get(
    registry: &Registry,
    scope: &Scope,
    keys: &[RepositoryKey],
) -> Result<BatchGetRepositoryScanningConfigurationResponse, RegistryError> {
    let record: ScanningRecord = registry.record(Holder::Registry(scope), ScanningRecord::NAME)?.unwrap_or_default();
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for key in keys {
        let Some(repository) = registry.find_repository(key)? else {
            failures.push(RepositoryScanningConfigurationFailure {
                repository_name: Some(key.name.to_string()),
                failure_code: Some(scanning_configuration_failure_code::REPOSITORY_NOT_FOUND.to_owned()),
                failure_reason: Some("REPOSITORY_NOT_FOUND".to_owned()),
            });
            continue;
        };
        let scan_on_push = repository.settings.scan_on_push;
        let (frequency, filters) = record.applied(key.name.as_str(), scan_on_push);
        found.push(RepositoryScanningConfiguration {
            repository_arn: Some(views::arn(key)),
            repository_name: Some(key.name.to_string()),
            scan_on_push: Some(frequency == api_ecr::enums::scan_frequency::SCAN_ON_PUSH),
            scan_frequency: Some(frequency.to_owned()),
            applied_scan_filters: Some(filters.into_iter().map(scanning::filter).collect()),
        });
    }
    Ok(BatchGetRepositoryScanningConfigurationResponse {
        scanning_configurations: Some(found),
        failures: Some(failures),
    })
}
