//! CreateRepository.

use api_ecr::{CreateRepositoryRequest, CreateRepositoryResponse, Error, ErrorCode};
use registry::RepositorySettings;
use shape::Caller;

use crate::limits::REPOSITORIES_MAX;
use crate::service::EcrService;
use crate::settings::{exclusions, mutability, refuse_keys};
use crate::{names, resource_tags, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: CreateRepositoryRequest,
) -> Result<CreateRepositoryResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "CreateRepository")?;
    let settings = settings(input)?;
    let scope = key.scope.clone();
    let existing = service.on_disk(move |registry| registry.repository_names(&scope)).await?;
    refuse_beyond_quota(existing.len(), &caller.account)?;
    let created = service
        .on_disk(move |registry| Ok(views::repository(&key, registry.create_repository(&key, settings)?)))
        .await?;
    Ok(CreateRepositoryResponse { repository: Some(created) })
}

fn settings(input: CreateRepositoryRequest) -> Result<RepositorySettings, Error> {
    refuse_keys(input.encryption_configuration)?;
    let tag_mutability = mutability(input.image_tag_mutability.as_deref())?;
    Ok(RepositorySettings {
        tag_mutability,
        tag_mutability_exclusions: exclusions(tag_mutability, input.image_tag_mutability_exclusion_filters)?,
        scan_on_push: input.image_scanning_configuration.and_then(|scanning| scanning.scan_on_push).unwrap_or(false),
        encryption: None,
        tags: resource_tags::parse(input.tags)?,
    })
}

fn refuse_beyond_quota(repositories: usize, account: &str) -> Result<(), Error> {
    if repositories < REPOSITORIES_MAX {
        return Ok(());
    }
    let message = format!(
        "The registry with id '{account}' already has the maximum number of repositories, which is {REPOSITORIES_MAX}"
    );
    Err(Error::new(ErrorCode::LimitExceededException, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_quota() {
        assert!(refuse_beyond_quota(REPOSITORIES_MAX - 1, "1").is_ok());
        let refused = refuse_beyond_quota(REPOSITORIES_MAX, "1").unwrap_err();
        assert_eq!(refused.code, ErrorCode::LimitExceededException);
    }
}
