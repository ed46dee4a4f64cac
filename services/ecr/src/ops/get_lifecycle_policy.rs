//! GetLifecyclePolicy.

use api_ecr::{Error, GetLifecyclePolicyRequest, GetLifecyclePolicyResponse};
use registry::Holder;
use shape::Caller;

use crate::lifecycle::{LifecycleRecord, policy_not_found};
use crate::service::EcrService;
use crate::{names, refusals};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: GetLifecyclePolicyRequest,
) -> Result<GetLifecyclePolicyResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "GetLifecyclePolicy")?;
    service
        .decide(move |registry| {
            let kept = registry.record::<LifecycleRecord>(Holder::Repository(&key), LifecycleRecord::NAME);
            let kept = kept.map_err(refusals::registry)?.ok_or_else(|| policy_not_found(&key))?;
            Ok(GetLifecyclePolicyResponse {
                registry_id: Some(key.scope.account().to_owned()),
                repository_name: Some(key.name.to_string()),
                last_evaluated_at: Some(kept.shown_evaluation()),
                lifecycle_policy_text: Some(kept.text),
            })
        })
        .await
}
