//! One line as an entry of the forward protocol, in MessagePack.
//!
//! Source: fluentd's wiki, "Forward Protocol Specification v1"; the MessagePack specification.

use std::collections::BTreeMap;

use runtime::{LogLine, Stream};

use crate::post::Part;

/// What the entries of a container have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub container_id: String,
    /// With a slash before it, as Docker has it.
    pub container_name: String,
    pub attributes: BTreeMap<String, String>,
    /// Times with nanoseconds.
    pub sub_second: bool,
}

/// `[time, record]`
pub(crate) fn entry(common: &Common, line: &LogLine, part: Option<&Part>, out: &mut Vec<u8>) {
    array(2, out);
    time(line.time, common.sub_second, out);
    let source = if line.stream == Stream::Stderr { "stderr" } else { "stdout" };
    let ordinal = part.map(|part| part.ordinal.to_string());
    let mut record: BTreeMap<&str, &[u8]> = BTreeMap::from([
        ("container_id", common.container_id.as_bytes()),
        ("container_name", common.container_name.as_bytes()),
        ("source", source.as_bytes()),
        ("log", line.text.as_slice()),
    ]);
    record.extend(common.attributes.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    if let (Some(part), Some(ordinal)) = (part, &ordinal) {
        record.extend([
            ("partial_message", b"true".as_slice()),
            ("partial_id", part.id.as_bytes()),
            ("partial_ordinal", ordinal.as_bytes()),
            ("partial_last", if part.is_last { b"true" } else { b"false" }),
        ]);
    }
    map(record.len(), out);
    for (name, value) in record {
        text(name.as_bytes(), out);
        text(value, out);
    }
}

/// `[tag, [entries], {option}]`, or without the last.
pub(crate) fn forward(tag: &str, entries: &[u8], count: usize, chunk: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() + 64);
    array(if chunk.is_some() { 3 } else { 2 }, &mut out);
    text(tag.as_bytes(), &mut out);
    array(count, &mut out);
    out.extend_from_slice(entries);
    if let Some(chunk) = chunk {
        map(1, &mut out);
        text(b"chunk", &mut out);
        text(chunk.as_bytes(), &mut out);
    }
    out
}

/// `{"ack": chunk}`
pub(crate) fn answer(chunk: &str) -> Vec<u8> {
    let mut out = Vec::new();
    map(1, &mut out);
    text(b"ack", &mut out);
    text(chunk.as_bytes(), &mut out);
    out
}

/// Seconds, or the extension type 0 with nanoseconds beside them.
fn time(nanos: u64, sub_second: bool, out: &mut Vec<u8>) {
    let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
    if sub_second {
        out.extend_from_slice(&[0xd7, 0x00]);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&((nanos % 1_000_000_000) as u32).to_be_bytes());
    } else {
        out.push(0xce);
        out.extend_from_slice(&seconds.to_be_bytes());
    }
}

fn array(length: usize, out: &mut Vec<u8>) {
    match length {
        0..16 => out.push(0x90 | length as u8),
        16..0x1_0000 => {
            out.push(0xdc);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

fn map(length: usize, out: &mut Vec<u8>) {
    match length {
        0..16 => out.push(0x80 | length as u8),
        _ => {
            out.push(0xde);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
}

/// Bytes that are no UTF-8 travel as a string all the same, as Docker's do.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        0..32 => out.push(0xa0 | bytes.len() as u8),
        32..0x100 => out.extend_from_slice(&[0xd9, bytes.len() as u8]),
        0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    #[test]
    fn golden_bytes() {
        let common = Common {
            container_id: "ab".into(),
            container_name: "/web".into(),
            attributes: BTreeMap::new(),
            sub_second: true,
        };
        let line = LogLine {
            time: 0x1_0000_0002,
            stream: Stream::Stdout,
            partial: false,
            text: b"hi".to_vec(),
            next: LogPosition::default(),
        };
        let mut out = Vec::new();
        entry(&common, &line, None, &mut out);
        let golden =
            b"\x92\xd7\x00\x00\x00\x00\x04\x11\x94\xd8\x02\x84\xaccontainer_id\xa2ab\xaecontainer_name\xa4/web\
                       \xa3log\xa2hi\xa6source\xa6stdout";
        assert_eq!(out, golden);
        let message = forward("t", &out, 1, Some("c"));
        assert_eq!(message, [b"\x93\xa1t\x91", golden.as_slice(), b"\x81\xa5chunk\xa1c"].concat());
        assert_eq!(answer("c"), b"\x81\xa3ack\xa1c");
    }
}
