//! Events that are compressed together, column by column: like stands beside like.

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::event::RawEvent;
use crate::frame;
use crate::limits::BLOCK_RAW_BYTES_MAX;

/// How the columns are packed. There may be others one day.
const ZSTD: u64 = 1;
/// Fast enough to keep up with whatever comes, and four fifths of what the slow levels save.
const LEVEL: i32 = 3;

pub(crate) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> std::io::Result<Packer> {
        zstd::bulk::Compressor::new(LEVEL).map(Packer)
    }

    /// Appends a block as one frame, and returns how many bytes it packs.
    pub(crate) fn put_block(&mut self, out: &mut Vec<u8>, events: &[RawEvent<'_>]) -> std::io::Result<usize> {
        let raw = columns(events);
        let packed = self.0.compress(&raw)?;
        frame::put_frame(out, |out| {
            put_u64(out, ZSTD);
            put_u64(out, raw.len() as u64);
            out.extend_from_slice(&packed);
        });
        Ok(raw.len())
    }
}

/// The columns of a block, from its frame.
pub(crate) fn unpack(frame: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(frame::only(frame).ok_or(Malformed)?);
    let (kind, length) = (reader.u64()?, usize::try_from(reader.u64()?).map_err(|_| Malformed)?);
    if kind != ZSTD || length > BLOCK_RAW_BYTES_MAX {
        return Err(Malformed);
    }
    let raw = zstd::bulk::decompress(reader.rest(), length).map_err(|_| Malformed)?;
    if raw.len() == length { Ok(raw) } else { Err(Malformed) }
}

fn columns(events: &[RawEvent<'_>]) -> Vec<u8> {
    let (mut streams, mut times, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ingestions, mut lengths) = (Vec::new(), Vec::new());
    let (mut time, mut number, mut ingestion) = (0i64, 0u64, 0i64);
    for run in events.chunk_by(|a, b| a.stream == b.stream) {
        put_u64(&mut streams, run[0].stream);
        put_u64(&mut streams, run.len() as u64);
        for event in run {
            put_i64(&mut times, event.timestamp_ms.wrapping_sub(time));
            put_i64(&mut numbers, event.number.wrapping_sub(number) as i64);
            put_i64(&mut ingestions, event.ingestion_ms.wrapping_sub(ingestion));
            put_u64(&mut lengths, event.message.len() as u64);
            (time, number, ingestion) = (event.timestamp_ms, event.number, event.ingestion_ms);
        }
    }
    let messages = events.iter().map(|event| event.message.len()).sum::<usize>();
    let mut out = Vec::with_capacity(messages + lengths.len() * 5 + 64);
    put_u64(&mut out, events.len() as u64);
    for column in [&streams, &times, &numbers, &ingestions, &lengths] {
        put_bytes(&mut out, column);
    }
    events.iter().for_each(|event| out.extend_from_slice(event.message.as_bytes()));
    out
}

/// Gives each event of unpacked columns to `each`, without keeping any.
pub(crate) fn for_each_event<'a>(raw: &'a [u8], mut each: impl FnMut(RawEvent<'a>)) -> Result<(), Malformed> {
    let mut reader = Reader::new(raw);
    let mut left = reader.u64()?;
    let mut column = || reader.bytes().map(Reader::new);
    let (mut streams, mut times, mut numbers) = (column()?, column()?, column()?);
    let (mut ingestions, mut lengths) = (column()?, column()?);
    let mut messages = reader.rest();
    let (mut timestamp_ms, mut number, mut ingestion_ms) = (0i64, 0u64, 0i64);
    while left > 0 {
        let (stream, run) = (streams.u64()?, streams.u64()?);
        left = left.checked_sub(run).filter(|_| run > 0).ok_or(Malformed)?;
        for _ in 0..run {
            timestamp_ms = timestamp_ms.wrapping_add(times.i64()?);
            number = number.wrapping_add(numbers.i64()? as u64);
            ingestion_ms = ingestion_ms.wrapping_add(ingestions.i64()?);
            let length = usize::try_from(lengths.u64()?).map_err(|_| Malformed)?;
            let (message, rest) = messages.split_at_checked(length).ok_or(Malformed)?;
            let message = std::str::from_utf8(message).map_err(|_| Malformed)?;
            messages = rest;
            each(RawEvent { stream, timestamp_ms, number, ingestion_ms, message });
        }
    }
    [&streams, &times, &numbers, &ingestions, &lengths].iter().try_for_each(|column| column.end())?;
    if messages.is_empty() { Ok(()) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(parts: &(u64, i64, u64, i64, String)) -> RawEvent<'_> {
        RawEvent { stream: parts.0, timestamp_ms: parts.1, number: parts.2, ingestion_ms: parts.3, message: &parts.4 }
    }

    proptest! {
        #[test]
        fn events_survive_packing(parts in prop::collection::vec((0u64..4, any::<i64>(), any::<u64>(), any::<i64>(), ".{0,40}"), 0..60)) {
            let events: Vec<_> = parts.iter().map(event).collect();
            let mut out = Vec::new();
            Packer::new().unwrap().put_block(&mut out, &events).unwrap();
            let raw = unpack(&out).unwrap();
            let mut read = Vec::new();
            for_each_event(&raw, |event| read.push(event)).unwrap();
            prop_assert_eq!(read, events);
        }

        #[test]
        fn any_bytes_are_columns_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = for_each_event(&bytes, |_| {});
            let _ = unpack(&bytes);
        }

        #[test]
        fn columns_with_one_byte_changed_never_panic(parts in prop::collection::vec((0u64..4, 0i64..99, 0u64..99, 0i64..99, "[a-c]{0,9}"), 1..20), at: prop::sample::Index, byte: u8) {
            let mut raw = columns(&parts.iter().map(event).collect::<Vec<_>>());
            let at = at.index(raw.len());
            raw[at] = byte;
            let _ = for_each_event(&raw, |_| {});
        }
    }
}
