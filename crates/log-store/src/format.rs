//! Every format on disk as a function of bytes, for tools that look at files and for tests that throw bytes at them.
//!
//! Each says how much the bytes hold, and never panics.

pub use crate::codec::Malformed;

use crate::segment::block;
use crate::segment::filter::Filter;
use crate::segment::index::{SegmentIndex, read_trailer};

/// The events of a file of the write-ahead log, `wal/*.wal`. A torn tail is no error.
pub fn wal(bytes: &[u8]) -> Result<usize, Malformed> {
    crate::wal::count(bytes)
}

/// The events of one block of a segment, as its frame lies there.
pub fn block(frame: &[u8]) -> Result<usize, Malformed> {
    columns(&block::unpack(frame)?)
}

/// The events of a block that is unpacked already.
pub fn columns(raw: &[u8]) -> Result<usize, Malformed> {
    let mut events = 0;
    block::for_each_event(raw, |_| events += 1)?;
    Ok(events)
}

/// The blocks that the index of a segment names, by the payload of its frame.
pub fn index(payload: &[u8]) -> Result<usize, Malformed> {
    Ok(SegmentIndex::decode(payload)?.blocks().count())
}

/// Where the index of a segment begins and how long it is, by the last 24 bytes.
pub fn trailer(bytes: &[u8]) -> Result<(u64, u32), Malformed> {
    read_trailer(bytes)
}

/// The events of a whole segment, `segments/*/*.seg`.
pub fn segment(bytes: &[u8]) -> Result<usize, Malformed> {
    let (_, trailer) =
        bytes.split_at_checked(bytes.len().saturating_sub(crate::segment::index::TRAILER_BYTES)).ok_or(Malformed)?;
    let (offset, length) = read_trailer(trailer)?;
    let index = SegmentIndex::read(part(bytes, offset, length)?)?;
    let mut events = 0;
    for stripe in &index.stripes {
        Filter::decode(crate::frame::only(part(bytes, stripe.filter_offset, stripe.filter_length)?).ok_or(Malformed)?)?;
        for block in &stripe.blocks {
            events += self::block(part(bytes, block.offset, block.length)?)?;
        }
    }
    Ok(events)
}

/// Whether a filter of words may have a needle, by the payload of its frame.
pub fn filter(payload: &[u8], needle: &str) -> Result<bool, Malformed> {
    Ok(Filter::decode(payload)?.may_contain(needle))
}

/// The entries of a `manifest.log`.
pub fn manifest(bytes: &[u8]) -> Result<usize, Malformed> {
    crate::manifest::count(bytes)
}

/// The streams of a `streams.log`.
pub fn streams(bytes: &[u8]) -> Result<usize, Malformed> {
    crate::streams::count(bytes)
}

/// The events of a segment of the first format, which lay in the directory of its group.
pub fn first_segment(bytes: &[u8]) -> Result<usize, Malformed> {
    crate::legacy::count(bytes)
}

fn part(bytes: &[u8], offset: u64, length: u32) -> Result<&[u8], Malformed> {
    let offset = usize::try_from(offset).map_err(|_| Malformed)?;
    bytes.get(offset..offset.checked_add(length as usize).ok_or(Malformed)?).ok_or(Malformed)
}
