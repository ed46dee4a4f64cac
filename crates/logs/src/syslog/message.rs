//! One line as a syslog message.

use runtime::{LogLine, Stream};

use super::options::Format;
use crate::stamp;

/// What all messages of a container have in common.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub facility: u8,
    pub format: Format,
    /// Before each message its length, instead of a newline behind it (RFC 5425).
    pub counted: bool,
    pub hostname: String,
    pub tag: String,
    pub pid: u32,
}

const ERROR: u32 = 3;
const INFO: u32 = 6;

/// Nothing of an empty line.
pub(crate) fn encode(envelope: &Envelope, line: &LogLine, out: &mut Vec<u8>) {
    if line.text.is_empty() {
        return;
    }
    let severity = if line.stream == Stream::Stderr { ERROR } else { INFO };
    let priority = u32::from(envelope.facility) * 8 + severity;
    let Envelope { hostname, tag, pid, .. } = envelope;
    let head = match envelope.format {
        Format::Unix => format!("<{priority}>{} {tag}[{pid}]: ", stamp::short(line.time)),
        Format::Rfc3164 => format!("<{priority}>{} {hostname} {tag}[{pid}]: ", stamp::short(line.time)),
        Format::Rfc5424 => {
            format!("<{priority}>1 {} {hostname} {tag} {pid} {tag} - ", stamp::rfc3339(line.time, 0))
        }
        Format::Rfc5424Micro => {
            format!("<{priority}>1 {} {hostname} {tag} {pid} {tag} - ", stamp::rfc3339(line.time, 6))
        }
    };
    // Docker's library ends each message with a newline, also one whose length is told.
    if envelope.counted {
        out.extend_from_slice(format!("{} ", head.len() + line.text.len() + 1).as_bytes());
    }
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&line.text);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    fn check(format: Format, counted: bool, stream: Stream, text: &str, golden: &str) {
        let envelope = Envelope { facility: 3, format, counted, hostname: "node".into(), tag: "web".into(), pid: 42 };
        let line = LogLine {
            time: 1_796_200_859_123_456_789,
            stream,
            partial: false,
            text: text.into(),
            next: LogPosition::default(),
        };
        let mut out = Vec::new();
        encode(&envelope, &line, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), golden);
    }

    #[test]
    fn golden_messages() {
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        check(Format::Unix, false, out, "hello", "<30>Dec  2 08:40:59 web[42]: hello\n");
        check(Format::Rfc3164, false, err, "hello", "<27>Dec  2 08:40:59 node web[42]: hello\n");
        let text = "<30>1 2026-12-02T08:40:59Z node web 42 web - hello\n";
        check(Format::Rfc5424, false, out, "hello", text);
        check(Format::Rfc5424, true, out, "hello", &format!("{} {text}", text.len()));
        check(Format::Rfc5424Micro, false, out, "h", "<30>1 2026-12-02T08:40:59.123456Z node web 42 web - h\n");
        check(Format::Unix, false, out, "", "");
    }
}
