//! GetRepositoryPolicy.

use api_ecr::{Error, ErrorCode, GetRepositoryPolicyRequest, GetRepositoryPolicyResponse};
use registry::{Holder, RepositoryKey};
use shape::Caller;

use crate::names;
use crate::policies::PolicyRecord;
use crate::refusals::{self, refuse};
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: GetRepositoryPolicyRequest,
) -> Result<GetRepositoryPolicyResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "GetRepositoryPolicy")?;
    service
        .decide(move |registry| {
            let kept = registry.record::<PolicyRecord>(Holder::Repository(&key), PolicyRecord::NAME);
            let kept = kept.map_err(refusals::registry)?.ok_or_else(|| not_found(&key))?;
            Ok(GetRepositoryPolicyResponse {
                registry_id: Some(key.scope.account().to_owned()),
                repository_name: Some(key.name.to_string()),
                policy_text: Some(kept.text),
            })
        })
        .await
}

pub(crate) fn not_found(key: &RepositoryKey) -> Error {
    let message = format!(
        "Repository policy does not exist for the repository with name '{}' in the registry with id '{}'",
        key.name,
        key.scope.account()
    );
    refuse(ErrorCode::RepositoryPolicyNotFoundException, message)
}
