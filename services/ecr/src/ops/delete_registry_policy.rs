//! DeleteRegistryPolicy: answers with what it deleted.

use api_ecr::{DeleteRegistryPolicyRequest, DeleteRegistryPolicyResponse, Error};
use registry::Holder;
use shape::Caller;

use super::get_registry_policy::not_found;
use crate::names;
use crate::policies::PolicyRecord;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    _input: DeleteRegistryPolicyRequest,
) -> Result<DeleteRegistryPolicyResponse, Error> {
    let scope = names::scope(caller)?;
    let deleted = service
        .on_disk(move |registry| {
            registry.change_record(Holder::Registry(&scope), PolicyRecord::NAME, |kept: Option<PolicyRecord>| {
                kept.map(|kept| (None, kept)).ok_or(())
            })
        })
        .await?;
    let deleted = deleted.map_err(|()| not_found(caller))?;
    Ok(DeleteRegistryPolicyResponse { registry_id: Some(caller.account.clone()), policy_text: Some(deleted.text) })
}
