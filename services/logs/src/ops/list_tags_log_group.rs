//! ListTagsLogGroup: ListTagsForResource by the name of a group.

use api_logs::{Error, ListTagsLogGroupRequest, ListTagsLogGroupResponse};
use shape::Caller;

use crate::names;
use crate::refusals::group_not_found;
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: ListTagsLogGroupRequest,
) -> Result<ListTagsLogGroupResponse, Error> {
    let key = names::group(caller, input.log_group_name)?;
    let group = service.store.group(&key).ok_or_else(group_not_found)?;
    Ok(ListTagsLogGroupResponse { tags: Some(group.tags) })
}
