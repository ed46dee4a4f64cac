//! The files in which a shim keeps a container's output, and the lines in them.
//!
//! `containers/<id>/log/<number>.log`, with ten digits so that names sort as numbers. A segment only ever grows, by
//! whole frames, and is finished once the next number exists; so a position is a segment number and an offset, and
//! stays good until that segment is dropped.
//!
//! A frame is `<unix nanos> <o|e> <F|P> <text>\n`: when it was read, stdout or stderr, and whether the line is full or
//! goes on in the next frame of the same stream. The text is the container's bytes as they are, without the newline.

/// This many newest segments are kept; older ones are removed.
pub const SEGMENTS_KEPT: u64 = 8;

/// A ring of nobody's choice: a container keeps 28 to 32 MiB of output.
pub const RING_BYTES: u64 = 32 * 1024 * 1024;

/// A segment is at least this long, so that a frame of the longest line fits.
pub const SEGMENT_BYTES_MIN: u64 = 32 * 1024;

/// In the container's directory, written by whoever delivers: [`encode_pair`] of the segment and the offset behind the last
/// line that is delivered. Text that is no pair says that nobody delivers any more.
pub const POSITION_NAME: &str = "log-position";

/// In the container's directory, written by the shim: [`encode_pair`] of how many lines went that nobody had delivered, and how
/// many bytes they were in the segments. What was being delivered when it went is counted too.
pub const LOST_NAME: &str = "log-lost";

/// A longer line becomes several frames.
pub const LINE_TEXT_BYTES_MAX: usize = 16 * 1024;

/// How much of a container's output is kept, and what gives way when that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// About this much, in [`SEGMENTS_KEPT`] segments.
    pub bytes: u64,
    pub full: WhenFull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Nobody delivers: the oldest lines go.
    Forget,
    /// The oldest lines go, and those that were not delivered are counted.
    Drop,
    /// The container waits until the oldest lines are delivered. When nobody has been connected to the shim for a while, who could
    /// deliver them, they go all the same.
    Wait,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { bytes: RING_BYTES, full: WhenFull::Forget }
    }
}

impl Ring {
    /// A segment is finished when the next frame would make it longer than this.
    pub fn segment_bytes(&self) -> u64 {
        (self.bytes / SEGMENTS_KEPT).max(SEGMENT_BYTES_MIN)
    }
}

impl WhenFull {
    pub(crate) fn name(self) -> &'static str {
        match self {
            WhenFull::Forget => "forget",
            WhenFull::Drop => "drop",
            WhenFull::Wait => "wait",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<WhenFull> {
        [WhenFull::Forget, WhenFull::Drop, WhenFull::Wait].into_iter().find(|full| full.name() == name)
    }
}

/// Two numbers of twenty digits, so that the text is as long each time and can be overwritten in place.
pub fn encode_pair(first: u64, second: u64) -> String {
    format!("{first:020} {second:020}\n")
}

pub fn decode_pair(text: &str) -> Option<(u64, u64)> {
    let (first, second) = text.strip_suffix('\n')?.split_once(' ')?;
    let number = |digits: &str| (digits.len() == 20).then(|| digits.parse().ok())?;
    Some((number(first)?, number(second)?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One frame, borrowed from the bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub stream: Stream,
    /// The line goes on in the next frame of this stream.
    pub partial: bool,
    pub text: &'a [u8],
}

impl Frame<'_> {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.time.to_string().as_bytes());
        out.extend_from_slice(match self.stream {
            Stream::Stdout => b" o ",
            Stream::Stderr => b" e ",
        });
        out.extend_from_slice(if self.partial { b"P " } else { b"F " });
        out.extend_from_slice(self.text);
        out.push(b'\n');
    }

    /// Reads the frame of one line, given without its newline. `None` if it is not one.
    pub fn decode(line: &[u8]) -> Option<Frame<'_>> {
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let stream = match parts.next()? {
            b"o" => Stream::Stdout,
            b"e" => Stream::Stderr,
            _ => return None,
        };
        let partial = match parts.next()? {
            b"F" => false,
            b"P" => true,
            _ => return None,
        };
        Some(Frame { time, stream, partial, text: parts.next()? })
    }
}

pub fn segment_name(number: u64) -> String {
    format!("{number:010}.log")
}

pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    match digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: Frame<'_>, golden: &[u8]) {
        let mut out = Vec::new();
        frame.encode(&mut out);
        assert_eq!(out, golden);
        assert_eq!(Frame::decode(&golden[..golden.len() - 1]), Some(frame));
    }

    #[test]
    fn frames_read_as_before() {
        check(
            Frame { time: 17, stream: Stream::Stdout, partial: false, text: b"hello  world " },
            b"17 o F hello  world \n",
        );
        check(Frame { time: 18, stream: Stream::Stderr, partial: true, text: b"\xff\x00" }, b"18 e P \xff\x00\n");
        check(Frame { time: 19, stream: Stream::Stdout, partial: false, text: b"" }, b"19 o F \n");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for line in [&b""[..], b"17", b"17 o F", b"x o F text", b"17 z F text", b"17 o Q text"] {
            assert_eq!(Frame::decode(line), None, "{line:?}");
        }
    }

    #[test]
    fn pairs_read_as_before() {
        let golden = "00000000000000000007 00000000000000004096\n";
        assert_eq!(encode_pair(7, 4096), golden);
        assert_eq!(decode_pair(golden), Some((7, 4096)));
        assert_eq!(decode_pair(&encode_pair(u64::MAX, u64::MAX)), Some((u64::MAX, u64::MAX)));
        let torn = "00000000000000000007 0000";
        for text in ["", "nobody\n", "7 4096\n", torn, "00000000000000000007 0000000000000000409x\n", "\0\0"] {
            assert_eq!(decode_pair(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_segment_holds_the_longest_frame() {
        let segment = |bytes| Ring { bytes, ..Ring::default() }.segment_bytes();
        assert_eq!((segment(RING_BYTES), segment(1 << 20), segment(1)), (4 << 20, 128 << 10, SEGMENT_BYTES_MIN));
        let text = vec![b'x'; LINE_TEXT_BYTES_MAX];
        let mut bytes = Vec::new();
        Frame { time: u64::MAX, stream: Stream::Stdout, partial: true, text: &text }.encode(&mut bytes);
        assert!(bytes.len() as u64 <= SEGMENT_BYTES_MIN);
    }

    #[test]
    fn segment_names_sort_as_their_numbers() {
        assert_eq!(segment_name(12), "0000000012.log");
        assert_eq!(segment_number("0000000012.log"), Some(12));
        for name in ["12.log", "0000000012.txt", "00000000a2.log", ".log"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
        assert!(segment_name(9) < segment_name(10));
    }
}
