//! One message: a header of 120 bytes and a payload. Numbers are big-endian.
//!
//! ```text
//!   0  header length, without the four bytes of the payload's length: 116
//!   4  message type, 32 bytes, filled up with spaces
//!  36  schema version, 4    40  created, milliseconds since 1970, 8
//!  48  sequence number, 8   56  flags, 8: 1 the first, 2 the last
//!  64  message id, 16: the last eight bytes of the UUID before its first
//!  80  SHA-256 of the payload, 32
//! 112  payload type, 4     116  payload length, 4     120  payload
//! ```

use sha2::{Digest, Sha256};
use stdx::Timestamp;

/// Where the payload's length is; what the first field says.
const HEADER_LENGTH: usize = 116;
const TYPE_BYTES: usize = 32;
const SCHEMA_VERSION: u32 = 1;

pub const FLAG_FIRST: u64 = 1;
pub const FLAG_LAST: u64 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub message_type: MessageType,
    pub schema_version: u32,
    pub created: Timestamp,
    pub sequence: i64,
    pub flags: u64,
    /// A UUID's bytes in their usual order.
    pub id: [u8; 16],
    pub payload_type: PayloadType,
    pub payload: Vec<u8>,
}

macro_rules! message_types {
    ($($name:ident = $wire:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MessageType {
            $($name,)*
        }

        impl MessageType {
            pub fn name(self) -> &'static str {
                match self {
                    $(MessageType::$name => $wire,)*
                }
            }

            fn from_name(name: &str) -> Option<MessageType> {
                match name {
                    $($wire => Some(MessageType::$name),)*
                    _ => None,
                }
            }
        }
    };
}

message_types! {
    InputStreamData = "input_stream_data",
    OutputStreamData = "output_stream_data",
    Acknowledge = "acknowledge",
    ChannelClosed = "channel_closed",
    StartPublication = "start_publication",
    PausePublication = "pause_publication",
}

