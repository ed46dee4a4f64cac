//! DeleteLogGroup: the group, its streams and its events.

use api_logs::{DeleteLogGroupRequest, Error};
use shape::Caller;

use crate::names;
use crate::refusals::change;
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: DeleteLogGroupRequest) -> Result<(), Error> {
    service.store.delete_group(names::group(caller, input.log_group_name)?).await.map_err(change)
}
