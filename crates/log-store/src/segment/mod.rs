//! Sealed segments: compressed, with an index by time, stream and word, and never changed.

pub(crate) mod block;
mod build;
pub(crate) mod filter;
pub(crate) mod index;

use std::path::Path;
use std::sync::atomic::AtomicBool;

pub(crate) use build::Builder;

use crate::codec::{Malformed, Reader, put_u64};
use crate::error::StoreError;
use crate::event::Position;
use crate::objects::Objects;
use crate::stats::StreamStats;
use index::{Block, SegmentIndex, TRAILER_BYTES, position, put_position, put_streams, read_trailer, streams};

/// What memory and manifest keep of a segment.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    index_offset: u64,
    index_length: u32,
    /// Its blocks, unpacked.
    pub(crate) raw_bytes: u64,
    pub(crate) first: Position,
    pub(crate) last: Position,
    pub(crate) last_number: u64,
    pub(crate) streams: Box<[(u64, StreamStats)]>,
    /// It could not be read once; nobody merges it.
    pub(crate) damaged: AtomicBool,
}

pub(crate) fn name(group: u64, number: u64) -> String {
    format!("{group:016x}/{number:010}.seg")
}

/// What [`name`] was given.
pub(crate) fn of_name(name: &str) -> Option<(u64, u64)> {
    let (group, number) = name.strip_suffix(".seg")?.split_once('/')?;
    (group.len() == 16).then(|| Some((u64::from_str_radix(group, 16).ok()?, number.parse().ok()?)))?
}

impl Sealed {
    fn new(index: &SegmentIndex, index_offset: u64, index_length: u32, bytes: u64) -> Sealed {
        Sealed {
            number: index.number,
            bytes,
            index_offset,
            index_length,
            raw_bytes: index.raw_bytes,
            first: index.first(),
            last: index.last(),
            last_number: index.last_number,
            streams: index.streams.clone().into_boxed_slice(),
            damaged: AtomicBool::new(false),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.number);
        put_u64(out, self.bytes);
        put_u64(out, self.index_offset);
        put_u64(out, self.index_length.into());
        put_u64(out, self.raw_bytes);
        put_position(out, self.first);
        put_position(out, self.last);
        put_u64(out, self.last_number);
        put_streams(out, &self.streams);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Sealed, Malformed> {
        Ok(Sealed {
            number: reader.u64()?,
            bytes: reader.u64()?,
            index_offset: reader.u64()?,
            index_length: reader.u32()?,
            raw_bytes: reader.u64()?,
            first: position(reader)?,
            last: position(reader)?,
            last_number: reader.u64()?,
            streams: streams(reader)?.into_boxed_slice(),
            damaged: AtomicBool::new(false),
        })
    }

    pub(crate) fn has_stream(&self, wants: impl Fn(u64) -> bool) -> bool {
        self.streams.iter().any(|(stream, _)| wants(*stream))
    }

    pub(crate) fn read_index(&self, objects: &Objects, group: u64) -> Result<SegmentIndex, StoreError> {
        let name = name(group, self.number);
        let bytes = objects.read(&name, self.index_offset..self.index_offset + u64::from(self.index_length))?;
        let index = SegmentIndex::read(&bytes).ok().filter(|index| (index.group, index.number) == (group, self.number));
        index.ok_or_else(|| damaged(&name, self.index_offset, "its index fails its checksum"))
    }

    /// The unpacked columns of a block.
    pub(crate) fn read_block(&self, objects: &Objects, group: u64, block: &Block) -> Result<Vec<u8>, StoreError> {
        let name = name(group, self.number);
        let bytes = objects.read(&name, block.offset..block.offset + u64::from(block.length))?;
        block::unpack(&bytes).map_err(|_| damaged(&name, block.offset, "a block fails its checksum"))
    }

    pub(crate) fn damaged(&self, group: u64, offset: u64, what: &'static str) -> StoreError {
        damaged(&name(group, self.number), offset, what)
    }

    /// Reads what the segment itself says, for when the manifest does not.
    pub(crate) fn discover(objects: &Objects, group: u64, number: u64) -> Result<(Sealed, SegmentIndex), StoreError> {
        let name = name(group, number);
        let size = objects.size(&name)?;
        let at = size.saturating_sub(TRAILER_BYTES as u64);
        let error = |what| damaged(&name, at, what);
        let (offset, length) =
            read_trailer(&objects.read(&name, at..size)?).map_err(|_| error("its trailer fails its checksum"))?;
        if offset.checked_add(length.into()).is_none_or(|end| end > size) {
            return Err(error("its index lies outside of it"));
        }
        let bytes = objects.read(&name, offset..offset + u64::from(length))?;
        let index = SegmentIndex::read(&bytes).ok().filter(|index| (index.group, index.number) == (group, number));
        let index = index.ok_or_else(|| damaged(&name, offset, "its index fails its checksum"))?;
        Ok((Sealed::new(&index, offset, length, size), index))
    }
}

fn damaged(name: &str, offset: u64, what: &'static str) -> StoreError {
    StoreError::damaged(Path::new(name), offset, what)
}
