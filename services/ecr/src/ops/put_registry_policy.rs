//! PutRegistryPolicy: kept and shown; IAM will enforce it.

use api_ecr::{Error, PutRegistryPolicyRequest, PutRegistryPolicyResponse};
use registry::Holder;
use shape::Caller;

use crate::names;
use crate::policies::{self, On, PolicyRecord};
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutRegistryPolicyRequest,
) -> Result<PutRegistryPolicyResponse, Error> {
    let scope = names::scope(caller)?;
    let text = required(input.policy_text, "policyText")?;
    policies::check(&text, On::Registry)?;
    let record = PolicyRecord::new(text.clone());
    service.on_disk(move |registry| registry.put_record(Holder::Registry(&scope), PolicyRecord::NAME, &record)).await?;
    Ok(PutRegistryPolicyResponse { registry_id: Some(caller.account.clone()), policy_text: Some(text) })
}
