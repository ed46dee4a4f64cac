//! What stands behind the blocks of a segment: where they are, from when to when, and of which streams.
//!
//! A segment is its magic, its blocks, the filters of its stripes, this index, and a trailer of fixed length that says
//! where the index is. Blocks, filters and index are frames.

use crate::codec::{Malformed, Reader, put_i64, put_u64};
use crate::event::Position;
use crate::frame;
use crate::stats::StreamStats;

pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"BRTHSEG2";
pub(crate) const TRAILER_BYTES: usize = 24;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    pub(crate) group: u64,
    pub(crate) number: u64,
    pub(crate) origin: Origin,
    pub(crate) stripes: Vec<Stripe>,
    pub(crate) streams: Vec<(u64, StreamStats)>,
    pub(crate) events: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) last_number: u64,
}

/// Where the events of a segment were before, so that none is twice there should the manifest be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file of the write-ahead log; zero for a merged segment.
    pub(crate) wal: u64,
    /// Segments that this one takes the place of.
    pub(crate) replaces: Vec<u64>,
}

/// Neighbours in time, which share one filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stripe {
    pub(crate) filter_offset: u64,
    pub(crate) filter_length: u32,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) raw_length: u32,
    pub(crate) first: Position,
    pub(crate) last: Position,
    /// The lowest and the highest number of a stream in it. Blocks of a stripe are in the order of streams.
    pub(crate) streams: (u64, u64),
}

pub(crate) fn put_position(out: &mut Vec<u8>, position: Position) {
    let (millisecond, number) = position.parts();
    put_u64(out, millisecond);
    put_u64(out, number);
}

pub(crate) fn position(reader: &mut Reader<'_>) -> Result<Position, Malformed> {
    Ok(Position::of_parts(reader.u64()?, reader.u64()?))
}

pub(crate) fn put_streams(out: &mut Vec<u8>, streams: &[(u64, StreamStats)]) {
    put_u64(out, streams.len() as u64);
    for (stream, stats) in streams {
        put_u64(out, *stream);
        put_i64(out, stats.first_ms);
        put_i64(out, stats.last_ms);
        put_i64(out, stats.ingestion_ms);
        put_u64(out, stats.bytes);
    }
}

pub(crate) fn streams(reader: &mut Reader<'_>) -> Result<Vec<(u64, StreamStats)>, Malformed> {
    let mut streams = Vec::new();
    for _ in 0..reader.u64()? {
        let stream = reader.u64()?;
        let (first_ms, last_ms, ingestion_ms) = (reader.i64()?, reader.i64()?, reader.i64()?);
        streams.push((stream, StreamStats { first_ms, last_ms, ingestion_ms, bytes: reader.u64()? }));
    }
    Ok(streams)
}

impl SegmentIndex {
    /// The payload of the frame of an index.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.group, self.number, self.origin.wal, self.events, self.raw_bytes, self.last_number] {
            put_u64(out, number);
        }
        put_u64(out, self.origin.replaces.len() as u64);
        self.origin.replaces.iter().for_each(|number| put_u64(out, *number));
        put_u64(out, self.stripes.len() as u64);
        for stripe in &self.stripes {
            put_u64(out, stripe.filter_offset);
            put_u64(out, stripe.filter_length.into());
            put_u64(out, stripe.blocks.len() as u64);
            for block in &stripe.blocks {
                put_u64(out, block.offset);
                put_u64(out, block.length.into());
                put_u64(out, block.raw_length.into());
                put_position(out, block.first);
                put_position(out, block.last);
                put_u64(out, block.streams.0);
                put_u64(out, block.streams.1);
            }
        }
        put_streams(out, &self.streams);
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<SegmentIndex, Malformed> {
        let mut reader = Reader::new(payload);
        let mut index = SegmentIndex {
            group: reader.u64()?,
            number: reader.u64()?,
            origin: Origin { wal: reader.u64()?, replaces: Vec::new() },
            events: reader.u64()?,
            raw_bytes: reader.u64()?,
            last_number: reader.u64()?,
            ..SegmentIndex::default()
        };
        for _ in 0..reader.u64()? {
            index.origin.replaces.push(reader.u64()?);
        }
        for _ in 0..reader.u64()? {
            let (filter_offset, filter_length) = (reader.u64()?, reader.u32()?);
            let mut blocks = Vec::new();
            for _ in 0..reader.u64()? {
                let (offset, length, raw_length) = (reader.u64()?, reader.u32()?, reader.u32()?);
                let (first, last) = (position(&mut reader)?, position(&mut reader)?);
                let streams = (reader.u64()?, reader.u64()?);
                blocks.push(Block { offset, length, raw_length, first, last, streams });
            }
            index.stripes.push(Stripe { filter_offset, filter_length, blocks });
        }
        index.streams = streams(&mut reader)?;
        reader.end()?;
        Ok(index)
    }

    /// From the frame of an index.
    pub(crate) fn read(bytes: &[u8]) -> Result<SegmentIndex, Malformed> {
        SegmentIndex::decode(frame::only(bytes).ok_or(Malformed)?)
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.stripes.iter().flat_map(|stripe| &stripe.blocks)
    }

    pub(crate) fn first(&self) -> Position {
        self.blocks().map(|block| block.first).min().unwrap_or(Position::LAST)
    }

    pub(crate) fn last(&self) -> Position {
        self.blocks().map(|block| block.last).max().unwrap_or(Position::FIRST)
    }
}

pub(crate) fn put_trailer(out: &mut Vec<u8>, index_offset: u64, index_length: u32) {
    let start = out.len();
    out.extend_from_slice(&index_offset.to_le_bytes());
    out.extend_from_slice(&index_length.to_le_bytes());
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(SEGMENT_MAGIC);
}

/// Where the index is, by the last bytes of a segment.
pub(crate) fn read_trailer(bytes: &[u8]) -> Result<(u64, u32), Malformed> {
    let bytes: &[u8; TRAILER_BYTES] = bytes.try_into().map_err(|_| Malformed)?;
    let word = |from: usize| u32::from_le_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]]);
    if bytes[16..] != *SEGMENT_MAGIC || crc32fast::hash(&bytes[..12]) != word(12) {
        return Err(Malformed);
    }
    Ok((u64::from(word(0)) | u64::from(word(4)) << 32, word(8)))
}
