//! GetLogRecord: one event with all its fields, by the `@ptr` of a query.

use api_logs::{Error, GetLogRecordRequest, GetLogRecordResponse};
use log_insights::{Event, fields_of};
use log_store::{Position, Query};
use shape::Caller;

use crate::names;
use crate::ops::filter_log_events::visible_from;
use crate::queries::execute::{event, log_name};
use crate::refusals::invalid;
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: GetLogRecordRequest,
) -> Result<GetLogRecordResponse, Error> {
    let refused = || invalid("The specified log record pointer is invalid.");
    let (timestamp, number, log) =
        Event::of_pointer(&input.log_record_pointer.unwrap_or_default()).ok_or_else(refused)?;
    let group = log.strip_prefix(&format!("{}:", caller.account)).ok_or_else(refused)?;
    let key = names::group_key(caller, group);
    let place = Position::new(timestamp, number);
    if place < visible_from(service, &key)? {
        return Err(refused());
    }
    let log = log_name(&key).into();
    let page = service.page(Query { from: place, to: place, events_max: 1, ..Query::new(key) }, |_| true).await?;
    let found = page.events.into_iter().next().ok_or_else(refused)?;
    Ok(GetLogRecordResponse { log_record: Some(fields_of(&event(&log, found)).into_iter().collect()) })
}
