//! The one thread that accepts anything. It takes what waits, makes it durable in one go, and then answers everybody.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use stdx::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::directory::sync_directory;
use crate::error::{ChangeError, StoreError};
use crate::event::{GroupKey, LogEvent, StreamKey};
use crate::group::{Found, Group};
use crate::limits::{TURN_BYTES_MAX, TURN_REQUESTS_MAX};
use crate::meta::{GroupChange, Meta, NewGroup};
use crate::options::Options;
use crate::seal::{Backlog, Job};
use crate::streams::{self, Stream, put_deleted};
use crate::turn::{Answer, Batches, Pending};
use crate::wal::WalFile;

pub(crate) type Groups = Arc<RwLock<BTreeMap<GroupKey, Arc<Group>>>>;

pub(crate) struct Request {
    pub(crate) change: Change,
    /// The bytes it holds.
    pub(crate) bytes: usize,
    pub(crate) answer: Answer,
    /// Its place in the queue, given back when the request is gone.
    pub(crate) place: OwnedSemaphorePermit,
}

pub(crate) enum Change {
    Put { stream: StreamKey, events: Vec<LogEvent>, ingestion_ms: i64 },
    CreateStream { stream: StreamKey, created_ms: i64 },
    DeleteStream { stream: StreamKey },
    CreateGroup { key: GroupKey, created_ms: i64, new: NewGroup },
    DeleteGroup { key: GroupKey },
    AlterGroup { key: GroupKey, change: GroupChange },
    Expire { now: Timestamp },
    Seal,
}

pub(crate) struct Writer {
    pub(crate) root: PathBuf,
    pub(crate) groups: Groups,
    pub(crate) options: Options,
    pub(crate) next_directory: u64,
    pub(crate) next_file: u64,
    pub(crate) active: Option<Active>,
    pub(crate) broken: Option<StoreError>,
    /// The sealer did not keep up when we last waited for it; then nobody waits again till it does.
    pub(crate) behind: bool,
    pub(crate) jobs: Sender<Job>,
    pub(crate) backlog: Arc<Backlog>,
    /// Held for as long as anybody writes.
    pub(crate) _lock: Arc<fs::File>,
}

/// The file of the write-ahead log that is written to.
pub(crate) struct Active {
    file: Arc<WalFile>,
    length: u64,
    records: usize,
    since: Instant,
    groups: BTreeMap<u64, Arc<Group>>,
}