macro_rules! payload_types {
    ($($name:ident = $number:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PayloadType {
            $($name,)*
            Other(u32),
        }

        impl PayloadType {
            pub fn number(self) -> u32 {
                match self {
                    $(PayloadType::$name => $number,)*
                    PayloadType::Other(number) => number,
                }
            }

            fn from_number(number: u32) -> PayloadType {
                match number {
                    $($number => PayloadType::$name,)*
                    other => PayloadType::Other(other),
                }
            }
        }
    };
}

payload_types! {
    None = 0,
    Output = 1,
    Error = 2,
    Size = 3,
    Parameter = 4,
    HandshakeRequest = 5,
    HandshakeResponse = 6,
    HandshakeComplete = 7,
    EncryptionChallengeRequest = 8,
    EncryptionChallengeResponse = 9,
    Flag = 10,
    StdErr = 11,
    ExitCode = 12,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame has 120 bytes at least, and this one {0}")]
    Short(usize),
    #[error("a header of {0} bytes does not fit")]
    Header(u32),
    #[error("{0:?} is not a type of message")]
    Type(String),
    #[error("the payload is said to have {said} bytes, and has {has}")]
    Length { said: u32, has: usize },
    #[error("the digest is not the payload's")]
    Digest,
}

impl Frame {
    pub fn new(message_type: MessageType, created: Timestamp, id: [u8; 16], payload: Vec<u8>) -> Frame {
        let payload_type = PayloadType::None;
        Frame {
            message_type,
            schema_version: SCHEMA_VERSION,
            created,
            sequence: 0,
            flags: 0,
            id,
            payload_type,
            payload,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH + 4 + self.payload.len());
        bytes.extend((HEADER_LENGTH as u32).to_be_bytes());
        bytes.extend(format!("{:<TYPE_BYTES$}", self.message_type.name()).bytes());
        bytes.extend(self.schema_version.to_be_bytes());
        bytes.extend(self.created.as_millis().to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(&self.id[8..]);
        bytes.extend(&self.id[..8]);
        bytes.extend(Sha256::digest(&self.payload));
        bytes.extend(self.payload_type.number().to_be_bytes());
        bytes.extend(u32::try_from(self.payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        let header_length = u32::from_be_bytes(field(bytes, 0)?);
        let header = usize::try_from(header_length).unwrap_or(usize::MAX);
        let payload = match header >= HEADER_LENGTH {
            true => header.checked_add(4).and_then(|start| bytes.get(start..)),
            false => None,
        };
        let payload = payload.ok_or(FrameError::Header(header_length))?;
        let name: [u8; TYPE_BYTES] = field(bytes, 4)?;
        let name = String::from_utf8_lossy(&name);
        let name = name.trim_matches(['\0', ' ']);
        let message_type = MessageType::from_name(name).ok_or_else(|| FrameError::Type(name.to_owned()))?;
        let said = u32::from_be_bytes(field(bytes, HEADER_LENGTH)?);
        if usize::try_from(said) != Ok(payload.len()) {
            return Err(FrameError::Length { said, has: payload.len() });
        }
        // As with the plugin: only what has a payload has a digest that counts.
        let digest: [u8; 32] = field(bytes, 80)?;
        if !payload.is_empty() && digest != *Sha256::digest(payload) {
            return Err(FrameError::Digest);
        }
        let halves: [u8; 16] = field(bytes, 64)?;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&halves[8..]);
        id[8..].copy_from_slice(&halves[..8]);
        Ok(Frame {
            message_type,
            schema_version: u32::from_be_bytes(field(bytes, 36)?),
            created: Timestamp::from_millis(i64::from_be_bytes(field(bytes, 40)?)),
            sequence: i64::from_be_bytes(field(bytes, 48)?),
            flags: u64::from_be_bytes(field(bytes, 56)?),
            id,
            payload_type: PayloadType::from_number(u32::from_be_bytes(field(bytes, 112)?)),
            payload: payload.to_vec(),
        })
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], FrameError> {
    let found = bytes.get(at..at + N).and_then(|found| found.try_into().ok());
    found.ok_or(FrameError::Short(bytes.len()))
}

/// `6f1c2d3e-4a5b-4c6d-8e7f-0123456789ab`
pub fn uuid_text(id: [u8; 16]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The bytes of an id that [`stdx::Ids`] gives.
pub fn fresh_id(ids: &mut stdx::Ids) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&ids.number().to_be_bytes());
    id[8..].copy_from_slice(&ids.number().to_be_bytes());
    // Version 4, variant 1; and never the nil UUID, which the plugin refuses.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn frame() -> Frame {
        let id = *b"\x6f\x1c\x2d\x3e\x4a\x5b\x4c\x6d\x8e\x7f\x01\x23\x45\x67\x89\xab";
        let created = Timestamp::from_millis(1_795_384_329_148);
        let frame = Frame::new(MessageType::OutputStreamData, created, id, b"hi".to_vec());
        Frame { sequence: 2, flags: FLAG_FIRST, payload_type: PayloadType::Output, ..frame }
    }

    fn check(frame: Frame, golden: Expect) {
        let bytes = frame.encode();
        golden.assert_eq(&bytes.chunks(32).map(|line| hex::encode(line) + "\n").collect::<String>());
        assert_eq!(Frame::decode(&bytes), Ok(frame));
    }

    #[test]
    fn frames_read_as_before() {
        check(
            frame(),
            expect![[r#"
                000000746f75747075745f73747265616d5f6461746120202020202020202020
                2020202000000001000001a2053ec3bc00000000000000020000000000000001
                8e7f0123456789ab6f1c2d3e4a5b4c6d8f434346648f6b96df89dda901c5176b
                10a6d83961dd3c1ac88b59b2dc327aa400000001000000026869
            "#]],
        );
    }

    #[test]
    fn what_is_no_frame_says_why() {
        let bytes = frame().encode();
        let error = |bytes: &[u8]| Frame::decode(bytes).unwrap_err().to_string();
        assert_eq!(error(b""), "a frame has 120 bytes at least, and this one 0");
        assert_eq!(error(&bytes[..100]), "a header of 116 bytes does not fit");
        assert_eq!(error(&bytes[..121]), "the payload is said to have 2 bytes, and has 1");
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            error(&bytes)
        };
        assert_eq!(changed(0, 0xff), "a header of 4278190196 bytes does not fit");
        assert_eq!(changed(3, 100), "a header of 100 bytes does not fit");
        assert_eq!(changed(4, b'O'), "\"Output_stream_data\" is not a type of message");
        assert_eq!(changed(121, b'o'), "the digest is not the payload's");
    }

    #[test]
    fn zeroes_also_fill_a_type_up() {
        let mut bytes = frame().encode();
        bytes[4 + 18..36].fill(0);
        assert_eq!(Frame::decode(&bytes), Ok(frame()));
    }

    proptest! {
        #[test]
        fn any_frame_survives(sequence in any::<i64>(), flags in any::<u64>(), kind in any::<u32>(), payload: Vec<u8>) {
            let payload_type = PayloadType::from_number(kind);
            let frame = Frame { sequence, flags, payload_type, payload, ..frame() };
            prop_assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Frame::decode(&bytes);
        }
    }
}
