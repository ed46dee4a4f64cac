//! FilterLogEvents: all streams of a group, or some, by time and by pattern. `aws logs tail` is made of it.

use std::time::Duration;

use api_logs::{Error, FilterLogEventsRequest, FilterLogEventsResponse};
use log_store::{GroupKey, Position, Query, Streams};
use shape::Caller;

use crate::limits::EVENTS_PAGE;
use crate::pattern::FilterPattern;
use crate::refusals::{group_not_found, invalid, invalid_token};
use crate::service::LogsService;
use crate::{names, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: FilterLogEventsRequest,
) -> Result<FilterLogEventsResponse, Error> {
    let key = names::either(caller, input.log_group_name, input.log_group_identifier)?;
    let streams = match (input.log_stream_names, input.log_stream_name_prefix) {
        (Some(_), Some(_)) => {
            return Err(invalid("LogStreamNamePrefix and LogStreamNames cannot be both specified."));
        }
        (Some(names), None) => Streams::Named(names),
        (None, Some(prefix)) => Streams::Prefix(prefix),
        (None, None) => Streams::All,
    };
    let pattern = FilterPattern::parse(input.filter_pattern.as_deref().unwrap_or_default());
    let pattern = pattern.map_err(|refused| invalid(refused.to_string()))?;
    let token = input.next_token.as_deref().map(|text| text.parse::<Position>().map_err(|_| invalid_token()));
    let start = input.start_time.map_or(Position::FIRST, Position::start_of).max(visible_from(service, &key)?);
    let from = token.transpose()?.unwrap_or(Position::FIRST).max(start);
    // "Events with a timestamp later than this time are not returned."
    let to = input.end_time.map_or(Position::LAST, Position::end_of);
    let events_max = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(EVENTS_PAGE);
    let query = Query { streams, from, to, events_max, needles: pattern.needles(), ..Query::new(key) };
    let page = match pattern.wants_everything() {
        true => service.page(query, |_| true).await?,
        false => service.page(query, move |message| pattern.matches(message)).await?,
    };
    Ok(FilterLogEventsResponse {
        events: Some(page.events.into_iter().map(views::filtered_event).collect()),
        searched_log_streams: Some(Vec::new()),
        next_token: page.next.map(|next| next.to_string()),
    })
}

/// From where on the events of a group may be seen: older ones have outlived its retention.
pub(crate) fn visible_from(service: &LogsService, key: &GroupKey) -> Result<Position, Error> {
    let group = service.store.group(key).ok_or_else(group_not_found)?;
    let kept = |days| Duration::from_secs(u64::from(days) * 24 * 3600);
    let since = group.retention_days.map(|days| Position::start_of((service.now() - kept(days)).as_millis()));
    Ok(since.unwrap_or(Position::FIRST))
}
