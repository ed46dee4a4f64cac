//! ListLogGroupsForQuery: which groups a query reads.

use api_logs::{Error, ListLogGroupsForQueryRequest, ListLogGroupsForQueryResponse};
use shape::Caller;

use crate::refusals::query_not_found;
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: ListLogGroupsForQueryRequest,
) -> Result<ListLogGroupsForQueryResponse, Error> {
    let id = input.query_id.unwrap_or_default();
    let entry = service.queries.find(&caller.account, &caller.region, &id).ok_or_else(query_not_found)?;
    // A query has at most as many groups as the smallest page.
    let groups = entry.asked.groups.iter().map(|key| key.group.clone()).collect();
    Ok(ListLogGroupsForQueryResponse { log_group_identifiers: Some(groups), next_token: None })
}
