//! The one thread that changes anything. It takes what waits, adds it to its groups, and then answers everybody.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use stdx::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::directory::{remove, sync_directory};
use crate::error::{ChangeError, StoreError};
use crate::event::{GroupKey, LogEvent, Position, StreamKey};
use crate::group::{Group, Sealed, index_path, put_deleted, segment_path};
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_RECORDS_MAX, TURN_BYTES_MAX, TURN_REQUESTS_MAX};
use crate::meta::{GroupChange, Meta, NewGroup};
use crate::pending::{Answer, OpenFiles, Pending, append_to_streams};

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
}

pub(crate) struct Writer {
    pub(crate) root: PathBuf,
    pub(crate) groups: Groups,
    pub(crate) next_directory: u64,
    pub(crate) files: OpenFiles,
    /// Held for as long as the thread writes.
    pub(crate) _lock: fs::File,
}

impl Writer {
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
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
                    let _ = answer.send(self.apply(other));
                }
            }
        }
        self.finish(&mut pending);
    }

    fn finish(&mut self, pending: &mut BTreeMap<GroupKey, Pending>) {
        for (key, pending) in std::mem::take(pending) {
            pending.finish(&mut self.files);
            if let Ok(group) = self.group(&key)
                && let Err(error) = seal_if_full(&group, false)
            {
                // The segment simply grows on; the next turn tries again.
                tracing::warn!(group = %key.group, error = &error as &dyn std::error::Error, "failed to seal a segment");
            }
        }
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
    ) -> Result<(&'p mut Pending, crate::group::Stream), ChangeError> {
        let group = self.group(&stream.group)?;
        let made = group.change(|state| match state.streams.contains_key(stream.stream.as_str()) {
            true => None,
            false => Some(state.add_stream(&stream.stream, created_ms)),
        });
        let made = made.map_err(ChangeError::Write)?.ok_or(ChangeError::StreamExists)?;
        Ok((self.pending(pending, &stream.group)?, made))
    }

    fn apply(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::CreateGroup { key, created_ms, new } => self.create_group(key, created_ms, new),
            Change::DeleteGroup { key } => self.delete_group(&key),
            Change::AlterGroup { key, change } => self.change_group(&key, change),
            Change::DeleteStream { stream } => self.delete_stream(&stream),
            Change::Expire { now } => self.expire(now),
            Change::Put { .. } | Change::CreateStream { .. } => unreachable!("these are gathered, not applied"),
        }
    }

    fn create_group(&mut self, key: GroupKey, created_ms: i64, new: NewGroup) -> Result<(), ChangeError> {
        if self.group(&key).is_ok() {
            return Err(ChangeError::GroupExists);
        }
        let directory = self.root.join(format!("{:016x}", self.next_directory));
        self.next_directory += 1;
        let meta = Meta::new(&key, created_ms, new);
        let made = fs::create_dir(&directory).map_err(StoreError::io("create", &directory));
        made.and_then(|()| meta.save(&directory))
            .and_then(|()| sync_directory(&self.root))
            .map_err(ChangeError::Write)?;
        let group = Arc::new(Group::new(directory, meta));
        self.groups.write().unwrap_or_else(PoisonError::into_inner).insert(key, group);
        Ok(())
    }

    fn delete_group(&mut self, key: &GroupKey) -> Result<(), ChangeError> {
        let group = self.group(key)?;
        let doomed = group.directory.with_extension("deleted");
        let gone = fs::rename(&group.directory, &doomed).map_err(StoreError::io("delete", &group.directory));
        gone.and_then(|()| sync_directory(&self.root)).map_err(ChangeError::Write)?;
        self.groups.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.files.forget(&group);
        // The name is gone for good; what cannot be removed now is removed at the next start.
        if let Err(error) = fs::remove_dir_all(&doomed) {
            tracing::warn!(directory = %doomed.display(), %error, "failed to remove a deleted log group");
        }
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
        append_to_streams(&group, &entry).map_err(ChangeError::Write)?;
        group.change(|state| state.remove_stream(&stream.stream)).map_err(ChangeError::Write)?;
        let names = group.read(|state| state.names.clone()).map_err(ChangeError::Write)?;
        drop_segments(&group, |sealed| !sealed.streams.keys().any(|id| names.contains_key(id)))
            .map_err(ChangeError::Write)
    }

    /// Removes segments that hold nothing younger than the retention of their group.
    fn expire(&mut self, now: Timestamp) -> Result<(), ChangeError> {
        let groups: Vec<_> = self.groups.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for group in groups {
            let Some(days) = group.meta().retention_days else { continue };
            let cutoff = Position::start_of((now - Duration::from_secs(u64::from(days) * 24 * 3600)).as_millis());
            let old = group.read(|state| state.active.as_ref().is_some_and(|active| active.index.last() < cutoff));
            if old.map_err(ChangeError::Write)? {
                seal_if_full(&group, true).map_err(ChangeError::Write)?;
                self.files.forget(&group);
            }
            drop_segments(&group, |sealed| sealed.last < cutoff).map_err(ChangeError::Write)?;
        }
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

fn drop_segments(group: &Group, useless: impl Fn(&Sealed) -> bool) -> Result<(), StoreError> {
    for number in group.change(|state| state.drop_segments(useless))? {
        // The events first: an index without events is nothing, events without an index come back.
        remove(&segment_path(&group.directory, number))?;
        remove(&index_path(&group.directory, number))?;
    }
    Ok(())
}

/// Gives the newest segment its index and ends it, when it is full, or when it is told to and there is something in it.
fn seal_if_full(group: &Group, now: bool) -> Result<(), StoreError> {
    let full = group.read(|state| {
        state
            .active
            .as_ref()
            .filter(|active| {
                let full = active.length >= SEGMENT_BYTES_MAX || active.index.records.len() >= SEGMENT_RECORDS_MAX;
                full || (now && !active.index.records.is_empty())
            })
            .map(|active| (active.number, active.index.clone()))
    })?;
    let Some((number, index)) = full else { return Ok(()) };
    index.save(&index_path(&group.directory, number))?;
    group.change(|state| {
        state.active = None;
        state.sealed.push(Arc::new(Sealed::new(number, index)));
    })
}
