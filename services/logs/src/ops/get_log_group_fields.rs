//! GetLogGroupFields: which fields the events of a group have, and how many of them.

use std::collections::BTreeMap;

use api_logs::{Error, GetLogGroupFieldsRequest, GetLogGroupFieldsResponse, LogGroupField};
use log_insights::fields_of;
use log_store::{Direction, Position, Query};
use shape::{Caller, Timestamp};

use crate::limits::{FIELDS_AROUND, FIELDS_BEFORE_NOW, FIELDS_SAMPLE};
use crate::names;
use crate::ops::filter_log_events::visible_from;
use crate::queries::execute::{event, log_name};
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: GetLogGroupFieldsRequest,
) -> Result<GetLogGroupFieldsResponse, Error> {
    let key = names::either(caller, input.log_group_name, input.log_group_identifier)?;
    let now = service.now();
    let (from, to) = match input.time.map(seconds) {
        Some(around) => (around - FIELDS_AROUND, around + FIELDS_AROUND),
        None => (now - FIELDS_BEFORE_NOW, now),
    };
    let query = Query {
        from: Position::start_of(from.as_millis()).max(visible_from(service, &key)?),
        to: Position::end_of(to.as_millis()),
        direction: Direction::Backward,
        events_max: FIELDS_SAMPLE,
        ..Query::new(key.clone())
    };
    let log = log_name(&key).into();
    let events = service.page(query, |_| true).await?.events;
    let total = events.len();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for found in events {
        for (name, _) in fields_of(&event(&log, found)) {
            *counts.entry(name).or_default() += 1;
        }
    }
    let field = |(name, count): (String, usize)| LogGroupField {
        name: Some(name),
        percent: i32::try_from(count * 100 / total.max(1)).ok(),
    };
    Ok(GetLogGroupFieldsResponse { log_group_fields: Some(counts.into_iter().map(field).collect()) })
}

/// "The number of seconds since January 1, 1970."
fn seconds(time: i64) -> Timestamp {
    Timestamp::from_millis(time.saturating_mul(1000))
}
