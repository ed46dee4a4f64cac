//! DescribeLogStreams: by name, or by the time of the newest event.

use api_logs::{DescribeLogStreamsRequest, DescribeLogStreamsResponse, Error, enums::order_by};
use log_store::StreamInfo;
use shape::Caller;

use crate::limits::DESCRIBE_PAGE;
use crate::refusals::{invalid, invalid_token};
use crate::service::LogsService;
use crate::{names, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DescribeLogStreamsRequest,
) -> Result<DescribeLogStreamsResponse, Error> {
    let key = names::either(caller, input.log_group_name, input.log_group_identifier)?;
    let by_time = input.order_by.as_deref() == Some(order_by::LAST_EVENT_TIME);
    if by_time && input.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let after = input.next_token.as_deref().map(|token| place_of(token).ok_or_else(invalid_token)).transpose()?;
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    let group = key.clone();
    let streams = service.blocking(move |store| store.streams(&group, &prefix)).await?;
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DESCRIBE_PAGE);
    let (streams, next_token) = page(streams, by_time, input.descending == Some(true), after, limit);
    let streams = streams.iter().map(|stream| views::stream(caller, &key.group, stream)).collect();
    Ok(DescribeLogStreamsResponse { log_streams: Some(streams), next_token })
}

/// A place in the order: the time of the newest event (zero in the order of names), then the name.
type Place = (i64, String);

fn place(stream: &StreamInfo, by_time: bool) -> Place {
    // Streams without events come before all others.
    let time = if by_time { stream.last_event.map_or(-1, |at| at.as_millis()) } else { 0 };
    (time, stream.name.to_string())
}

fn token((time, name): &Place) -> String {
    format!("{time}/{name}")
}

fn place_of(token: &str) -> Option<Place> {
    let (time, name) = token.split_once('/')?;
    Some((time.parse().ok()?, name.to_owned()))
}

fn page(
    streams: Vec<StreamInfo>,
    by_time: bool,
    descending: bool,
    after: Option<Place>,
    limit: usize,
) -> (Vec<StreamInfo>, Option<String>) {
    let mut placed: Vec<(Place, StreamInfo)> =
        streams.into_iter().map(|stream| (place(&stream, by_time), stream)).collect();
    placed.retain(|(place, _)| match &after {
        None => true,
        Some(after) if descending => place < after,
        Some(after) => place > after,
    });
    placed.sort_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });
    let more = placed.len() > limit;
    placed.truncate(limit);
    let next = placed.last().filter(|_| more).map(|(place, _)| token(place));
    (placed.into_iter().map(|(_, stream)| stream).collect(), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shape::Timestamp;

    fn check(by_time: bool, descending: bool, expected: &[&str]) {
        let stream = |name: &str, last: Option<i64>| StreamInfo {
            name: name.into(),
            created: Timestamp::EPOCH,
            first_event: None,
            last_event: last.map(Timestamp::from_millis),
            last_ingestion: None,
        };
        let all = vec![stream("a/1", Some(30)), stream("b", None), stream("c", Some(10)), stream("d", Some(30))];
        for limit in 1..=5 {
            let (mut names, mut after) = (Vec::new(), None);
            loop {
                let (streams, next) = page(all.clone(), by_time, descending, after, limit);
                assert!(streams.len() <= limit);
                names.extend(streams.into_iter().map(|stream| stream.name.to_string()));
                match next {
                    Some(token) => after = Some(place_of(&token).unwrap()),
                    None => break,
                }
            }
            assert_eq!(names, expected, "limit {limit}");
        }
    }

    #[test]
    fn every_order_in_every_page_size() {
        check(false, false, &["a/1", "b", "c", "d"]);
        check(false, true, &["d", "c", "b", "a/1"]);
        check(true, false, &["b", "c", "a/1", "d"]);
        check(true, true, &["d", "a/1", "c", "b"]);
    }
}
