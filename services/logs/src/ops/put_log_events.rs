//! PutLogEvents: durable before it is answered.

use std::time::Duration;

use api_logs::{Error, PutLogEventsRequest, PutLogEventsResponse, RejectedLogEventsInfo};
use log_store::{GroupInfo, LogEvent, RejectedEvents, StreamKey, limits};
use shape::{Caller, Timestamp};

use crate::filters::{Ingested, metric_filters, subscription_filters};
use crate::refusals::{change, group_not_found, invalid};
use crate::service::LogsService;
use crate::{names, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: PutLogEventsRequest,
) -> Result<PutLogEventsResponse, Error> {
    let stream = names::stream(caller, input.log_group_name, input.log_stream_name)?;
    let now = service.now();
    let mut events: Vec<LogEvent> = input
        .log_events
        .unwrap_or_default()
        .into_iter()
        .map(|event| LogEvent {
            timestamp_ms: event.timestamp.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        })
        .collect();
    let sizes: Vec<_> = events.iter().map(|event| (event.timestamp_ms, event.message.len())).collect();
    let group = service.store.group(&stream.group).ok_or_else(group_not_found)?;
    let retention = group.retention_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 3600));
    let admission = limits::admit(&sizes, now, retention).map_err(|refused| invalid(refused.to_string()))?;
    events.truncate(admission.accepted.end);
    events.drain(..admission.accepted.start);
    if events.is_empty() {
        // Nothing is stored, and still the stream must exist.
        let known = stream.clone();
        let streams = service.blocking(move |store| store.streams(&known.group, &known.stream)).await?;
        if !streams.iter().any(|known| *known.name == *stream.stream) {
            return Err(change(log_store::ChangeError::StreamNotFound));
        }
    }
    store(service, &group, stream, events, now).await?;
    Ok(PutLogEventsResponse {
        next_sequence_token: Some(views::sequence_token(now.as_millis())),
        rejected_log_events_info: rejected(admission.rejected),
        rejected_entity_info: None,
    })
}

/// Keeps events, and shows them to whoever waits for such. What is shown is durable.
async fn store(
    service: &LogsService,
    group: &GroupInfo,
    stream: StreamKey,
    events: Vec<LogEvent>,
    now: Timestamp,
) -> Result<(), Error> {
    let snapshot = service.ledger.snapshot();
    let is_filtered =
        metric_filters(&snapshot, group).next().is_some() || subscription_filters(&snapshot, group).next().is_some();
    // A copy is made only for those who are there.
    let shown = (is_filtered || service.live.wants(&stream)).then(|| (stream.clone(), events.clone()));
    service.store.put(stream, events, now).await.map_err(change)?;
    let Some((stream, events)) = shown else { return Ok(()) };
    service.live.show(&stream, &events, now.as_millis());
    if is_filtered {
        let ingested = Ingested { group, stream: &stream, events: &events, now };
        ingested.to_metrics(&snapshot, &service.patterns, service.metrics.as_ref());
        ingested.to_subscribers(&snapshot, &service.patterns, service.deliveries.as_ref());
    }
    Ok(())
}

fn rejected(rejected: RejectedEvents) -> Option<RejectedLogEventsInfo> {
    let index = |index: Option<usize>| index.and_then(|index| i32::try_from(index).ok());
    (rejected != RejectedEvents::default()).then(|| RejectedLogEventsInfo {
        too_new_log_event_start_index: index(rejected.too_new_start),
        too_old_log_event_end_index: index(rejected.too_old_end),
        expired_log_event_end_index: index(rejected.expired_end),
    })
}
