//! One batch in the write-ahead log, and what memory keeps of it.

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::event::{LogEvent, Position, RawEvent};
use crate::frame;
use crate::limits::EVENT_OVERHEAD_BYTES;

/// Where a batch is, of which stream, and from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) stream: u64,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) first_number: u64,
    pub(crate) count: u32,
    pub(crate) ingestion_ms: i64,
    /// What AWS counts for its events.
    pub(crate) weight: u64,
}

impl Record {
    pub(crate) fn first(&self) -> Position {
        Position::new(self.first_ms, self.first_number)
    }

    pub(crate) fn last(&self) -> Position {
        Position::new(self.last_ms, self.last_number())
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.first_number.saturating_add(u64::from(self.count).saturating_sub(1))
    }
}

/// What stands at the front of a batch.
pub(crate) struct Head {
    stream: u64,
    first_number: u64,
    ingestion_ms: i64,
    count: u32,
}

impl Head {
    fn read(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
        Ok(Head {
            stream: reader.u64()?,
            first_number: reader.u64()?,
            ingestion_ms: reader.i64()?,
            count: reader.u32()?,
        })
    }
}

/// Appends one batch, numbered from `first_number`, as a frame that begins at the end of `out`.
pub(crate) fn put_batch(
    out: &mut Vec<u8>,
    group: u64,
    stream: u64,
    first_number: u64,
    ingestion_ms: i64,
    events: &[LogEvent],
) -> Record {
    let offset = out.len() as u32;
    let length = frame::put_frame(out, |out| {
        put_u64(out, group);
        put_u64(out, stream);
        put_u64(out, first_number);
        put_i64(out, ingestion_ms);
        put_u64(out, events.len() as u64);
        let mut before = 0i64;
        for event in events {
            put_i64(out, event.timestamp_ms.wrapping_sub(before));
            put_bytes(out, event.message.as_bytes());
            before = event.timestamp_ms;
        }
    });
    Record {
        stream,
        offset,
        length: length as u32,
        first_ms: events.iter().map(|event| event.timestamp_ms).min().unwrap_or_default(),
        last_ms: events.iter().map(|event| event.timestamp_ms).max().unwrap_or_default(),
        first_number,
        count: events.len() as u32,
        ingestion_ms,
        weight: events.iter().map(|event| (event.message.len() + EVENT_OVERHEAD_BYTES) as u64).sum(),
    }
}

/// The group of a batch, and the rest of its payload.
pub(crate) fn split_group(payload: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let mut reader = Reader::new(payload);
    let group = reader.u64()?;
    Ok((group, reader.rest()))
}

/// What memory keeps of a batch that lies at `offset`. Looks at every event, so that a batch that is kept can be read.
pub(crate) fn describe(batch: &[u8], offset: usize, length: usize) -> Result<Record, Malformed> {
    let head = Head::read(&mut Reader::new(batch))?;
    let (mut first_ms, mut last_ms, mut weight) = (i64::MAX, i64::MIN, 0);
    for_each_event(batch, |event| {
        first_ms = first_ms.min(event.timestamp_ms);
        last_ms = last_ms.max(event.timestamp_ms);
        weight += (event.message.len() + EVENT_OVERHEAD_BYTES) as u64;
    })?;
    if head.count == 0 || head.first_number == 0 {
        return Err(Malformed);
    }
    Ok(Record {
        stream: head.stream,
        offset: u32::try_from(offset).map_err(|_| Malformed)?,
        length: u32::try_from(length).map_err(|_| Malformed)?,
        first_ms,
        last_ms,
        first_number: head.first_number,
        count: head.count,
        ingestion_ms: head.ingestion_ms,
        weight,
    })
}

/// Gives each event of a batch to `each`, without keeping any.
pub(crate) fn for_each_event<'a>(batch: &'a [u8], mut each: impl FnMut(RawEvent<'a>)) -> Result<(), Malformed> {
    let mut reader = Reader::new(batch);
    let head = Head::read(&mut reader)?;
    let mut timestamp_ms = 0i64;
    for index in 0..u64::from(head.count) {
        timestamp_ms = timestamp_ms.wrapping_add(reader.i64()?);
        let message = std::str::from_utf8(reader.bytes()?).map_err(|_| Malformed)?;
        let number = head.first_number.checked_add(index).ok_or(Malformed)?;
        each(RawEvent { stream: head.stream, timestamp_ms, number, ingestion_ms: head.ingestion_ms, message });
    }
    reader.end()
}
