//! ListTagsForResource, on log groups.

use api_logs::{Error, ListTagsForResourceRequest, ListTagsForResourceResponse};
use shape::Caller;

use crate::names;
use crate::refusals::group_not_found;
use crate::service::LogsService;

pub(crate) fn run(
    service: &LogsService,
    caller: &Caller,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, Error> {
    let key = names::group_of_arn(caller, input.resource_arn.as_deref().unwrap_or_default())?;
    let group = service.store.group(&key).ok_or_else(group_not_found)?;
    Ok(ListTagsForResourceResponse { tags: Some(group.tags) })
}
