//! GetRegistryPolicy.

use api_ecr::{Error, ErrorCode, GetRegistryPolicyRequest, GetRegistryPolicyResponse};
use registry::Holder;
use shape::Caller;

use crate::names;
use crate::policies::PolicyRecord;
use crate::refusals::refuse;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    _input: GetRegistryPolicyRequest,
) -> Result<GetRegistryPolicyResponse, Error> {
    let scope = names::scope(caller)?;
    let kept = service
        .on_disk(move |registry| registry.record::<PolicyRecord>(Holder::Registry(&scope), PolicyRecord::NAME))
        .await?;
    let kept = kept.ok_or_else(|| not_found(caller))?;
    Ok(GetRegistryPolicyResponse { registry_id: Some(caller.account.clone()), policy_text: Some(kept.text) })
}

pub(crate) fn not_found(caller: &Caller) -> Error {
    let message = format!("Registry policy does not exist in the registry with id '{}'", caller.account);
    refuse(ErrorCode::RegistryPolicyNotFoundException, message)
}
