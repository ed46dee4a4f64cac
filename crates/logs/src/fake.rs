//! CloudWatch Logs in memory, for tests: it keeps what is put, and fails when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::sink::{Event, LogSink, SinkError, now_ms};

/// Groups, streams and events, and a list of what was asked.
pub struct FakeSink {
    state: Mutex<State>,
    hangs: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    groups: BTreeMap<String, BTreeMap<String, Vec<(i64, Event)>>>,
    calls: Vec<String>,
    batches: Vec<Vec<Event>>,
    failures: VecDeque<SinkError>,
    loses_answer: bool,
}

/// A refusal with a code of AWS.
pub fn refusal(code: &str, message: &str) -> SinkError {
    SinkError::Refused { code: code.to_owned(), message: message.to_owned(), status: 400 }
}

impl Default for FakeSink {
    fn default() -> FakeSink {
        FakeSink { state: Mutex::default(), hangs: watch::Sender::new(false) }
    }
}

impl FakeSink {
    /// A service that knows this group.
    pub fn with_group(group: &str) -> FakeSink {
        let fake = FakeSink::default();
        fake.state().groups.insert(group.to_owned(), BTreeMap::new());
        fake
    }

    /// The next call fails thus, and if told several times, the ones after it.
    pub fn fail_next(&self, error: SinkError) {
        self.state().failures.push_back(error);
    }

    /// The next put is done, and nobody hears so.
    pub fn lose_next_answer(&self) {
        self.state().loses_answer = true;
    }

    /// From now on calls do not answer, until told otherwise; then the waiting ones do.
    pub fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    pub fn delete_group(&self, group: &str) {
        self.state().groups.remove(group);
    }

    pub fn delete_stream(&self, group: &str, stream: &str) {
        if let Some(streams) = self.state().groups.get_mut(group) {
            streams.remove(stream);
        }
    }

    /// What a stream holds. `None` if there is no such stream.
    pub fn events(&self, group: &str, stream: &str) -> Option<Vec<Event>> {
        let stored = self.state().groups.get(group)?.get(stream)?.clone();
        Some(stored.into_iter().map(|(_, event)| event).collect())
    }

    /// Every call so far: `create_group g`, `create_stream g s`, `put g s`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Every batch that was stored, of all streams.
    pub fn batches(&self) -> Vec<Vec<Event>> {
        self.state().batches.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call is known before it hangs or fails.
    async fn called(&self, call: String) -> Result<(), SinkError> {
        self.state().calls.push(call);
        // The sender lives as long as we do.
        let _ = self.hangs.subscribe().wait_for(|hangs| !hangs).await;
        match self.state().failures.pop_front() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

fn missing(what: &str) -> SinkError {
    refusal("ResourceNotFoundException", &format!("The specified log {what} does not exist."))
}

fn exists(what: &str) -> SinkError {
    refusal("ResourceAlreadyExistsException", &format!("The specified log {what} already exists"))
}

#[async_trait]
impl LogSink for FakeSink {
    async fn create_group(&self, group: &str) -> Result<(), SinkError> {
        self.called(format!("create_group {group}")).await?;
        let mut state = self.state();
        if state.groups.contains_key(group) {
            return Err(exists("group"));
        }
        state.groups.insert(group.to_owned(), BTreeMap::new());
        Ok(())
    }

    async fn create_stream(&self, group: &str, stream: &str) -> Result<(), SinkError> {
        self.called(format!("create_stream {group} {stream}")).await?;
        let mut state = self.state();
        let streams = state.groups.get_mut(group).ok_or_else(|| missing("group"))?;
        if streams.contains_key(stream) {
            return Err(exists("stream"));
        }
        streams.insert(stream.to_owned(), Vec::new());
        Ok(())
    }

    async fn put(&self, group: &str, stream: &str, events: &[Event]) -> Result<(), SinkError> {
        self.called(format!("put {group} {stream}")).await?;
        let mut state = self.state();
        let streams = state.groups.get_mut(group).ok_or_else(|| missing("group"))?;
        let stored = streams.get_mut(stream).ok_or_else(|| missing("stream"))?;
        let now = now_ms();
        stored.extend(events.iter().map(|event| (now, event.clone())));
        state.batches.push(events.to_vec());
        match std::mem::take(&mut state.loses_answer) {
            true => Err(SinkError::Unreachable("connection reset".to_owned())),
            false => Ok(()),
        }
    }

    async fn stored(
        &self,
        group: &str,
        stream: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<(i64, Event)>, SinkError> {
        self.called(format!("stored {group} {stream}")).await?;
        let state = self.state();
        let streams = state.groups.get(group).ok_or_else(|| missing("group"))?;
        let stored = streams.get(stream).ok_or_else(|| missing("stream"))?;
        let within = |(_, event): &&(i64, Event)| (from_ms..=to_ms).contains(&event.timestamp_ms);
        let mut found: Vec<_> = stored.iter().filter(within).cloned().collect();
        found.sort_by_key(|(_, event)| event.timestamp_ms);
        Ok(found)
    }
}
