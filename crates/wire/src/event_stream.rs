//! Answers that go on: `application/vnd.amazon.eventstream`.
//!
//! A message is a prelude (the length of all, the length of the headers, a checksum of both), headers, a payload, and a
//! checksum of everything. Numbers are big-endian, checksums are CRC-32 as in gzip. We only write, and only headers that
//! are text: fifty lines that need no library.
//! Source: Smithy specification, "Amazon Event Stream".

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use shape::{Document, Member, Operation, Streamed};

use crate::json::encode;

pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The type of a header whose value is text.
const TEXT: u8 = 7;

/// The bytes of an answer in the JSON protocol: first what is known at once, then each event.
pub(crate) fn messages(
    operation: &'static Operation,
    events: &'static Member,
    streamed: Streamed<Document, Document>,
) -> impl Stream<Item = Bytes> + Send {
    let initial = match streamed.initial {
        // The stream itself is a member of the output, and never in it.
        Document::Structure(members) => members.into_iter().filter(|(name, _)| *name != events.name).collect(),
        _ => Vec::new(),
    };
    let initial = encode(operation.output, &Document::Structure(initial));
    let first = message(&[(":message-type", "event"), (":event-type", "initial-response")], &initial);
    let later = streamed.events.filter_map(move |event| std::future::ready(event_message(events, event)));
    futures::stream::once(std::future::ready(first)).chain(later)
}

/// Nothing for an event without a member, which no service of ours makes.
fn event_message(events: &'static Member, event: Document) -> Option<Bytes> {
    let Document::Structure(members) = event else { return None };
    let (name, payload) = members.into_iter().find(|(_, payload)| !payload.is_null())?;
    let member = events.schema.members().iter().find(|member| member.name == name)?;
    let payload = encode(member.schema, &payload);
    Some(match member.schema.exception {
        true => message(&[(":message-type", "exception"), (":exception-type", member.wire_name())], &payload),
        false => message(&[(":message-type", "event"), (":event-type", member.wire_name())], &payload),
    })
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut written = BytesMut::new();
    for (name, value) in headers.iter().chain(&[(":content-type", "application/json")]) {
        // Names and values are ours, and short.
        written.put_u8(name.len() as u8);
        written.put_slice(name.as_bytes());
        written.put_u8(TEXT);
        written.put_u16(value.len() as u16);
        written.put_slice(value.as_bytes());
    }
    let length = 12 + written.len() + payload.len() + 4;
    let mut message = BytesMut::with_capacity(length);
    message.put_u32(length as u32);
    message.put_u32(written.len() as u32);
    message.put_u32(crc32fast::hash(&message));
    message.put_slice(&written);
    message.put_slice(payload);
    message.put_u32(crc32fast::hash(&message));
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_byte_for_byte() {
        let message = message(&[(":message-type", "event")], b"{}");
        let headers =
            [&b"\x0d:message-type\x07\x00\x05event"[..], b"\x0d:content-type\x07\x00\x10application/json"].concat();
        let mut expected = Vec::new();
        expected.extend(u32::to_be_bytes((12 + headers.len() + 2 + 4) as u32));
        expected.extend(u32::to_be_bytes(headers.len() as u32));
        expected.extend(u32::to_be_bytes(crc32fast::hash(&expected)));
        expected.extend(&headers);
        expected.extend(b"{}");
        expected.extend(u32::to_be_bytes(crc32fast::hash(&expected)));
        assert_eq!(message, expected);
    }

    /// The vector `empty_message` of the AWS SDKs: 00000010 00000000 05c248eb 7d98c8ff.
    #[test]
    fn the_checksums_are_those_of_the_sdks() {
        let prelude = [0, 0, 0, 16, 0, 0, 0, 0];
        assert_eq!(crc32fast::hash(&prelude), 0x05c2_48eb);
        let whole = [&prelude[..], &0x05c2_48eb_u32.to_be_bytes()].concat();
        assert_eq!(crc32fast::hash(&whole), 0x7d98_c8ff);
    }
}