impl Writer {
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let first = match self.until_old() {
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => requests.recv_timeout(wait),
            };
            let first = match first {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.rotate();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut turn = vec![first];
            let mut bytes = turn[0].bytes;
            while turn.len() < TURN_REQUESTS_MAX
                && bytes < TURN_BYTES_MAX
                && let Ok(next) = requests.try_recv()
            {
                bytes += next.bytes;
                turn.push(next);
            }
            self.turn(turn);
        }
    }

    /// How long the events that were written may still wait to be sealed. No events wait for ever.
    fn until_old(&self) -> Option<Duration> {
        let active = self.active.as_ref()?;
        Some(self.options.wal_age_max.saturating_sub(active.since.elapsed()))
    }

    fn turn(&mut self, turn: Vec<Request>) {
        let mut pending: BTreeMap<GroupKey, Pending> = BTreeMap::new();
        // Places are given back when the turn is over, so what waits in memory stays bounded.
        let mut places = Vec::with_capacity(turn.len());
        for Request { change, answer, place, .. } in turn {
            places.push(place);
            match change {
                Change::Put { stream, events, ingestion_ms } => {
                    let found =
                        self.stream_id(&stream).and_then(|id| Ok((id, self.pending(&mut pending, &stream.group)?)));
                    respond(found, answer, |(id, pending), answer| pending.put(id, &events, ingestion_ms, answer));
                }
                Change::CreateStream { stream, created_ms } => {
                    let found = self.create_stream(&mut pending, &stream, created_ms);
                    respond(found, answer, |(pending, made), answer| {
                        pending.create_stream(&stream.stream, &made, answer);
                    });
                }
                // Everything else is rare, and comes after what was handed over before it.
                other => {
                    self.finish(&mut pending);
                    self.apply(other, answer);
                }
            }
        }
        self.finish(&mut pending);
    }

    fn finish(&mut self, pending: &mut BTreeMap<GroupKey, Pending>) {
        let batches = Batches::gather(std::mem::take(pending));
        if batches.records == 0 {
            return;
        }
        let active = match self.room_for(&batches) {
            Ok(active) => active,
            Err(error) => return batches.failed(&error),
        };
        if let Err(error) = active.file.append(active.length, &batches.bytes) {
            if let StoreError::Broken { .. } = error {
                self.broken = Some(error.clone());
            }
            return batches.failed(&error);
        }
        let offset = active.length;
        active.length += batches.bytes.len() as u64;
        active.records += batches.records;
        active.groups.extend(batches.groups().map(|group| (group.number, group.clone())));
        let file = active.file.clone();
        batches.written(&file, offset);
    }

    /// The file to write to, which is a new one when the last is full.
    fn room_for(&mut self, batches: &Batches) -> Result<&mut Active, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let is_full = self.active.as_ref().is_some_and(|active| {
            active.records > 0
                && (active.length + batches.bytes.len() as u64 > self.options.wal_file_bytes_max
                    || active.records + batches.records > self.options.wal_file_records_max)
        });
        if is_full {
            self.rotate();
        }
        if self.active.is_none() {
            let patience = if self.behind { Duration::ZERO } else { self.options.wal_patience };
            self.behind = !self.backlog.wait_for_room(patience);
            if self.behind {
                return Err(StoreError::Behind);
            }
            let file = Arc::new(WalFile::create(&self.root.join("wal"), self.next_file)?);
            self.next_file += 1;
            let length = crate::frame::MAGIC_BYTES as u64;
            self.active = Some(Active { file, length, records: 0, since: Instant::now(), groups: BTreeMap::new() });
        }
        self.active.as_mut().ok_or(StoreError::Behind)
    }

    /// Ends the file that is written to, and has it sealed.
    fn rotate(&mut self) {
        let Some(active) = self.active.take() else { return };
        self.backlog.add();
        let groups = active.groups.into_values().collect();
        let _ = self.jobs.send(Job::Seal { file: active.file, groups });
    }

    fn group(&self, key: &GroupKey) -> Result<Arc<Group>, ChangeError> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.get(key).cloned().ok_or(ChangeError::GroupNotFound)
    }

    fn stream_id(&self, stream: &StreamKey) -> Result<u64, ChangeError> {
        let found = self.group(&stream.group)?.read(|state| state.streams.get(stream.stream.as_str()).map(|s| s.id));
        found.map_err(ChangeError::Write)?.ok_or(ChangeError::StreamNotFound)
    }

    fn pending<'p>(
        &self,
        pending: &'p mut BTreeMap<GroupKey, Pending>,
        key: &GroupKey,
    ) -> Result<&'p mut Pending, ChangeError> {
        if !pending.contains_key(key) {
            let group = self.group(key)?;
            let next_number = group.read(|state| state.next_number).map_err(ChangeError::Write)?;
            pending.insert(key.clone(), Pending::new(group, next_number));
        }
        pending.get_mut(key).ok_or(ChangeError::GroupNotFound)
    }

    fn create_stream<'p>(
        &self,
        pending: &'p mut BTreeMap<GroupKey, Pending>,
        stream: &StreamKey,
        created_ms: i64,
    ) -> Result<(&'p mut Pending, Stream), ChangeError> {
        let group = self.group(&stream.group)?;
        let made = group.change(|state| match state.streams.contains_key(stream.stream.as_str()) {
            true => None,
            false => Some(state.add_stream(&stream.stream, created_ms)),
        });
        let made = made.map_err(ChangeError::Write)?.ok_or(ChangeError::StreamExists)?;
        Ok((self.pending(pending, &stream.group)?, made))
    }

    /// What is answered here, and what the sealer answers.
    fn apply(&mut self, change: Change, answer: Answer) {
        let done = match change {
            Change::CreateGroup { key, created_ms, new } => self.create_group(key, created_ms, new),
            Change::DeleteGroup { key } => self.delete_group(&key),
            Change::AlterGroup { key, change } => self.change_group(&key, change),
            Change::DeleteStream { stream } => self.delete_stream(&stream),
            Change::Expire { now } => return drop(self.jobs.send(Job::Expire { now, answer })),
            Change::Seal => {
                self.rotate();
                return drop(self.jobs.send(Job::Sealed { answer }));
            }
            Change::Put { .. } | Change::CreateStream { .. } => unreachable!("these are gathered, not applied"),
        };
        let _ = answer.send(done);
    }

    fn create_group(&mut self, key: GroupKey, created_ms: i64, new: NewGroup) -> Result<(), ChangeError> {
        if self.group(&key).is_ok() {
            return Err(ChangeError::GroupExists);
        }
        let number = self.next_directory;
        let directory = self.root.join(format!("{number:016x}"));
        self.next_directory += 1;
        let meta = Meta::new(&key, created_ms, new);
        let made = fs::create_dir(&directory).map_err(StoreError::io("create", &directory));
        made.and_then(|()| meta.save(&directory))
            .and_then(|()| sync_directory(&self.root))
            .map_err(ChangeError::Write)?;
        let group = Arc::new(Group::new(number, directory, meta, Found::default()));
        self.groups.write().unwrap_or_else(PoisonError::into_inner).insert(key, group);
        Ok(())
    }

    fn delete_group(&mut self, key: &GroupKey) -> Result<(), ChangeError> {
        let group = self.group(key)?;
        let doomed = group.directory.with_extension("deleted");
        let gone = fs::rename(&group.directory, &doomed).map_err(StoreError::io("delete", &group.directory));
        gone.and_then(|()| sync_directory(&self.root)).map_err(ChangeError::Write)?;
        group.mark_deleted();
        self.groups.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        // The name is gone for good; what cannot be removed now is removed at the next start.
        let _ = self.jobs.send(Job::Purge { group: group.number, directory: doomed });
        Ok(())
    }

    fn change_group(&self, key: &GroupKey, change: GroupChange) -> Result<(), ChangeError> {
        let group = self.group(key)?;
        let mut meta = group.meta();
        meta.apply(change);
        meta.save(&group.directory).map_err(ChangeError::Write)?;
        *group.meta.write().unwrap_or_else(PoisonError::into_inner) = meta;
        Ok(())
    }

    fn delete_stream(&mut self, stream: &StreamKey) -> Result<(), ChangeError> {
        let group = self.group(&stream.group)?;
        group.check_sound().map_err(ChangeError::Write)?;
        let id = self.stream_id(stream)?;
        let mut entry = Vec::new();
        put_deleted(&mut entry, id);
        streams::append(&group, &entry).map_err(ChangeError::Write)?;
        group.change(|state| state.remove_stream(&stream.stream)).map_err(ChangeError::Write)?;
        let _ = self.jobs.send(Job::Sweep { group });
        Ok(())
    }
}

/// Gives the answer to whoever goes on with it, or says at once why there is nothing to go on with.
fn respond<T>(found: Result<T, ChangeError>, answer: Answer, go_on: impl FnOnce(T, Answer)) {
    match found {
        Ok(found) => go_on(found, answer),
        Err(error) => drop(answer.send(Err(error))),
    }
}
