//! DeleteLifecyclePolicy: answers with what it deleted. What the policy has expired stays gone.

use api_ecr::{DeleteLifecyclePolicyRequest, DeleteLifecyclePolicyResponse, Error};
use registry::Holder;
use shape::Caller;

use crate::lifecycle::{LifecycleRecord, policy_not_found};
use crate::service::EcrService;
use crate::{names, refusals};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DeleteLifecyclePolicyRequest,
) -> Result<DeleteLifecyclePolicyResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "DeleteLifecyclePolicy")?;
    service
        .decide(move |registry| {
            let holder = Holder::Repository(&key);
            let deleted = registry
                .change_record(holder, LifecycleRecord::NAME, |kept: Option<LifecycleRecord>| {
                    kept.map(|kept| (None, kept)).ok_or_else(|| policy_not_found(&key))
                })
                .map_err(refusals::registry)??;
            Ok(DeleteLifecyclePolicyResponse {
                registry_id: Some(key.scope.account().to_owned()),
                repository_name: Some(key.name.to_string()),
                last_evaluated_at: Some(deleted.shown_evaluation()),
                lifecycle_policy_text: Some(deleted.text),
            })
        })
        .await
}
