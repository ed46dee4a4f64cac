//! One log group: its directory, and what memory keeps of it.
//!
//! The directory holds `group.json` and `streams.log`, which is read when the group is first used, so that a start costs
//! one small file per group. Events lie in the write-ahead log, and then in segments.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::error::StoreError;
use crate::meta::Meta;
use crate::segment::Sealed;
use crate::stats::StreamStats;
use crate::streams::{self, Stream};
use crate::wal::record::Record;
use crate::wal::{WalFile, WalPart};

pub(crate) struct Group {
    /// The number of its directory, which names it in the write-ahead log and in the manifest. Never given out twice.
    pub(crate) number: u64,
    pub(crate) directory: PathBuf,
    pub(crate) meta: RwLock<Meta>,
    found: Mutex<Found>,
    state: RwLock<Option<State>>,
    /// Set when the disk may have lost what was written; no stream is made or deleted any more until the next start.
    broken: AtomicBool,
    deleted: AtomicBool,
}

/// Events that were there when the store was opened.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) wal: Vec<WalPart>,
    pub(crate) next_number: u64,
}

/// What memory keeps of a group that is in use. The writer adds streams and batches; the sealer turns batches into
/// segments, and segments into others.
pub(crate) struct State {
    pub(crate) streams: BTreeMap<Arc<str>, Stream>,
    /// The same streams by their number; numbers are never given out twice.
    pub(crate) names: Arc<HashMap<u64, Arc<str>>>,
    pub(crate) next_stream: u64,
    pub(crate) sealed: Vec<Arc<Sealed>>,
    /// In the order of their files.
    pub(crate) wal: Vec<WalPart>,
    /// The ingestion number of the next event.
    pub(crate) next_number: u64,
}

impl Group {
    pub(crate) fn new(number: u64, directory: PathBuf, meta: Meta, found: Found) -> Group {
        Group {
            number,
            directory,
            meta: RwLock::new(meta),
            found: Mutex::new(found),
            state: RwLock::new(None),
            broken: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
        }
    }

    pub(crate) fn meta(&self) -> Meta {
        self.meta.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check_sound(&self) -> Result<(), StoreError> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(StoreError::Broken { path: self.directory.clone() }),
            false => Ok(()),
        }
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Whether the write-ahead log had anything when the store was opened. Only then.
    pub(crate) fn has_found_batches(&self) -> bool {
        !self.found.lock().unwrap_or_else(PoisonError::into_inner).wal.is_empty()
    }

    /// Looks at the state, and reads it from disk first when nobody has yet.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        let held: RwLockReadGuard<'_, _> = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = &*held {
            return Ok(look(state));
        }
        drop(held);
        self.change(|state| look(state))
    }

    /// Changes the state; for writer and sealer.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut held = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            let (streams, next_stream) = streams::load(&self.directory)?;
            let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
            *held = Some(State::new(streams, next_stream, found));
        }
        match &mut *held {
            Some(state) => Ok(change(state)),
            None => unreachable!("the state has just been read"),
        }
    }
}

impl State {
    fn new(streams: BTreeMap<Arc<str>, Stream>, next_stream: u64, found: Found) -> State {
        let names = Arc::new(streams.iter().map(|(name, stream)| (stream.id, name.clone())).collect());
        let Found { sealed, wal, next_number } = found;
        let mut state = State { streams, names, next_stream, sealed, wal, next_number: next_number.max(1) };
        state.recount();
        state
    }

    /// What each stream holds, from what segments and write-ahead log hold.
    pub(crate) fn recount(&mut self) {
        let mut totals: HashMap<u64, Option<StreamStats>> = HashMap::new();
        let sealed = self.sealed.iter().flat_map(|sealed| sealed.streams.iter().copied());
        let waiting = self.wal.iter().flat_map(|part| part.records.iter().map(stats));
        for (id, stats) in sealed.chain(waiting) {
            StreamStats::merge(totals.entry(id).or_default(), stats);
        }
        for stream in self.streams.values_mut() {
            stream.stats = totals.get(&stream.id).copied().flatten();
        }
    }

    pub(crate) fn add_stream(&mut self, name: &str, created_ms: i64) -> Stream {
        let stream = Stream { id: self.next_stream, created_ms, stats: None };
        self.next_stream += 1;
        let name: Arc<str> = name.into();
        Arc::make_mut(&mut self.names).insert(stream.id, name.clone());
        self.streams.insert(name, stream.clone());
        stream
    }

    pub(crate) fn remove_stream(&mut self, name: &str) -> Option<Stream> {
        let stream = self.streams.remove(name)?;
        Arc::make_mut(&mut self.names).remove(&stream.id);
        Some(stream)
    }

    /// Adds batches that are durable in a file of the write-ahead log.
    pub(crate) fn add_batches(&mut self, file: &Arc<WalFile>, records: &[Record], next_number: u64) {
        self.next_number = next_number;
        if self.wal.last().is_none_or(|part| part.file.number != file.number) {
            self.wal.push(WalPart { file: file.clone(), records: Vec::new() });
        }
        if let Some(part) = self.wal.last_mut() {
            part.records.extend_from_slice(records);
        }
        for record in records {
            let (id, more) = stats(record);
            let Some(stream) = self.names.get(&id).and_then(|name| self.streams.get_mut(name)) else { continue };
            StreamStats::merge(&mut stream.stats, more);
        }
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.streams.values().filter_map(|stream| stream.stats).map(|stats| stats.bytes).sum()
    }
}

fn stats(record: &Record) -> (u64, StreamStats) {
    let stats = StreamStats {
        first_ms: record.first_ms,
        last_ms: record.last_ms,
        ingestion_ms: record.ingestion_ms,
        bytes: record.weight,
    };
    (record.stream, stats)
}
