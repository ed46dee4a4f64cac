//! Runs one query over one group after the other. Blocks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api_logs::enums::query_status;
use log_insights::{Event, Run};
use log_store::{GroupKey, LogStore, Needles, PageEvent, Position, Query, ReadError};

use super::{Entry, Statistics};
use crate::limits::{QUERY_PAGE_BYTES, QUERY_PAGE_EVENTS, QUERY_TIMEOUT};
use crate::service::Clock;

/// Why a query ended without an answer.
enum Stopped {
    Cancelled,
    Timeout,
    TooLarge,
    Store(ReadError),
}

pub(crate) fn run(store: &LogStore, entry: &Entry, clock: &Clock) {
    match rows(store, entry, clock) {
        Ok(rows) => entry.end(query_status::COMPLETE, clock(), rows),
        Err(Stopped::Cancelled) => entry.end(query_status::CANCELLED, clock(), Vec::new()),
        Err(Stopped::Timeout) => entry.end(query_status::TIMEOUT, clock(), Vec::new()),
        Err(Stopped::TooLarge) => {
            tracing::info!(query = entry.asked.id, "a query has more groups than there is room for");
            entry.end(query_status::FAILED, clock(), Vec::new());
        }
        Err(Stopped::Store(error)) => {
            tracing::error!(
                query = entry.asked.id,
                error = &error as &dyn std::error::Error,
                "failed to read logs for a query"
            );
            entry.end(query_status::FAILED, clock(), Vec::new());
        }
    }
}

fn rows(store: &LogStore, entry: &Entry, clock: &Clock) -> Result<Vec<Vec<log_insights::Field>>, Stopped> {
    let asked = &entry.asked;
    let began = clock();
    let mut run = Run::new(&asked.query, asked.limit, began.as_millis());
    let needles = asked.query.needles();
    let mut statistics = Statistics::default();
    for key in &asked.groups {
        // A group that was deleted meanwhile has no events.
        let Some(group) = store.group(key) else { continue };
        let kept = group.retention_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 3600));
        let visible = kept.map_or(i64::MIN, |kept| (began - kept).as_millis());
        let log: Arc<str> = log_name(key).into();
        let mut query = Query {
            from: Position::start_of(asked.range.0.max(visible)),
            to: Position::end_of(asked.range.1),
            events_max: QUERY_PAGE_EVENTS,
            bytes_max: QUERY_PAGE_BYTES,
            needles: Needles { all: needles.all.clone(), any: needles.any.clone() },
            ..Query::new(key.clone())
        };
        loop {
            if entry.cancelled.load(Ordering::Relaxed) {
                return Err(Stopped::Cancelled);
            }
            if clock().since(began) > QUERY_TIMEOUT {
                return Err(Stopped::Timeout);
            }
            let page = match store.read(&query, &|_| true) {
                Err(ReadError::GroupNotFound) => break,
                read => read.map_err(Stopped::Store)?,
            };
            for found in page.events {
                statistics.records_scanned += 1;
                statistics.bytes_scanned += found.event.message.len() as u64;
                run.push(event(&log, found)).map_err(|_| Stopped::TooLarge)?;
            }
            statistics.records_matched = run.matched();
            entry.change(|progress| progress.statistics = statistics);
            match page.next {
                Some(next) => query.from = next,
                None => break,
            }
        }
        statistics.groups_scanned += 1;
        entry.change(|progress| progress.statistics = statistics);
    }
    run.finish().map(|results| results.rows).map_err(|_| Stopped::TooLarge)
}

/// `@log`.
pub(crate) fn log_name(key: &GroupKey) -> String {
    format!("{}:{}", key.account, key.group)
}

pub(crate) fn event(log: &Arc<str>, found: PageEvent) -> Event {
    Event {
        timestamp_ms: found.event.timestamp_ms,
        ingestion_ms: found.event.ingestion_ms,
        number: found.event.number,
        log: log.clone(),
        stream: found.stream,
        message: found.event.message.into(),
    }
}
