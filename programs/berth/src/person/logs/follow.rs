//! What is being written.

use std::collections::BTreeSet;
use std::time::Duration;

use api_logs::FilteredLogEvent;
use client::ClientError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::history;
use super::line::Printer;
use super::plan::Planner;
use super::source::{Life, Plan};
use super::window::Window;
use crate::person::output::OutputError;
use crate::person::{endpoint, note, now};

/// How often new lines are asked for.
const POLL: Duration = Duration::from_millis(200);
/// How often it is asked which tasks there are.
const REFRESH: Duration = Duration::from_secs(1);
/// How long a stopped task's last lines may be on their way.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why following ended by itself.
pub enum Ended {
    /// The one task has stopped, and so has its log.
    Task,
}

/// Prints what comes, until there can be no more. An endpoint that goes away is waited for.
pub async fn follow(
    planner: &mut Planner,
    plan: Plan,
    window: &mut Window,
    printer: &mut Printer,
) -> anyhow::Result<Ended> {
    let mut following = Following { plan, strangers: BTreeSet::new(), refreshed: Instant::now(), over: None };
    let mut lost = false;
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !printer.is_read() {
            return Err(OutputError::Closed.into());
        }
        match following.turn(planner, window, printer).await {
            Ok(Some(ended)) => return Ok(ended),
            Ok(None) if lost => {
                lost = false;
                note("it answers again.");
            }
            Ok(None) => {}
            Err(error) if may_pass(&error) => {
                if !lost {
                    note(&format!("{} Waiting for it; Ctrl-C ends.", endpoint::sentence(&error)));
                }
                lost = true;
            }
            Err(error) => return Err(error),
        }
    }
}

struct Following {
    plan: Plan,
    /// Streams that were seen and belong to others.
    strangers: BTreeSet<String>,
    refreshed: Instant,
    /// When the one task was first seen stopped.
    over: Option<Instant>,
}

impl Following {
    async fn turn(
        &mut self,
        planner: &mut Planner,
        window: &mut Window,
        printer: &mut Printer,
    ) -> anyhow::Result<Option<Ended>> {
        if self.refreshed.elapsed() >= REFRESH {
            self.refresh(planner).await?;
        }
        let over = self.over.is_some_and(|since| since.elapsed() >= LAST_LINES);
        let events = self.read(planner, window.start()).await?;
        if self.has_unknown_streams(&events) {
            // A task that is younger than our plan.
            self.refresh(planner).await?;
        }
        let now = now().as_millis();
        let mut lines: Vec<FilteredLogEvent> = Vec::new();
        for event in events {
            let stream = event.log_stream_name.as_deref().unwrap_or_default();
            if !self.plan.wants(stream) {
                self.strangers.insert(stream.to_owned());
            } else if window.admit(&event, now) {
                lines.push(event);
            }
        }
        printer.print(&self.plan, &lines)?;
        window.forget();
        Ok(over.then_some(Ended::Task))
    }

    async fn refresh(&mut self, planner: &mut Planner) -> anyhow::Result<()> {
        let plan = planner.plan().await?;
        self.refreshed = Instant::now();
        if plan.life == Life::OneTaskStopped {
            self.over.get_or_insert_with(Instant::now);
        }
        // A task that is forgotten has no streams any more, but its last lines are still wanted.
        if !plan.sources.is_empty() {
            self.plan = plan;
        }
        Ok(())
    }

    /// All that is new or was new a moment ago, in the order of time.
    async fn read(&self, planner: &Planner, from: i64) -> Result<Vec<FilteredLogEvent>, ClientError> {
        let mut all = Vec::new();
        for source in &self.plan.sources {
            let mut token = None;
            loop {
                let (events, next) = history::page(planner.client(), source, from, token).await?;
                all.extend(events);
                token = next;
                if token.is_none() {
                    break;
                }
            }
        }
        all.sort_by_key(|event| event.timestamp);
        Ok(all)
    }

    fn has_unknown_streams(&self, events: &[FilteredLogEvent]) -> bool {
        let mut streams = events.iter().filter_map(|event| event.log_stream_name.as_deref());
        streams.any(|stream| !self.plan.wants(stream) && !self.strangers.contains(stream))
    }
}

/// A server that restarts comes back.
fn may_pass(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(ClientError::Unreachable { .. } | ClientError::Timeout { .. }) => true,
        Some(ClientError::Refused { status, code, .. }) => *status >= 500 || code == "ThrottlingException",
        _ => false,
    }
}
