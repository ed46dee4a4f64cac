//! PutLifecyclePolicy: it acts from now on.

use api_ecr::{Error, PutLifecyclePolicyRequest, PutLifecyclePolicyResponse};
use registry::Holder;
use shape::Caller;

use crate::lifecycle::{self, LifecycleRecord};
use crate::names;
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutLifecyclePolicyRequest,
) -> Result<PutLifecyclePolicyResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "PutLifecyclePolicy")?;
    let text = required(input.lifecycle_policy_text, "lifecyclePolicyText")?;
    lifecycle::parse(&text)?;
    let answer = PutLifecyclePolicyResponse {
        registry_id: Some(key.scope.account().to_owned()),
        repository_name: Some(key.name.to_string()),
        lifecycle_policy_text: Some(text.clone()),
    };
    let record = LifecycleRecord::new(text);
    service
        .on_disk(move |registry| registry.put_record(Holder::Repository(&key), LifecycleRecord::NAME, &record))
        .await?;
    service.wake_lifecycles();
    Ok(answer)
}
