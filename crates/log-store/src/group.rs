//! One log group: its directory, and what memory keeps of it.
//!
//! The directory holds `group.json`, `streams.log` (streams made and deleted, in order), and segments of events
//! `<number>.seg`, each but the newest with its index `<number>.idx`. Everything but the first is read when the group
//! is first used, so that a start costs one small file per group.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::codec::{Reader, put_bytes, put_i64, put_u64};
use crate::directory::{remove, write_durably};
use crate::error::StoreError;
use crate::event::Position;
use crate::frame::{self, MAGIC_BYTES};
use crate::index::{Index, StreamStats};
use crate::meta::Meta;

pub(crate) const STREAMS_MAGIC: &[u8; MAGIC_BYTES] = b"BRTHSTR1";
const CREATED: u64 = 1;
const DELETED: u64 = 2;
/// `streams.log` is written anew on loading when it has this many more entries than there are streams.
const STREAMS_SLACK: usize = 1000;

pub(crate) struct Group {
    pub(crate) directory: PathBuf,
    pub(crate) meta: RwLock<Meta>,
    state: RwLock<Option<State>>,
    /// Set when the disk may have lost what was written; nothing more is written until the next start.
    broken: AtomicBool,
}

/// What memory keeps of a group that is in use. Only the writer changes it.
pub(crate) struct State {
    pub(crate) streams: BTreeMap<Arc<str>, Stream>,
    /// The same streams by their number; numbers are never given out twice.
    pub(crate) names: Arc<HashMap<u64, Arc<str>>>,
    pub(crate) next_stream: u64,
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) active: Option<Active>,
    pub(crate) next_segment: u64,
    /// The ingestion number of the next event.
    pub(crate) next_number: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) id: u64,
    pub(crate) created_ms: i64,
    pub(crate) stats: Option<StreamStats>,
}

/// A segment with its index beside it.
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) first: Position,
    pub(crate) last: Position,
    pub(crate) streams: BTreeMap<u64, StreamStats>,
}

/// The newest segment, whose index is in memory.
pub(crate) struct Active {
    pub(crate) number: u64,
    /// Where the next record goes; what lies behind is not acknowledged.
    pub(crate) length: u64,
    pub(crate) index: Index,
}

pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.seg"))
}

pub(crate) fn index_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.idx"))
}

pub(crate) fn streams_path(directory: &Path) -> PathBuf {
    directory.join("streams.log")
}

pub(crate) fn put_created(out: &mut Vec<u8>, name: &str, stream: &Stream) {
    frame::put_frame(out, |out| {
        put_u64(out, CREATED);
        put_u64(out, stream.id);
        put_i64(out, stream.created_ms);
        put_bytes(out, name.as_bytes());
    });
}

pub(crate) fn put_deleted(out: &mut Vec<u8>, id: u64) {
    frame::put_frame(out, |out| {
        put_u64(out, DELETED);
        put_u64(out, id);
    });
}

impl Group {
    pub(crate) fn new(directory: PathBuf, meta: Meta) -> Group {
        Group { directory, meta: RwLock::new(meta), state: RwLock::new(None), broken: AtomicBool::new(false) }
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

    /// Looks at the state, and reads it from disk first when nobody has yet.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        let held: RwLockReadGuard<'_, _> = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = &*held {
            return Ok(look(state));
        }
        drop(held);
        self.change(|state| look(state))
    }

    /// Changes the state; for the writer.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut held = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(State::load(&self.directory)?);
        }
        match &mut *held {
            Some(state) => Ok(change(state)),
            None => unreachable!("the state has just been read"),
        }
    }
}

impl State {
    fn load(directory: &Path) -> Result<State, StoreError> {
        let (streams, next_stream) = load_streams(directory)?;
        let names = Arc::new(streams.iter().map(|(name, stream)| (stream.id, name.clone())).collect());
        let mut state =
            State { streams, names, next_stream, sealed: Vec::new(), active: None, next_segment: 1, next_number: 1 };
        let numbers = segment_numbers(directory)?;
        for number in &numbers {
            state.load_segment(directory, *number, Some(number) == numbers.last())?;
        }
        state.recount();
        Ok(state)
    }

