//! One page, by merging lazily.
//!
//! A heap holds segments, blocks, batches and events by the first position each may contribute. The front is opened: a
//! segment into its blocks, a block or batch into its events, an event into the page. So only what overlaps the page is
//! ever looked at; and of events that wait for their turn, no more is kept than the page can take.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering as Atomic;

use crate::codec::Malformed;
use crate::error::{ReadError, StoreError};
use crate::event::{Position, RawEvent, StoredEvent};
use crate::group::{Group, State};
use crate::limits::{EVENT_OVERHEAD_BYTES, PAGE_HELD_BYTES_MAX};
use crate::objects::Objects;
use crate::query::{Direction, Page, PageEvent, Query, Streams};
use crate::segment::filter::Filter;
use crate::segment::index::{Block, SegmentIndex, Stripe};
use crate::segment::{Sealed, block, name};
use crate::wal::WalFile;
use crate::wal::record::{self, Record};

/// Which messages are wanted.
pub(crate) type Accept<'a> = &'a dyn Fn(&str) -> bool;

pub(crate) fn page(group: &Group, objects: &Objects, query: &Query, accept: Accept<'_>) -> Result<Page, ReadError> {
    let scan = group.read(|state| Scan::new(group, objects, state, query, accept));
    let mut scan = scan.map_err(ReadError::Store)??;
    if query.from > query.to {
        return Ok(Page::default());
    }
    scan.run().map_err(ReadError::Store)
}

struct Scan<'q> {
    group: &'q Group,
    objects: &'q Objects,
    query: &'q Query,
    accept: Accept<'q>,
    names: Arc<HashMap<u64, Arc<str>>>,
    /// `None` means every stream that lives.
    wanted: Option<HashSet<u64>>,
    heap: BinaryHeap<Waiting>,
    bytes_scanned: u64,
    /// Of the events in the heap.
    bytes_held: usize,
}

struct Waiting {
    /// The first position it may contribute, in the direction of the scan: smaller is earlier.
    at: Position,
    item: Item,
}

enum Item {
    Segment(Arc<Sealed>),
    Block(Arc<Sealed>, Block),
    Batch(Arc<WalFile>, Record),
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
    fn new(
        group: &'q Group,
        objects: &'q Objects,
        state: &State,
        query: &'q Query,
        accept: Accept<'q>,
    ) -> Result<Self, ReadError> {
        let mut scan = Scan {
            group,
            objects,
            query,
            accept,
            names: state.names.clone(),
            wanted: wanted(state, &query.streams)?,
            heap: BinaryHeap::new(),
            bytes_scanned: 0,
            bytes_held: 0,
        };
        for sealed in &state.sealed {
            if sealed.has_stream(|stream| scan.wants(stream)) {
                scan.push(sealed.first, sealed.last, || Item::Segment(sealed.clone()));
            }
        }
        for part in &state.wal {
            for record in part.records.iter().filter(|record| scan.wants(record.stream)).collect::<Vec<_>>() {
                scan.push(record.first(), record.last(), || Item::Batch(part.file.clone(), *record));
            }
        }
        Ok(scan)
    }

