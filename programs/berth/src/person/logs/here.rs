//! What is left on this machine, whatever the log driver: read from the node's socket.

use std::path::PathBuf;
use std::time::Duration;

use api_logs::FilteredLogEvent;
use serde::Deserialize;

use super::line::{Printer, Streams};
use super::plan::Planner;
use super::source::{Label, Life, Plan, Wanted};
use crate::person::node::Node;
use crate::person::output::{Output, OutputError};

/// How often new lines are asked for.
const POLL: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Said {
    lines: Vec<Line>,
    /// Where to go on.
    next: String,
}

#[derive(Deserialize)]
struct Line {
    container: String,
    /// Milliseconds since 1970.
    time: i64,
    text: String,
}

/// Tasks whose logs are on this machine, each with where its reading stands.
pub struct Here {
    node: Node,
    tasks: Vec<(String, String)>,
    plan: Plan,
    first: Vec<FilteredLogEvent>,
}

impl Here {
    /// `None` when the node on this machine knows none of these tasks, or there is none.
    pub async fn find(data_dir: PathBuf, ids: &[String]) -> Option<Here> {
        let plan = Plan { sources: [].into(), wanted: Wanted::Streams([].into()), from: 0, life: Life::Endless };
        let mut here = Here { node: Node::of(data_dir), tasks: Vec::new(), plan, first: Vec::new() };
        for id in ids {
            let mut next = String::new();
            if let Ok(events) = here.read(id, &mut next).await {
                here.first.extend(events);
                here.tasks.push((id.clone(), next));
            }
        }
        here.first.sort_by_key(|event| event.timestamp);
        (!here.tasks.is_empty()).then_some(here)
    }

    /// Everything that is there, up to where the answer is empty.
    async fn read(&mut self, id: &str, next: &mut String) -> anyhow::Result<Vec<FilteredLogEvent>> {
        let mut events = Vec::new();
        loop {
            let said: Said = self.node.said(id, next).await?;
            let is_all = said.lines.is_empty();
            *next = said.next;
            for line in said.lines {
                let stream = format!("{id}/{}", line.container);
                if let Wanted::Streams(streams) = &mut self.plan.wanted {
                    let label = Label { task: id.to_owned(), container: line.container };
                    streams.entry(stream.clone()).or_insert(label);
                }
                events.push(FilteredLogEvent {
                    timestamp: Some(line.time),
                    message: Some(line.text),
                    log_stream_name: Some(stream),
                    ..FilteredLogEvent::default()
                });
            }
            if is_all {
                return Ok(events);
            }
        }
    }

    /// Prints what is there, and with `follow` what comes, until every task is gone.
    pub async fn print(mut self, planner: &mut Planner, args: &super::Args, since: i64) -> anyhow::Result<bool> {
        let mut first = std::mem::take(&mut self.first);
        first.retain(|event| event.timestamp.unwrap_or_default() >= since);
        let skipped = args.tail.map_or(0, |tail| first.len().saturating_sub(tail));
        let mut printer = Printer::new(Output::new(), self.streams());
        printer.print(&self.plan, &first[skipped..])?;
        if !args.follow {
            return Ok(printer.has_printed());
        }
        loop {
            tokio::time::sleep(POLL).await;
            if !printer.is_read() {
                return Err(OutputError::Closed.into());
            }
            // Looked at before the lines: nothing comes after the end of the last one.
            let is_over = planner.is_over().await?;
            let mut events = Vec::new();
            let mut tasks = std::mem::take(&mut self.tasks);
            for (id, next) in &mut tasks {
                // A task that is gone says nothing.
                events.extend(self.read(id, next).await.unwrap_or_default());
            }
            self.tasks = tasks;
            events.sort_by_key(|event| event.timestamp);
            printer.print(&self.plan, &events)?;
            if is_over {
                return Ok(printer.has_printed());
            }
        }
    }

    /// One task's one container is not mixed up with others, even while it is followed.
    fn streams(&self) -> Streams {
        match &self.plan.wanted {
            Wanted::Streams(streams) if streams.len() < 2 && self.tasks.len() == 1 => Streams::One,
            _ => Streams::Several,
        }
    }
}
