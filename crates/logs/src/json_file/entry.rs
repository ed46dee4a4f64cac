//! One line of Docker's JSON file.

use std::fmt::Write as _;

use runtime::{LogLine, Stream};
use stdx::Timestamp;
use stdx::time::civil;

/// Appends `{"log":"text\n","stream":"stdout","time":"2026-11-24T18:05:59.12Z"}` and a newline.
pub(crate) fn encode(line: &LogLine, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(line.text.len() + 96);
    text.push_str("{\"log\":\"");
    for chunk in line.text.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push_escaped(character, &mut text));
        // Go replaces each broken byte, and spells it out.
        chunk.invalid().iter().for_each(|_| text.push_str("\\ufffd"));
    }
    if !line.partial {
        text.push_str("\\n");
    }
    text.push_str(match line.stream {
        Stream::Stdout => "\",\"stream\":\"stdout\",\"time\":\"",
        Stream::Stderr => "\",\"stream\":\"stderr\",\"time\":\"",
    });
    push_time(line.time, &mut text);
    text.push_str("\"}\n");
    out.extend_from_slice(text.as_bytes());
}

/// As Docker's encoder does, which has in mind that JSON may end up in HTML.
fn push_escaped(character: char, text: &mut String) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
            // Writing into a string cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        }
        other => text.push(other),
    }
}

/// RFC 3339 with as many digits as it takes, as Go writes it.
fn push_time(nanos: u64, text: &mut String) {
    let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or_default();
    let (year, month, day, hour, minute, second, _) = civil(Timestamp::from_millis(seconds * 1000));
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        let _ = write!(text, ".{fraction}");
    }
    text.push('Z');
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    fn check(line: LogLine, golden: &str) {
        let mut out = Vec::new();
        encode(&line, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{golden}\n"));
        let value: serde_json::Value = serde_json::from_str(golden).unwrap();
        if let Ok(text) = String::from_utf8(line.text) {
            assert_eq!(value["log"], if line.partial { text } else { text + "\n" });
        }
    }

    fn line(time: u64, stream: Stream, text: &[u8]) -> LogLine {
        LogLine { time, stream, partial: false, text: text.to_vec(), next: LogPosition::default() }
    }

    #[test]
    fn golden_entries() {
        check(
            line(1_795_543_559_120_000_000, Stream::Stdout, b"hello"),
            r#"{"log":"hello\n","stream":"stdout","time":"2026-11-24T18:05:59.12Z"}"#,
        );
        check(
            line(1_795_543_559_000_000_001, Stream::Stderr, b""),
            r#"{"log":"\n","stream":"stderr","time":"2026-11-24T18:05:59.000000001Z"}"#,
        );
        check(
            LogLine { partial: true, ..line(1_795_543_559_000_000_000, Stream::Stdout, b"half") },
            r#"{"log":"half","stream":"stdout","time":"2026-11-24T18:05:59Z"}"#,
        );
    }

    #[test]
    fn what_json_and_html_would_misread_is_escaped() {
        check(
            line(0, Stream::Stdout, "\"\\\t\r\x1b[1m<a&b> é\u{2028}\x7f".as_bytes()),
            concat!(
                r#"{"log":"\"\\\u0009\r\u001b[1m\u003ca\u0026b\u003e é\u2028"#,
                "\x7f",
                r#"\n","stream":"stdout","time":"1970-01-01T00:00:00Z"}"#
            ),
        );
        check(
            line(0, Stream::Stdout, b"a\xff\xe2\x82b"),
            r#"{"log":"a\ufffd\ufffd\ufffdb\n","stream":"stdout","time":"1970-01-01T00:00:00Z"}"#,
        );
    }
}
