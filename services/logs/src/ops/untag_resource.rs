//! UntagResource, on log groups.

use api_logs::{Error, UntagResourceRequest};
use log_store::GroupChange;
use shape::Caller;

use crate::names;
use crate::refusals::change;
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: UntagResourceRequest) -> Result<(), Error> {
    let key = names::group_of_arn(caller, input.resource_arn.as_deref().unwrap_or_default())?;
    service.store.change_group(key, GroupChange::Untag(input.tag_keys.unwrap_or_default())).await.map_err(change)
}
