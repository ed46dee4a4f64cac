//! One line as a message of the Graylog Extended Log Format, and its packets.

use std::io::Write as _;

use flate2::write::{GzEncoder, ZlibEncoder};
use runtime::{LogLine, Stream};
use serde_json::{Map, Value, json};

use super::options::Packing;
use crate::stamp;

/// The largest packet, and what of it is a chunk's head. Source: the GELF specification and Docker's library for it.
const PACKET_BYTES_MAX: usize = 1420;
const HEAD_BYTES: usize = 12;
/// Source: the GELF specification, "GELF via UDP".
const CHUNKS_MAX: usize = 128;

const ERROR: u32 = 3;
const INFO: u32 = 6;

/// JSON. `extra` has the names that begin with an underscore.
pub(crate) fn encode(hostname: &str, extra: &Map<String, Value>, line: &LogLine) -> Vec<u8> {
    let level = if line.stream == Stream::Stderr { ERROR } else { INFO };
    let seconds: serde_json::Number = serde_json::from_str(&stamp::seconds(line.time, 3)).unwrap_or_else(|_| 0.into());
    let mut message = Map::new();
    message.insert("version".into(), json!("1.1"));
    message.insert("host".into(), json!(hostname));
    message.insert("short_message".into(), json!(String::from_utf8_lossy(&line.text)));
    message.insert("timestamp".into(), Value::Number(seconds));
    message.insert("level".into(), json!(level));
    message.extend(extra.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(message).to_string().into_bytes()
}

pub(crate) fn pack(message: &[u8], packing: Packing) -> Vec<u8> {
    // Writing into memory cannot fail.
    let packed = match packing {
        Packing::Plain => return message.to_vec(),
        Packing::Gzip(level) => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(message).and_then(|()| encoder.finish())
        }
        Packing::Zlib(level) => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(message).and_then(|()| encoder.finish())
        }
    };
    packed.unwrap_or_default()
}

/// One packet, or chunks of one message. None of a message that is too long for the protocol.
pub(crate) fn packets(message: &[u8], id: u64) -> Option<Vec<Vec<u8>>> {
    if message.len() <= PACKET_BYTES_MAX {
        return Some(vec![message.to_vec()]);
    }
    let chunks: Vec<&[u8]> = message.chunks(PACKET_BYTES_MAX - HEAD_BYTES).collect();
    let count = u8::try_from(chunks.len()).ok().filter(|count| usize::from(*count) <= CHUNKS_MAX)?;
    let packet =
        |(number, chunk): (u8, &&[u8])| [&[0x1e, 0x0f], id.to_be_bytes().as_slice(), &[number, count], chunk].concat();
    Some((0..count).zip(&chunks).map(packet).collect())
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    #[test]
    fn golden_message() {
        let line = LogLine {
            time: 1_795_543_559_120_000_000,
            stream: Stream::Stderr,
            partial: false,
            text: b"a \"b\"\xff".to_vec(),
            next: LogPosition::default(),
        };
        let extra = [("_tag".to_owned(), json!("web"))].into_iter().collect();
        let found: Value = serde_json::from_slice(&encode("node", &extra, &line)).unwrap();
        let golden = json!({
            "version": "1.1", "host": "node", "short_message": "a \"b\"\u{fffd}", "timestamp": 1795543559.120, "level": 3,
            "_tag": "web",
        });
        assert_eq!(found, golden);
    }

    #[test]
    fn long_messages_are_cut() {
        let short = packets(&[7; 1420], 1).unwrap();
        assert_eq!(short, [[7; 1420].to_vec()]);
        let long = packets(&[7; 1421], 0x0102).unwrap();
        assert_eq!(long.len(), 2);
        assert_eq!(long[0][..12], [0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 1, 2, 0, 2]);
        assert_eq!(long[1], [&[0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 1, 2, 1, 2][..], &[7; 13]].concat());
        assert_eq!(packets(&vec![7; 128 * 1408], 1).unwrap().len(), 128);
        assert_eq!(packets(&vec![7; 128 * 1408 + 1], 1), None);
    }
}
