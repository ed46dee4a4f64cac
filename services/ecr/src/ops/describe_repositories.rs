//! DescribeRepositories: some by their names, or all in the order of their names.

use api_ecr::{DescribeRepositoriesRequest, DescribeRepositoriesResponse, Error};
use registry::{Registry, RegistryError, RepositoryKey, Scope};
use shape::Caller;

use crate::pages::{Wanted, refuse_with};
use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DescribeRepositoriesRequest,
) -> Result<DescribeRepositoriesResponse, Error> {
    let first = input.repository_names.as_ref().and_then(|names| names.first()).map_or("*", String::as_str);
    names::refuse_foreign(caller, input.registry_id.as_deref(), "DescribeRepositories", first)?;
    let scope = names::scope(caller)?;
    let (token, size) = (input.next_token.as_deref(), input.max_results);
    let (repositories, next_token) = match input.repository_names {
        Some(named) => {
            refuse_with("repositoryNames", token, size)?;
            let named = named.iter().map(|name| names::parse(name)).collect::<Result<Vec<_>, _>>()?;
            let keys: Vec<_> = named.into_iter().map(|name| RepositoryKey::new(&scope, name)).collect();
            (service.on_disk(move |registry| every(registry, &keys)).await?, None)
        }
        None => {
            let wanted = Wanted::parse(token, size)?;
            service.on_disk(move |registry| page(registry, &scope, &wanted)).await?
        }
    };
    Ok(DescribeRepositoriesResponse { repositories: Some(repositories), next_token })
}

/// Every one must be there.
fn every(registry: &Registry, keys: &[RepositoryKey]) -> Result<Vec<api_ecr::Repository>, RegistryError> {
    keys.iter().map(|key| Ok(views::repository(key, registry.repository(key)?))).collect()
}

fn page(
    registry: &Registry,
    scope: &Scope,
    wanted: &Wanted,
) -> Result<(Vec<api_ecr::Repository>, Option<String>), RegistryError> {
    let (names, next) = wanted.page(registry.repository_names(scope)?, ToString::to_string);
    let mut repositories = Vec::with_capacity(names.len());
    for name in names {
        let key = RepositoryKey::new(scope, name);
        // One that was deleted since the listing is simply gone.
        repositories.extend(registry.find_repository(&key)?.map(|found| views::repository(&key, found)));
    }
    Ok((repositories, next))
}
