//! SetRepositoryPolicy: kept and shown; IAM will enforce it.

use api_ecr::{Error, SetRepositoryPolicyRequest, SetRepositoryPolicyResponse};
use registry::Holder;
use shape::Caller;

use crate::names;
use crate::policies::{self, On, PolicyRecord};
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: SetRepositoryPolicyRequest,
) -> Result<SetRepositoryPolicyResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "SetRepositoryPolicy")?;
    let text = required(input.policy_text, "policyText")?;
    policies::check(&text, On::Repository)?;
    let answer = SetRepositoryPolicyResponse {
        registry_id: Some(key.scope.account().to_owned()),
        repository_name: Some(key.name.to_string()),
        policy_text: Some(text.clone()),
    };
    let record = PolicyRecord::new(text);
    service.on_disk(move |registry| registry.put_record(Holder::Repository(&key), PolicyRecord::NAME, &record)).await?;
    Ok(answer)
}
