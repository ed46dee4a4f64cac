//! One page, by merging lazily.
//!
//! A heap holds segments, records and events by the first position each may contribute. The front is opened: a segment
//! into its records, a record into its events, an event into the page. So only what overlaps the page is ever in memory.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use crate::error::{ReadError, StoreError};
use crate::event::{Position, StoredEvent};
use crate::frame::{self, HEAD_BYTES};
use crate::group::{Group, Sealed, State, index_path, segment_path};
use crate::index::{Index, Record, for_each_event};
use crate::query::{Direction, Page, PageEvent, Query, Streams};

/// Which messages are wanted.
pub(crate) type Accept<'a> = &'a dyn Fn(&str) -> bool;

pub(crate) fn page(group: &Group, query: &Query, accept: Accept<'_>) -> Result<Page, ReadError> {
    let mut scan = group.read(|state| Scan::new(group, state, query, accept)).map_err(ReadError::Store)??;
    if query.from > query.to {
        return Ok(Page::default());
    }
    scan.run().map_err(ReadError::Store)
}

struct Scan<'q> {
    group: &'q Group,
    query: &'q Query,
    accept: Accept<'q>,
    names: Arc<HashMap<u64, Arc<str>>>,
    /// `None` means every stream that lives.
    wanted: Option<HashSet<u64>>,
    heap: BinaryHeap<Waiting>,
    files: HashMap<u64, File>,
    bytes_read: u64,
}

struct Waiting {
    /// The first position it may contribute, in the direction of the scan: smaller is earlier.
    at: Position,
    item: Item,
}

enum Item {
    Segment(Arc<Sealed>),
    Record { segment: u64, record: Record },
    Event { stream: u64, event: StoredEvent },
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    /// A `BinaryHeap` gives the greatest first; we want the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<'q> Scan<'q> {
    fn new(group: &'q Group, state: &State, query: &'q Query, accept: Accept<'q>) -> Result<Self, ReadError> {
        let mut scan = Scan {
            group,
            query,
            accept,
            names: state.names.clone(),
            wanted: wanted(state, &query.streams)?,
            heap: BinaryHeap::new(),
            files: HashMap::new(),
            bytes_read: 0,
        };
        for sealed in &state.sealed {
            if sealed.streams.keys().any(|stream| scan.wants(*stream)) {
                scan.push(sealed.first, sealed.last, || Item::Segment(sealed.clone()));
            }
        }
        if let Some(active) = &state.active {
            scan.push_records(active.number, &active.index);
        }
        Ok(scan)
    }

    fn run(&mut self) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(front) = self.heap.peek() {
            let resume = self.in_direction(front.at);
            if page.events.len() >= self.query.events_max || self.bytes_read >= self.query.scan_bytes_max {
                page.next = Some(resume.clamp(self.query.from, self.query.to));
                return Ok(page);
            }
            let Some(front) = self.heap.pop() else { break };
            match front.item {
                Item::Segment(sealed) => self.open_segment(&sealed)?,
                Item::Record { segment, record } => self.open_record(segment, record)?,
                Item::Event { stream, event } => {
                    let Some(name) = self.names.get(&stream) else { continue };
                    let event = PageEvent { stream: name.clone(), event };
                    bytes += event.weight();
                    if bytes > self.query.bytes_max && !page.events.is_empty() {
                        page.next = Some(resume);
                        return Ok(page);
                    }
                    page.events.push(event);
                }
            }
        }
        Ok(page)
    }

    fn wants(&self, stream: u64) -> bool {
        match &self.wanted {
            Some(wanted) => wanted.contains(&stream),
            None => self.names.contains_key(&stream),
        }
    }

    /// Its own inverse: from a position to a place in the heap, and back.
    fn in_direction(&self, position: Position) -> Position {
        match self.query.direction {
            Direction::Forward => position,
            Direction::Backward => position.mirrored(),
        }
    }

    /// Puts something that spans `first..=last` where it belongs, unless it lies outside the range.
    fn push(&mut self, first: Position, last: Position, item: impl FnOnce() -> Item) {
        if last < self.query.from || first > self.query.to {
            return;
        }
        let at = match self.query.direction {
            Direction::Forward => first,
            Direction::Backward => last.mirrored(),
        };
        self.heap.push(Waiting { at, item: item() });
    }

    fn push_records(&mut self, segment: u64, index: &Index) {
        for record in &index.records {
            if self.wants(record.stream) {
                self.push(record.first(), record.last(), || Item::Record { segment, record: *record });
            }
        }
    }

    fn open_segment(&mut self, sealed: &Sealed) -> Result<(), StoreError> {
        let directory = &self.group.directory;
        let path = segment_path(directory, sealed.number);
        let index = match Index::load(&index_path(directory, sealed.number)) {
            Some(index) => index,
            None => match Index::rebuild(&path) {
                Ok((index, _)) => index,
                Err(error) if error.is_gone() => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        self.push_records(sealed.number, &index);
        Ok(())
    }

    fn open_record(&mut self, segment: u64, record: Record) -> Result<(), StoreError> {
        let path = segment_path(&self.group.directory, segment);
        let file = match self.files.entry(segment) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(none) => match File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                opened => none.insert(opened.map_err(StoreError::io("open", &path))?),
            },
        };
        let bytes = frame::read_at(file, &path, record.offset.into(), record.length)?;
        self.bytes_read += bytes.len() as u64;
        let mut found = Vec::new();
        let read = for_each_event(&bytes[HEAD_BYTES..], |event| {
            let position = event.position();
            if position >= self.query.from && position <= self.query.to && (self.accept)(event.message) {
                found.push(event.to_stored());
            }
        });
        read.map_err(|_| StoreError::damaged(&path, record.offset.into(), "a record does not hold events"))?;
        for event in found {
            let position = event.position();
            self.push(position, position, || Item::Event { stream: record.stream, event });
        }
        Ok(())
    }
}

fn wanted(state: &State, streams: &Streams) -> Result<Option<HashSet<u64>>, ReadError> {
    match streams {
        Streams::All => Ok(None),
        Streams::Named(names) => {
            let find = |name: &String| state.streams.get(name.as_str()).map(|stream| stream.id);
            names.iter().map(|name| find(name).ok_or(ReadError::StreamNotFound)).collect::<Result<_, _>>().map(Some)
        }
        Streams::Prefix(prefix) => {
            let from =
                state.streams.range::<str, _>((std::ops::Bound::Included(prefix.as_str()), std::ops::Bound::Unbounded));
            Ok(Some(from.take_while(|(name, _)| name.starts_with(prefix)).map(|(_, stream)| stream.id).collect()))
        }
    }
}
