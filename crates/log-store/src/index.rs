//! What is known of a segment without reading it: where each record is, of which stream, and from when to when.

use std::collections::BTreeMap;
use std::path::Path;

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::directory::write_durably;
use crate::error::StoreError;
use crate::event::{LogEvent, Position, StoredEvent};
use crate::frame::{self, HEAD_BYTES, MAGIC_BYTES};

pub(crate) const SEGMENT_MAGIC: &[u8; MAGIC_BYTES] = b"BRTHSEG1";
const INDEX_MAGIC: &[u8; MAGIC_BYTES] = b"BRTHIDX1";

/// One batch in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) stream: u64,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) first_number: u64,
    pub(crate) count: u32,
}

impl Record {
    pub(crate) fn first(&self) -> Position {
        Position::new(self.first_ms, self.first_number)
    }

    pub(crate) fn last(&self) -> Position {
        Position::new(self.last_ms, self.last_number())
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.first_number + u64::from(self.count).saturating_sub(1)
    }
}

/// What one segment, or one group, holds of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamStats {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) ingestion_ms: i64,
    pub(crate) bytes: u64,
}

impl StreamStats {
    pub(crate) fn merge(into: &mut Option<StreamStats>, more: StreamStats) {
        *into = Some(match *into {
            None => more,
            Some(known) => StreamStats {
                first_ms: known.first_ms.min(more.first_ms),
                last_ms: known.last_ms.max(more.last_ms),
                ingestion_ms: known.ingestion_ms.max(more.ingestion_ms),
                bytes: known.bytes + more.bytes,
            },
        });
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) records: Vec<Record>,
    pub(crate) streams: BTreeMap<u64, StreamStats>,
}

impl Index {
    pub(crate) fn push(&mut self, record: Record, ingestion_ms: i64) {
        let stats = StreamStats {
            first_ms: record.first_ms,
            last_ms: record.last_ms,
            ingestion_ms,
            bytes: u64::from(record.length),
        };
        let mut known = self.streams.get(&record.stream).copied();
        StreamStats::merge(&mut known, stats);
        self.streams.extend(known.map(|known| (record.stream, known)));
        self.records.push(record);
    }

    pub(crate) fn first(&self) -> Position {
        self.records.iter().map(Record::first).min().unwrap_or(Position::LAST)
    }

    pub(crate) fn last(&self) -> Position {
        self.records.iter().map(Record::last).max().unwrap_or(Position::FIRST)
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.records.iter().map(Record::last_number).max().unwrap_or(0)
    }

    /// The index of a segment by reading all of it, and where its last whole record ends.
    pub(crate) fn rebuild(segment: &Path) -> Result<(Index, u64), StoreError> {
        let mut index = Index::default();
        let end = frame::scan(segment, SEGMENT_MAGIC, |offset, length, payload| {
            let head = Head::read(&mut Reader::new(payload)).ok()?;
            let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
            for_each_event(payload, |event| {
                first_ms = first_ms.min(event.timestamp_ms);
                last_ms = last_ms.max(event.timestamp_ms);
            })
            .ok()?;
            let record = Record {
                stream: head.stream,
                offset: u32::try_from(offset).ok()?,
                length: length as u32,
                first_ms,
                last_ms,
                first_number: head.first_number,
                count: head.count,
            };
            index.push(record, head.ingestion_ms);
            Some(())
        })?;
        Ok((index, end))
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), StoreError> {
        let mut out = INDEX_MAGIC.to_vec();
        frame::put_frame(&mut out, |out| self.encode(out));
        write_durably(path, &out)
    }

    /// `None` when there is no sound index: it is rebuilt from its segment then.
    pub(crate) fn load(path: &Path) -> Option<Index> {
        let bytes = std::fs::read(path).ok()?;
        let rest = bytes.strip_prefix(INDEX_MAGIC)?;
        let payload = frame::payload(rest)?;
        if payload.len() + HEAD_BYTES != rest.len() {
            return None;
        }
        Index::decode(payload).ok()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.records.len() as u64);
        for record in &self.records {
            put_u64(out, record.stream);
            put_u64(out, record.offset.into());
            put_u64(out, record.length.into());
            put_i64(out, record.first_ms);
            put_i64(out, record.last_ms);
            put_u64(out, record.first_number);
            put_u64(out, record.count.into());
        }
        put_u64(out, self.streams.len() as u64);
        for (stream, stats) in &self.streams {
            put_u64(out, *stream);
            put_i64(out, stats.first_ms);
            put_i64(out, stats.last_ms);
            put_i64(out, stats.ingestion_ms);
            put_u64(out, stats.bytes);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Index, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut index = Index::default();
        for _ in 0..reader.u64()? {
            index.records.push(Record {
                stream: reader.u64()?,
                offset: reader.u32()?,
                length: reader.u32()?,
                first_ms: reader.i64()?,
                last_ms: reader.i64()?,
                first_number: reader.u64()?,
                count: reader.u32()?,
            });
        }
        for _ in 0..reader.u64()? {
            let stream = reader.u64()?;
            let stats = StreamStats {
                first_ms: reader.i64()?,
                last_ms: reader.i64()?,
                ingestion_ms: reader.i64()?,
                bytes: reader.u64()?,
            };
            index.streams.insert(stream, stats);
        }
        if reader.is_empty() { Ok(index) } else { Err(Malformed) }
    }
}

/// What stands at the front of a record.
struct Head {
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

/// Appends one batch, numbered from `first_number`, as a frame. The offset of the record is the length of `out` before.
pub(crate) fn put_record(
    out: &mut Vec<u8>,
    stream: u64,
    first_number: u64,
    ingestion_ms: i64,
    events: &[LogEvent],
) -> Record {
    let offset = out.len() as u32;
    let length = frame::put_frame(out, |out| {
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
    }
}

/// An event that still lies in the record it was read from.
#[derive(Clone, Copy)]
pub(crate) struct RawEvent<'a> {
    pub(crate) timestamp_ms: i64,
    pub(crate) number: u64,
    ingestion_ms: i64,
    pub(crate) message: &'a str,
}

impl RawEvent<'_> {
    pub(crate) fn position(&self) -> Position {
        Position::new(self.timestamp_ms, self.number)
    }

    pub(crate) fn to_stored(self) -> StoredEvent {
        StoredEvent {
            timestamp_ms: self.timestamp_ms,
            number: self.number,
            ingestion_ms: self.ingestion_ms,
            message: self.message.to_owned(),
        }
    }
}

/// Gives each event of a record's payload to `each`, without keeping any.
pub(crate) fn for_each_event(payload: &[u8], mut each: impl FnMut(RawEvent<'_>)) -> Result<(), Malformed> {
    let mut reader = Reader::new(payload);
    let head = Head::read(&mut reader)?;
    let mut timestamp_ms = 0i64;
    for index in 0..u64::from(head.count) {
        timestamp_ms = timestamp_ms.wrapping_add(reader.i64()?);
        let message = std::str::from_utf8(reader.bytes()?).map_err(|_| Malformed)?;
        let number = head.first_number.checked_add(index).ok_or(Malformed)?;
        each(RawEvent { timestamp_ms, number, ingestion_ms: head.ingestion_ms, message });
    }
    if reader.is_empty() { Ok(()) } else { Err(Malformed) }
}