    fn load_segment(&mut self, directory: &Path, number: u64, newest: bool) -> Result<(), StoreError> {
        let (path, index_path) = (segment_path(directory, number), index_path(directory, number));
        self.next_segment = number + 1;
        let index = match Index::load(&index_path) {
            Some(index) => index,
            None => {
                let (index, end) = Index::rebuild(&path)?;
                if newest && end > 0 {
                    cut(&path, end)?;
                    self.next_number = self.next_number.max(index.last_number() + 1);
                    self.active = Some(Active { number, length: end, index });
                    return Ok(());
                }
                if index.records.is_empty() {
                    return remove(&path);
                }
                index.save(&index_path)?;
                index
            }
        };
        self.next_number = self.next_number.max(index.last_number() + 1);
        self.sealed.push(Arc::new(Sealed::new(number, index)));
        Ok(())
    }

    /// What each stream holds, from what the segments hold.
    pub(crate) fn recount(&mut self) {
        let mut totals: HashMap<u64, Option<StreamStats>> = HashMap::new();
        let active = self.active.iter().flat_map(|active| &active.index.streams);
        for (id, stats) in self.sealed.iter().flat_map(|sealed| &sealed.streams).chain(active) {
            StreamStats::merge(totals.entry(*id).or_default(), *stats);
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

    /// Takes out the sealed segments that `useless` names. The caller removes their files.
    pub(crate) fn drop_segments(&mut self, useless: impl Fn(&Sealed) -> bool) -> Vec<u64> {
        let mut dropped = Vec::new();
        self.sealed.retain(|sealed| {
            let keep = !useless(sealed);
            if !keep {
                dropped.push(sealed.number);
            }
            keep
        });
        if !dropped.is_empty() {
            self.recount();
        }
        dropped
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.streams.values().filter_map(|stream| stream.stats).map(|stats| stats.bytes).sum()
    }
}

impl Sealed {
    pub(crate) fn new(number: u64, index: Index) -> Sealed {
        Sealed { number, first: index.first(), last: index.last(), streams: index.streams }
    }
}

/// Cuts a torn tail off, durably: the next append must not leave a hole of old bytes behind it.
fn cut(path: &Path, end: u64) -> Result<(), StoreError> {
    let file = std::fs::OpenOptions::new().write(true).open(path).map_err(StoreError::io("open", path))?;
    let length = file.metadata().map_err(StoreError::io("read", path))?.len();
    if length > end {
        file.set_len(end).and_then(|()| file.sync_all()).map_err(StoreError::io("cut the torn tail of", path))?;
    }
    Ok(())
}

fn segment_numbers(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let entries = std::fs::read_dir(directory).map_err(StoreError::io("list", directory))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("list", directory))?.file_name();
        numbers.extend(
            name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|digits| digits.parse::<u64>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn load_streams(directory: &Path) -> Result<(BTreeMap<Arc<str>, Stream>, u64), StoreError> {
    let path = streams_path(directory);
    let mut streams: BTreeMap<Arc<str>, Stream> = BTreeMap::new();
    let mut names: HashMap<u64, Arc<str>> = HashMap::new();
    let (mut next, mut entries) = (1, 0);
    if !path.exists() {
        return Ok((streams, next));
    }
    let end = frame::scan(&path, STREAMS_MAGIC, |_, _, payload| {
        let mut reader = Reader::new(payload);
        let (kind, id) = (reader.u64().ok()?, reader.u64().ok()?);
        next = next.max(id + 1);
        entries += 1;
        match kind {
            CREATED => {
                let created_ms = reader.i64().ok()?;
                let name: Arc<str> = reader.text().ok()?.into();
                names.insert(id, name.clone());
                streams.insert(name, Stream { id, created_ms, stats: None });
            }
            DELETED => {
                if let Some(name) = names.remove(&id) {
                    streams.remove(&name);
                }
            }
            _ => return None,
        }
        Some(())
    })?;
    if end == 0 {
        remove(&path)?;
    } else if entries > streams.len() + STREAMS_SLACK {
        rewrite_streams(&path, &streams, next)?;
    } else {
        cut(&path, end)?;
    }
    Ok((streams, next))
}

fn rewrite_streams(path: &Path, streams: &BTreeMap<Arc<str>, Stream>, next: u64) -> Result<(), StoreError> {
    let mut out = STREAMS_MAGIC.to_vec();
    // The highest number ever given out must not be forgotten with its stream.
    put_deleted(&mut out, next - 1);
    for (name, stream) in streams {
        put_created(&mut out, name, stream);
    }
    write_durably(path, &out)
}
