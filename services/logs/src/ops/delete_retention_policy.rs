//! DeleteRetentionPolicy: events are kept for ever again.

use api_logs::{DeleteRetentionPolicyRequest, Error};
use log_store::GroupChange;
use shape::Caller;

use crate::names;
use crate::refusals::change;
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DeleteRetentionPolicyRequest,
) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    service.store.change_group(key, GroupChange::Retention(None)).await.map_err(change)
}
