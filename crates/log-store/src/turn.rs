//! What one turn of the writer adds: gathered in memory by group, made durable at once, then seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{ChangeError, StoreError};
use crate::event::{GroupKey, LogEvent};
use crate::group::Group;
use crate::streams::{self, Stream, put_created};
use crate::wal::WalFile;
use crate::wal::record::{Record, put_batch};

pub(crate) type Answer = oneshot::Sender<Result<(), ChangeError>>;

/// What a turn adds to one group.
pub(crate) struct Pending {
    pub(crate) group: Arc<Group>,
    batches: Vec<u8>,
    /// Offsets are relative to `batches`.
    records: Vec<Record>,
    next_number: u64,
    streams: Vec<u8>,
    /// The names of the streams in `streams`.
    created: Vec<String>,
    answers: Vec<Answer>,
}

impl Pending {
    pub(crate) fn new(group: Arc<Group>, next_number: u64) -> Pending {
        let (batches, records, streams) = (Vec::new(), Vec::new(), Vec::new());
        Pending { group, batches, records, next_number, streams, created: Vec::new(), answers: Vec::new() }
    }

    pub(crate) fn put(&mut self, stream: u64, events: &[LogEvent], ingestion_ms: i64, answer: Answer) {
        let record = put_batch(&mut self.batches, self.group.number, stream, self.next_number, ingestion_ms, events);
        self.next_number += events.len() as u64;
        self.records.push(record);
        self.answers.push(answer);
    }

    pub(crate) fn create_stream(&mut self, name: &str, stream: &Stream, answer: Answer) {
        put_created(&mut self.streams, name, stream);
        self.created.push(name.to_owned());
        self.answers.push(answer);
    }

    fn append_streams(&self) -> Result<(), StoreError> {
        if self.streams.is_empty() {
            return Ok(());
        }
        let appended = self.group.check_sound().and_then(|()| streams::append(&self.group, &self.streams));
        appended.inspect_err(|_| {
            // They were there for whoever came in the same turn; nobody was told that they exist.
            let _ = self.group.change(|state| {
                for name in &self.created {
                    state.remove_stream(name);
                }
            });
        })
    }

    fn answer(self, outcome: Result<(), &StoreError>) {
        if let Err(error) = outcome {
            let group = &self.group.meta().name;
            tracing::error!(group, error = error as &dyn std::error::Error, "failed to write logs");
        }
        for answer in self.answers {
            let _ = answer.send(outcome.map_err(|error| ChangeError::Write(error.clone())));
        }
    }
}

/// A turn's batches, whose streams are durable and which are not.
pub(crate) struct Batches {
    pending: Vec<Pending>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: usize,
}

impl Batches {
    /// Makes the streams durable, and gathers the batches. What fails is answered.
    pub(crate) fn gather(pending: BTreeMap<GroupKey, Pending>) -> Batches {
        let mut batches = Batches { pending: Vec::new(), bytes: Vec::new(), records: 0 };
        for mut pending in pending.into_values() {
            if let Err(error) = pending.append_streams() {
                pending.answer(Err(&error));
                continue;
            }
            if pending.records.is_empty() {
                pending.answer(Ok(()));
                continue;
            }
            let before = batches.bytes.len() as u32;
            pending.records.iter_mut().for_each(|record| record.offset += before);
            batches.bytes.append(&mut pending.batches);
            batches.records += pending.records.len();
            batches.pending.push(pending);
        }
        batches
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.pending.iter().map(|pending| &pending.group)
    }

    /// Shows what is durable now in a file, from `offset` on, and says so.
    pub(crate) fn written(self, file: &Arc<WalFile>, offset: u64) {
        for mut pending in self.pending {
            pending.records.iter_mut().for_each(|record| record.offset += offset as u32);
            let (records, next_number) = (&pending.records, pending.next_number);
            let shown = pending.group.change(|state| state.add_batches(file, records, next_number));
            match shown {
                Ok(()) => pending.answer(Ok(())),
                Err(error) => pending.answer(Err(&error)),
            }
        }
    }

    /// Nothing of it is there.
    pub(crate) fn failed(self, error: &StoreError) {
        self.pending.into_iter().for_each(|pending| pending.answer(Err(error)));
    }
}
