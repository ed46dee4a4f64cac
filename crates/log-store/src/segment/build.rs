//! Events in, the bytes of a segment out. Pure.

use std::collections::BTreeMap;

use super::Sealed;
use super::block::Packer;
use super::filter::FilterBuilder;
use super::index::{Block, Origin, SEGMENT_MAGIC, SegmentIndex, Stripe, put_trailer};
use crate::event::RawEvent;
use crate::frame;
use crate::limits::{BLOCK_RAW_BYTES, EVENT_OVERHEAD_BYTES, STRIPE_RAW_BYTES};
use crate::stats::StreamStats;

/// What an event takes beside its message, about.
const ROW_BYTES: usize = 8;

/// Makes segments, and keeps what it needs for that from one to the next.
pub(crate) struct Builder {
    packer: Packer,
    filter: FilterBuilder,
}

impl Builder {
    pub(crate) fn new() -> std::io::Result<Builder> {
        Ok(Builder { packer: Packer::new()?, filter: FilterBuilder::new() })
    }

    /// The bytes of a segment, and what is to be known of it. Events may come in any order; there is at least one.
    ///
    /// They go into stripes by their positions, and within a stripe by their streams: a page over a group needs one
    /// stripe at a time, and one over a stream little else than that stream.
    pub(crate) fn build(
        &mut self,
        group: u64,
        number: u64,
        origin: Origin,
        events: &mut [RawEvent<'_>],
    ) -> std::io::Result<(Vec<u8>, Sealed)> {
        events.sort_unstable_by_key(RawEvent::position);
        let mut index = SegmentIndex { group, number, origin, ..SegmentIndex::default() };
        index.events = events.len() as u64;
        index.last_number = events.iter().map(|event| event.number).max().unwrap_or_default();
        index.streams = count(events);
        let (mut out, mut filters) = (SEGMENT_MAGIC.to_vec(), Vec::new());
        let mut rest = events;
        while !rest.is_empty() {
            let (stripe, behind) = rest.split_at_mut(fitting(rest, STRIPE_RAW_BYTES));
            rest = behind;
            stripe.iter().for_each(|event| self.filter.add(event.message.as_bytes()));
            let before = filters.len();
            frame::put_frame(&mut filters, |out| self.filter.finish(out));
            stripe.sort_by_key(|event| event.stream);
            let mut blocks = Vec::new();
            let mut rest = &*stripe;
            while !rest.is_empty() {
                let (block, behind) = rest.split_at(fitting(rest, BLOCK_RAW_BYTES));
                rest = behind;
                blocks.push(self.put_block(&mut out, block, &mut index.raw_bytes)?);
            }
            // Relative until it is known where the filters begin.
            let (filter_offset, filter_length) = (before as u64, (filters.len() - before) as u32);
            index.stripes.push(Stripe { filter_offset, filter_length, blocks });
        }
        let filters_at = out.len() as u64;
        index.stripes.iter_mut().for_each(|stripe| stripe.filter_offset += filters_at);
        out.append(&mut filters);
        let index_offset = out.len() as u64;
        let index_length = frame::put_frame(&mut out, |out| index.encode(out)) as u32;
        put_trailer(&mut out, index_offset, index_length);
        let sealed = Sealed::new(&index, index_offset, index_length, out.len() as u64);
        Ok((out, sealed))
    }

    fn put_block(&mut self, out: &mut Vec<u8>, events: &[RawEvent<'_>], raw: &mut u64) -> std::io::Result<Block> {
        let offset = out.len() as u64;
        let raw_length = self.packer.put_block(out, events)?;
        *raw += raw_length as u64;
        let positions = || events.iter().map(RawEvent::position);
        let streams = || events.iter().map(|event| event.stream);
        Ok(Block {
            offset,
            length: (out.len() as u64 - offset) as u32,
            raw_length: raw_length as u32,
            first: positions().min().unwrap_or(crate::event::Position::LAST),
            last: positions().max().unwrap_or(crate::event::Position::FIRST),
            streams: (streams().min().unwrap_or_default(), streams().max().unwrap_or_default()),
        })
    }
}

/// How many events from the front make up so many bytes; at least one.
fn fitting(events: &[RawEvent<'_>], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        bytes += event.message.len() + ROW_BYTES;
        bytes <= bytes_max
    });
    fit.count().clamp(1, events.len().max(1))
}

fn count(events: &[RawEvent<'_>]) -> Vec<(u64, StreamStats)> {
    let mut streams: BTreeMap<u64, Option<StreamStats>> = BTreeMap::new();
    for event in events {
        let bytes = (event.message.len() + EVENT_OVERHEAD_BYTES) as u64;
        let (first_ms, ingestion_ms) = (event.timestamp_ms, event.ingestion_ms);
        let one = StreamStats { first_ms, last_ms: first_ms, ingestion_ms, bytes };
        StreamStats::merge(streams.entry(event.stream).or_default(), one);
    }
    streams.into_iter().filter_map(|(stream, stats)| Some((stream, stats?))).collect()
}
