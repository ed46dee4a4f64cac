//! DeleteRepositoryPolicy: answers with what it deleted.

use api_ecr::{DeleteRepositoryPolicyRequest, DeleteRepositoryPolicyResponse, Error};
use registry::Holder;
use shape::Caller;

use super::get_repository_policy::not_found;
use crate::names;
use crate::policies::PolicyRecord;
use crate::refusals;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DeleteRepositoryPolicyRequest,
) -> Result<DeleteRepositoryPolicyResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "DeleteRepositoryPolicy")?;
    service
        .decide(move |registry| {
            let deleted = registry
                .change_record(Holder::Repository(&key), PolicyRecord::NAME, |kept: Option<PolicyRecord>| match kept {
                    Some(kept) => Ok((None, kept)),
                    None => Err(not_found(&key)),
                })
                .map_err(refusals::registry)??;
            Ok(DeleteRepositoryPolicyResponse {
                registry_id: Some(key.scope.account().to_owned()),
                repository_name: Some(key.name.to_string()),
                policy_text: Some(deleted.text),
            })
        })
        .await
}
