//! What one turn of the writer adds to one group: gathered in memory, written at once, made durable, then seen.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::directory::sync_directory;
use crate::error::{ChangeError, StoreError};
use crate::event::LogEvent;
use crate::frame::MAGIC_BYTES;
use crate::group::{Active, Group, STREAMS_MAGIC, Stream, put_created, segment_path, streams_path};
use crate::index::{Index, Record, SEGMENT_MAGIC, put_record};
use crate::limits::FILES_OPEN_MAX;

pub(crate) type Answer = oneshot::Sender<Result<(), ChangeError>>;

pub(crate) struct Pending {
    group: Arc<Group>,
    events: Vec<u8>,
    /// Offsets are relative to `events`; each with its ingestion time.
    records: Vec<(Record, i64)>,
    next_number: u64,
    streams: Vec<u8>,
    /// The names of the streams in `streams`.
    created: Vec<String>,
    answers: Vec<Answer>,
}

/// The newest segments that are open for writing, by their path.
#[derive(Default)]
pub(crate) struct OpenFiles(HashMap<PathBuf, File>);

impl OpenFiles {
    pub(crate) fn forget(&mut self, group: &Group) {
        self.0.retain(|path, _| !path.starts_with(&group.directory));
    }

    fn segment(&mut self, path: PathBuf) -> Result<&File, StoreError> {
        if self.0.len() >= FILES_OPEN_MAX && !self.0.contains_key(&path) {
            self.0.clear();
        }
        match self.0.entry(path) {
            std::collections::hash_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::hash_map::Entry::Vacant(none) => {
                let path = none.key().clone();
                let opened = OpenOptions::new().write(true).open(&path).map_err(StoreError::io("open", &path))?;
                Ok(none.insert(opened))
            }
        }
    }
}

impl Pending {
    pub(crate) fn new(group: Arc<Group>, next_number: u64) -> Pending {
        let (events, records, streams) = (Vec::new(), Vec::new(), Vec::new());
        Pending { group, events, records, next_number, streams, created: Vec::new(), answers: Vec::new() }
    }

    pub(crate) fn put(&mut self, stream: u64, events: &[LogEvent], ingestion_ms: i64, answer: Answer) {
        let record = put_record(&mut self.events, stream, self.next_number, ingestion_ms, events);
        self.next_number += events.len() as u64;
        self.records.push((record, ingestion_ms));
        self.answers.push(answer);
    }

    pub(crate) fn create_stream(&mut self, name: &str, stream: &Stream, answer: Answer) {
        put_created(&mut self.streams, name, stream);
        self.created.push(name.to_owned());
        self.answers.push(answer);
    }

    /// Makes everything durable, shows it, and answers. After an error nothing of the events is seen.
    pub(crate) fn finish(self, files: &mut OpenFiles) {
        let group = self.group.clone();
        match self.write(files) {
            Ok(answers) => answers.into_iter().for_each(|answer| drop(answer.send(Ok(())))),
            Err((error, answers)) => {
                tracing::error!(group = %group.meta().name, error = &error as &dyn std::error::Error, "failed to write logs");
                for answer in answers {
                    let _ = answer.send(Err(ChangeError::Write(error.clone())));
                }
            }
        }
    }

    fn write(mut self, files: &mut OpenFiles) -> Result<Vec<Answer>, (StoreError, Vec<Answer>)> {
        let answers = std::mem::take(&mut self.answers);
        let written =
            self.group.check_sound().and_then(|()| self.append_streams()).and_then(|()| self.append_events(files));
        match written {
            Ok(()) => Ok(answers),
            Err(error) => Err((error, answers)),
        }
    }

    fn append_streams(&self) -> Result<(), StoreError> {
        if self.streams.is_empty() {
            return Ok(());
        }
        append_to_streams(&self.group, &self.streams).inspect_err(|_| {
            // They were there for whoever came in the same turn; nobody was told that they exist.
            let _ = self.group.change(|state| {
                for name in &self.created {
                    state.remove_stream(name);
                }
            });
        })
    }

    fn append_events(&mut self, files: &mut OpenFiles) -> Result<(), StoreError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let directory = self.group.directory.clone();
        let (number, length) = self.group.read(|state| match &state.active {
            Some(active) => (active.number, active.length),
            None => (state.next_segment, 0),
        })?;
        let path = segment_path(&directory, number);
        let length = if length == 0 { create_segment(&self.group, number)? } else { length };
        let file = files.segment(path.clone())?;
        if let Err(error) = file.write_all_at(&self.events, length) {
            // Cut off what was written, so that space comes back and the next append starts on clean ground.
            if file.set_len(length).is_err() {
                self.group.mark_broken();
            }
            return Err(StoreError::io("write", &path)(error));
        }
        if let Err(error) = file.sync_data() {
            // After a failed fsync nobody knows what is on the disk; only reading it anew can tell.
            self.group.mark_broken();
            return Err(StoreError::io("make durable", &path)(error));
        }
        let records = std::mem::take(&mut self.records);
        let (grown, next_number) = (length + self.events.len() as u64, self.next_number);
        self.group.change(|state| {
            state.next_number = next_number;
            if let Some(active) = &mut state.active {
                active.length = grown;
                for (record, ingestion_ms) in records {
                    let offset = record.offset + length as u32;
                    active.index.push(Record { offset, ..record }, ingestion_ms);
                    count(&mut state.streams, &state.names, record, ingestion_ms);
                }
            }
        })
    }
}

/// Adds a record to what is known of its stream.
fn count(
    streams: &mut std::collections::BTreeMap<Arc<str>, Stream>,
    names: &HashMap<u64, Arc<str>>,
    record: Record,
    ingestion_ms: i64,
) {
    let Some(stream) = names.get(&record.stream).and_then(|name| streams.get_mut(name)) else { return };
    let mut one = Index::default();
    one.push(record, ingestion_ms);
    for stats in one.streams.into_values() {
        crate::index::StreamStats::merge(&mut stream.stats, stats);
    }
}

/// Makes the next segment, durably, and returns where its first record goes.
fn create_segment(group: &Group, number: u64) -> Result<u64, StoreError> {
    let path = segment_path(&group.directory, number);
    let made = File::create(&path).and_then(|mut file| file.write_all(SEGMENT_MAGIC).and_then(|()| file.sync_all()));
    made.map_err(StoreError::io("create", &path))?;
    sync_directory(&group.directory)?;
    let length = MAGIC_BYTES as u64;
    group.change(|state| {
        state.next_segment = number + 1;
        state.active = Some(Active { number, length, index: Index::default() });
    })?;
    Ok(length)
}

/// Appends to `streams.log`, durably, and leaves no half of it behind.
pub(crate) fn append_to_streams(group: &Group, bytes: &[u8]) -> Result<(), StoreError> {
    let path = streams_path(&group.directory);
    let error = |action| StoreError::io(action, &path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(error("open"))?;
    let before = file.seek(SeekFrom::End(0)).map_err(error("open"))?;
    let fresh = before == 0;
    let written = match fresh {
        true => file.write_all(STREAMS_MAGIC).and_then(|()| file.write_all(bytes)),
        false => file.write_all(bytes),
    };
    if let Err(failed) = written {
        if file.set_len(before).is_err() {
            group.mark_broken();
        }
        return Err(error("write")(failed));
    }
    if let Err(failed) = file.sync_data() {
        group.mark_broken();
        return Err(error("make durable")(failed));
    }
    if fresh { sync_directory(&group.directory) } else { Ok(()) }
}
