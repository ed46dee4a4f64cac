//! The real sink.

use std::error::Error as _;

use api_logs::operations::{CreateLogGroup, CreateLogStream, GetLogEvents, PutLogEvents};
use api_logs::{
    CreateLogGroupRequest, CreateLogStreamRequest, GetLogEventsRequest, InputLogEvent, PutLogEventsRequest,
    RejectedLogEventsInfo,
};
use async_trait::async_trait;
use client::{Client, ClientError, Credentials};

use crate::sink::{Event, LogSink, SinkError};

/// CloudWatch Logs over its protocol: Berth's own, or AWS's behind a proxy, as the client speaks plain http.
#[derive(Clone)]
pub struct CloudWatchSink {
    client: Client,
}

impl CloudWatchSink {
    /// `endpoint` looks like `http://127.0.0.1:4566`. Nothing is sent yet; an endpoint that is none is out of reach.
    pub fn new(endpoint: &str, region: &str, credentials: Credentials) -> Result<CloudWatchSink, SinkError> {
        Ok(CloudWatchSink { client: Client::new(endpoint, credentials, region).map_err(failure)? })
    }
}

impl From<Client> for CloudWatchSink {
    fn from(client: Client) -> CloudWatchSink {
        CloudWatchSink { client }
    }
}

#[async_trait]
impl LogSink for CloudWatchSink {
    async fn create_group(&self, group: &str) -> Result<(), SinkError> {
        let input = CreateLogGroupRequest { log_group_name: Some(group.to_owned()), ..Default::default() };
        self.client.call::<CreateLogGroup>(input).await.map(drop).map_err(failure)
    }

    async fn create_stream(&self, group: &str, stream: &str) -> Result<(), SinkError> {
        let input =
            CreateLogStreamRequest { log_group_name: Some(group.to_owned()), log_stream_name: Some(stream.to_owned()) };
        self.client.call::<CreateLogStream>(input).await.map(drop).map_err(failure)
    }

    async fn put(&self, group: &str, stream: &str, events: &[Event]) -> Result<(), SinkError> {
        let event =
            |event: &Event| InputLogEvent { timestamp: Some(event.timestamp_ms), message: Some(event.message.clone()) };
        let input = PutLogEventsRequest {
            log_group_name: Some(group.to_owned()),
            log_stream_name: Some(stream.to_owned()),
            log_events: Some(events.iter().map(event).collect()),
            ..Default::default()
        };
        let answer = self.client.call::<PutLogEvents>(input).await.map_err(failure)?;
        if let Some(rejected) = answer.rejected_log_events_info {
            let rejected = rejected_count(&rejected, events.len());
            tracing::warn!(group, stream, rejected, "CloudWatch Logs did not take events: too old, too new or expired");
        }
        Ok(())
    }

    async fn stored(
        &self,
        group: &str,
        stream: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<(i64, Event)>, SinkError> {
        let (mut stored, mut token) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let input = GetLogEventsRequest {
                log_group_name: Some(group.to_owned()),
                log_stream_name: Some(stream.to_owned()),
                start_time: Some(from_ms),
                // The end itself is not part of the answer.
                end_time: Some(to_ms.saturating_add(1)),
                start_from_head: Some(true),
                next_token: token.clone(),
                ..Default::default()
            };
            let page = self.client.call::<GetLogEvents>(input).await.map_err(failure)?;
            stored.extend(page.events.into_iter().flatten().map(|event| {
                let (timestamp_ms, message) = (event.timestamp.unwrap_or_default(), event.message.unwrap_or_default());
                (event.ingestion_time.unwrap_or_default(), Event { timestamp_ms, message })
            }));
            // The last page gives the token it was asked with.
            if page.next_forward_token.is_none() || page.next_forward_token == token {
                break;
            }
            token = page.next_forward_token;
        }
        Ok(stored)
    }
}

/// Pages that are read to find one batch, which fits into a few. More are a stream that others flood.
const PAGES_MAX: usize = 100;

/// Two indexes say where the accepted ones begin, one where they end.
fn rejected_count(info: &RejectedLogEventsInfo, events: usize) -> usize {
    let index = |index: Option<i32>| index.and_then(|index| usize::try_from(index).ok());
    let begin = index(info.too_old_log_event_end_index).max(index(info.expired_log_event_end_index)).unwrap_or(0);
    let end = index(info.too_new_log_event_start_index).unwrap_or(events);
    events - end.min(events).saturating_sub(begin)
}

fn failure(error: ClientError) -> SinkError {
    match error {
        ClientError::Refused { code, message, status, .. } => SinkError::Refused { code, message, status },
        error => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            SinkError::Unreachable(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: Option<i32>, expired: Option<i32>, new: Option<i32>, expected: usize) {
        let info = RejectedLogEventsInfo {
            too_old_log_event_end_index: old,
            expired_log_event_end_index: expired,
            too_new_log_event_start_index: new,
        };
        assert_eq!(rejected_count(&info, 10), expected);
    }

    #[test]
    fn rejected_events_are_counted() {
        check(Some(3), None, None, 3);
        check(Some(3), Some(5), None, 5);
        check(None, None, Some(9), 1);
        check(Some(2), None, Some(9), 3);
        check(Some(10), None, None, 10);
        check(None, None, Some(0), 10);
    }
}
