//! What has been written: every page of every source, merged in the order of time.

use std::collections::VecDeque;

use api_logs::enums::order_by;
use api_logs::operations::{DescribeLogStreams, FilterLogEvents, GetLogEvents};
use api_logs::{DescribeLogStreamsRequest, FilterLogEventsRequest, FilteredLogEvent, GetLogEventsRequest, LogStream};
use client::{Client, ClientError};

use super::line::{Printer, Streams};
use super::source::{Plan, Source};
use super::window::{OVERLAP_MS, Window};
use crate::person::now;

/// How many lines are printed at a time.
const LINES_AT_ONCE: usize = 1000;
/// How many streams are looked at to find out where the last lines begin.
const STREAMS_LOOKED_AT_MAX: usize = 32;
/// Source: CloudWatch Logs API Reference, `GetLogEvents.limit`.
const EVENTS_MAX: usize = 10_000;

/// Prints all there is, or only the last lines.
pub async fn print(
    client: &Client,
    plan: &Plan,
    window: &mut Window,
    tail: Option<usize>,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    if let Some(lines) = tail {
        let from = start_of_tail(client, plan, window.start(), lines).await?;
        // What is not printed now must not be printed later either, so it is read and known as far as following looks back.
        *window = Window::new(window.start().max(from.saturating_sub(OVERLAP_MS)));
    }
    let mut events = Merged::new(client, plan, window.start());
    let mut lines: VecDeque<FilteredLogEvent> = VecDeque::new();
    while let Some(event) = events.next().await? {
        if !plan.wants(event.log_stream_name.as_deref().unwrap_or_default()) || !window.admit(&event, now().as_millis())
        {
            continue;
        }
        lines.push_back(event);
        match tail {
            Some(most) if lines.len() > most => drop(lines.pop_front()),
            None if lines.len() == LINES_AT_ONCE => {
                printer.print(plan, lines.make_contiguous())?;
                lines.clear();
                window.forget();
            }
            _ => {}
        }
    }
    Ok(printer.print(plan, lines.make_contiguous())?)
}

/// Whether a line needs to say whose it is.
pub async fn streams_of(client: &Client, plan: &Plan) -> anyhow::Result<Streams> {
    if plan.sources.len() > 1 {
        return Ok(Streams::Several);
    }
    let mut count = 0;
    for source in &plan.sources {
        count += streams(client, plan, source, 2).await?.len();
    }
    Ok(if count > 1 { Streams::Several } else { Streams::One })
}

/// One page of a source. A group that nobody has written to yet is an empty one.
pub async fn page(
    client: &Client,
    source: &Source,
    from: i64,
    next_token: Option<String>,
) -> Result<(Vec<FilteredLogEvent>, Option<String>), ClientError> {
    let input = FilterLogEventsRequest {
        log_group_name: Some(source.group.clone()),
        log_stream_name_prefix: source.prefix.clone(),
        start_time: Some(from),
        next_token,
        ..FilterLogEventsRequest::default()
    };
    match client.call::<FilterLogEvents>(input).await {
        Ok(page) => Ok((page.events.unwrap_or_default(), page.next_token)),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok((Vec::new(), None)),
        Err(error) => Err(error),
    }
}

/// One source, read page by page.
struct Cursor<'a> {
    source: &'a Source,
    events: VecDeque<FilteredLogEvent>,
    next: Next,
}

enum Next {
    Page(Option<String>),
    End,
}

struct Merged<'a> {
    client: &'a Client,
    from: i64,
    cursors: Vec<Cursor<'a>>,
}

impl<'a> Merged<'a> {
    fn new(client: &'a Client, plan: &'a Plan, from: i64) -> Merged<'a> {
        let cursor = |source| Cursor { source, events: VecDeque::new(), next: Next::Page(None) };
        Merged { client, from, cursors: plan.sources.iter().map(cursor).collect() }
    }

    /// The oldest event that is left.
    async fn next(&mut self) -> Result<Option<FilteredLogEvent>, ClientError> {
        for cursor in &mut self.cursors {
            // A page may be empty and not the last.
            while cursor.events.is_empty()
                && let Next::Page(token) = &mut cursor.next
            {
                let (events, next) = page(self.client, cursor.source, self.from, token.take()).await?;
                cursor.events = events.into();
                cursor.next = next.map_or(Next::End, |token| Next::Page(Some(token)));
            }
        }
        let oldest = |cursor: &&mut Cursor<'_>| cursor.events.front().and_then(|event| event.timestamp);
        let with_events = self.cursors.iter_mut().filter(|cursor| !cursor.events.is_empty());
        Ok(with_events.min_by_key(oldest).and_then(|cursor| cursor.events.pop_front()))
    }
}

/// A time from which on there are at least so many lines, if there are so many, without reading all that is older.
///
/// Any few streams will do: where they alone have enough lines, all streams together have.
async fn start_of_tail(client: &Client, plan: &Plan, from: i64, lines: usize) -> anyhow::Result<i64> {
    if lines == 0 {
        return Ok(now().as_millis().max(from));
    }
    let mut times = Vec::new();
    for source in &plan.sources {
        // With a prefix they come by name, and the newest may be the last.
        let most = if source.prefix.is_some() { usize::MAX } else { STREAMS_LOOKED_AT_MAX };
        let mut streams = streams(client, plan, source, most).await?;
        streams.sort_by_key(|stream| std::cmp::Reverse(stream.last_event_timestamp));
        for stream in streams.into_iter().take(STREAMS_LOOKED_AT_MAX) {
            times.extend(last_times(client, source, stream, from, lines).await?);
        }
    }
    times.sort_unstable_by_key(|time| std::cmp::Reverse(*time));
    Ok(times.get(lines - 1).copied().unwrap_or(from))
}

async fn last_times(
    client: &Client,
    source: &Source,
    stream: LogStream,
    from: i64,
    lines: usize,
) -> Result<Vec<i64>, ClientError> {
    let input = GetLogEventsRequest {
        log_group_name: Some(source.group.clone()),
        log_stream_name: stream.log_stream_name,
        start_time: Some(from),
        start_from_head: Some(false),
        limit: Some(lines.min(EVENTS_MAX) as i32),
        ..GetLogEventsRequest::default()
    };
    match client.call::<GetLogEvents>(input).await {
        Ok(answer) => Ok(answer.events.iter().flatten().filter_map(|event| event.timestamp).collect()),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The streams of a source that are wanted, at least `most` if there are so many. Of a whole group the newest come first.
async fn streams(client: &Client, plan: &Plan, source: &Source, most: usize) -> Result<Vec<LogStream>, ClientError> {
    // "You cannot specify LastEventTime together with a prefix."
    let by_time = source.prefix.is_none();
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let input = DescribeLogStreamsRequest {
            log_group_name: Some(source.group.clone()),
            log_stream_name_prefix: source.prefix.clone(),
            order_by: by_time.then(|| order_by::LAST_EVENT_TIME.to_owned()),
            descending: by_time.then_some(true),
            next_token: token,
            ..DescribeLogStreamsRequest::default()
        };
        let page = match client.call::<DescribeLogStreams>(input).await {
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(all),
            page => page?,
        };
        let streams = page.log_streams.unwrap_or_default();
        all.extend(streams.into_iter().filter(|one| plan.wants(one.log_stream_name.as_deref().unwrap_or_default())));
        token = page.next_token;
        if token.is_none() || all.len() >= most {
            return Ok(all);
        }
    }
}