    fn run(&mut self) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(front) = self.heap.peek() {
            let resume = self.in_direction(front.at);
            // However much lies about where the page begins, it gets beyond that.
            let enough = self.bytes_scanned >= self.query.scan_bytes_max && self.is_beyond_begin(resume);
            if page.events.len() >= self.query.events_max || enough {
                page.next = Some(resume.clamp(self.query.from, self.query.to));
                return Ok(page);
            }
            let Some(front) = self.heap.pop() else { break };
            match front.item {
                Item::Segment(sealed) => self.open_segment(&sealed)?,
                Item::Block(sealed, block) => self.open_block(&sealed, &block, &page, bytes)?,
                Item::Batch(file, record) => self.open_batch(&file, &record, &page, bytes)?,
                Item::Event { stream, event } => {
                    self.bytes_held -= event.message.len() + EVENT_OVERHEAD_BYTES;
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

    fn wants_any_of(&self, (first, last): (u64, u64)) -> bool {
        match &self.wanted {
            // Few are wanted, or few are there.
            Some(wanted) if (wanted.len() as u64) < last - first => {
                wanted.iter().any(|stream| (first..=last).contains(stream))
            }
            Some(wanted) => (first..=last).any(|stream| wanted.contains(&stream)),
            None => true,
        }
    }

    /// Its own inverse: from a position to a place in the heap, and back.
    fn in_direction(&self, position: Position) -> Position {
        match self.query.direction {
            Direction::Forward => position,
            Direction::Backward => position.mirrored(),
        }
    }

    fn is_beyond_begin(&self, position: Position) -> bool {
        match self.query.direction {
            Direction::Forward => position > self.query.from,
            Direction::Backward => position < self.query.to,
        }
    }

    fn is_in_range(&self, first: Position, last: Position) -> bool {
        last >= self.query.from && first <= self.query.to
    }

    /// Puts something that spans `first..=last` where it belongs, unless it lies outside the range.
    fn push(&mut self, first: Position, last: Position, item: impl FnOnce() -> Item) {
        if self.is_in_range(first, last) {
            let at = match self.query.direction {
                Direction::Forward => first,
                Direction::Backward => last.mirrored(),
            };
            self.heap.push(Waiting { at, item: item() });
        }
    }

    fn open_segment(&mut self, sealed: &Arc<Sealed>) -> Result<(), StoreError> {
        let index = sealed.read_index(self.objects, self.group.number);
        let Some(index) = self.unless_gone(sealed, index)? else { return Ok(()) };
        let filters = self.read_filters(sealed, &index)?;
        for stripe in index.stripes {
            if filters.as_ref().is_some_and(|filters| !self.may_have_needles(filters, &stripe)) {
                continue;
            }
            for block in stripe.blocks.into_iter().filter(|block| self.wants_any_of(block.streams)).collect::<Vec<_>>()
            {
                self.push(block.first, block.last, || Item::Block(sealed.clone(), block));
            }
        }
        Ok(())
    }

    /// The filters of a segment, and where they begin, if they may help.
    fn read_filters(&mut self, sealed: &Sealed, index: &SegmentIndex) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let (Some(first), Some(last)) = (index.stripes.first(), index.stripes.last()) else { return Ok(None) };
        if self.query.needles.is_empty() {
            return Ok(None);
        }
        let from = first.filter_offset;
        let to = last.filter_offset.saturating_add(last.filter_length.into());
        let read = self.objects.read(&name(self.group.number, sealed.number), from..to.max(from));
        let read = self.unless_gone(sealed, read)?;
        self.bytes_scanned += read.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(read.map(|bytes| (from, bytes)))
    }

    /// A filter that cannot be read rules nothing out.
    fn may_have_needles(&self, (from, bytes): &(u64, Vec<u8>), stripe: &Stripe) -> bool {
        let at = stripe.filter_offset.checked_sub(*from).and_then(|at| usize::try_from(at).ok());
        let frame = at.and_then(|at| bytes.get(at..at.checked_add(stripe.filter_length as usize)?));
        let filter = frame.and_then(crate::frame::only).and_then(|payload| Filter::decode(payload).ok());
        filter.is_none_or(|filter| self.query.needles.may_be_in(|needle| filter.may_contain(needle)))
    }

    fn open_block(&mut self, sealed: &Sealed, block: &Block, page: &Page, bytes: usize) -> Result<(), StoreError> {
        let raw = sealed.read_block(self.objects, self.group.number, block);
        let Some(raw) = self.unless_gone(sealed, raw)? else { return Ok(()) };
        self.bytes_scanned += u64::from(block.raw_length);
        self.take_events(|take| block::for_each_event(&raw, take), page, bytes)
            .map_err(|_| sealed.damaged(self.group.number, block.offset, "a block does not hold events"))
    }

    fn open_batch(&mut self, file: &WalFile, record: &Record, page: &Page, bytes: usize) -> Result<(), StoreError> {
        let batch = file.read(record)?;
        self.bytes_scanned += batch.len() as u64;
        self.take_events(|take| record::for_each_event(&batch, take), page, bytes)
            .map_err(|_| file.damaged(record.offset.into(), "a batch does not hold events"))
    }

    /// Keeps the events of a block or batch that are wanted, and for which the page may have room.
    fn take_events<'a>(
        &mut self,
        each: impl FnOnce(&mut dyn FnMut(RawEvent<'a>)) -> Result<(), Malformed>,
        page: &Page,
        bytes: usize,
    ) -> Result<(), Malformed> {
        let mut found = Vec::new();
        each(&mut |event| {
            let position = event.position();
            let in_range = position >= self.query.from && position <= self.query.to;
            if in_range && self.wants(event.stream) && (self.accept)(event.message) {
                found.push(event);
            }
        })?;
        for event in found {
            let position = event.position();
            self.bytes_held += event.message.len() + EVENT_OVERHEAD_BYTES;
            self.push(position, position, || Item::Event { stream: event.stream, event: event.to_stored() });
            if self.bytes_held > PAGE_HELD_BYTES_MAX + self.query.bytes_max {
                self.forget_what_does_not_fit(page, bytes);
            }
        }
        Ok(())
    }

    /// Drops events that this page cannot come to: the earlier ones fill it.
    fn forget_what_does_not_fit(&mut self, page: &Page, bytes: usize) {
        let (events, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.heap).into_iter().partition(|waiting| matches!(waiting.item, Item::Event { .. }));
        let mut events = events;
        events.sort_unstable_by_key(|waiting| waiting.at);
        let (mut room, mut weight) = (self.query.events_max.saturating_sub(page.events.len()), bytes);
        self.bytes_held = 0;
        // One more than fits, which says where the next page begins.
        let mut over = false;
        events.retain(|waiting| {
            let Item::Event { event, .. } = &waiting.item else { return true };
            let keep = !over;
            let size = event.message.len() + EVENT_OVERHEAD_BYTES;
            weight += size;
            // The first of a page is taken however large it is.
            over |= room == 0 || (weight > self.query.bytes_max && weight > size);
            room = room.saturating_sub(1);
            self.bytes_held += if keep { size } else { 0 };
            keep
        });
        self.heap = others.into_iter().chain(events).collect();
    }

    /// What a deleted group held is gone, which is what deleting means; anything else that is missing is damage.
    fn unless_gone<T>(&self, sealed: &Sealed, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Err(error) if error.is_gone() && self.group.is_deleted() => Ok(None),
            Err(error) if error.is_gone() => Err(sealed.damaged(self.group.number, 0, "it is missing")),
            Err(error @ StoreError::Damaged { .. }) => {
                sealed.damaged.store(true, Atomic::Relaxed);
                Err(error)
            }
            read => read.map(Some),
        }
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
