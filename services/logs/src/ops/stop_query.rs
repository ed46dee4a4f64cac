//! StopQuery.

use api_logs::{Error, StopQueryRequest, StopQueryResponse};
use shape::Caller;

use crate::refusals::{invalid, query_not_found};
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: StopQueryRequest,
) -> Result<StopQueryResponse, Error> {
    let id = input.query_id.unwrap_or_default();
    let entry = service.queries.find(&caller.account, &caller.region, &id).ok_or_else(query_not_found)?;
    // "If the query has already ended, the operation returns an error indicating that the specified query is not running."
    match entry.cancel(service.now()) {
        true => Ok(StopQueryResponse { success: Some(true) }),
        false => Err(invalid(format!("The specified query is not running: {id}"))),
    }
}
