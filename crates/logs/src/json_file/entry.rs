//! One line of Docker's JSON file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use runtime::{LogLine, Stream};

use crate::stamp;

/// Appends `{"log":"text\n","stream":"stdout","time":"2026-11-24T18:05:59.12Z"}` and a newline.
///
/// With `attributes`, from the function of that name, there is a `"attrs":{...}` before the time.
pub(crate) fn encode(line: &LogLine, attributes: &str, out: &mut Vec<u8>) {
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
        Stream::Stdout => "\",\"stream\":\"stdout\",",
        Stream::Stderr => "\",\"stream\":\"stderr\",",
    });
    text.push_str(attributes);
    text.push_str("\"time\":\"");
    text.push_str(&stamp::rfc3339_nano(line.time));
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

/// What all entries of a container have in common. Nothing when there is none.
pub(crate) fn attributes(attributes: &BTreeMap<String, String>) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let quoted = |text: &str| {
        let mut quoted = String::from('"');
        text.chars().for_each(|character| push_escaped(character, &mut quoted));
        quoted + "\""
    };
    let pairs: Vec<String> =
        attributes.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
    format!("\"attrs\":{{{}}},", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    fn check(line: LogLine, golden: &str) {
        let mut out = Vec::new();
        encode(&line, "", &mut out);
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

    #[test]
    fn attributes_stand_before_the_time() {
        assert_eq!(attributes(&BTreeMap::new()), "");
        let attributes = attributes(&[("a".to_owned(), "\"<".to_owned()), ("tag".to_owned(), "t".to_owned())].into());
        let mut out = Vec::new();
        encode(&line(0, Stream::Stdout, b"x"), &attributes, &mut out);
        let golden =
            r#"{"log":"x\n","stream":"stdout","attrs":{"a":"\"\u003c","tag":"t"},"time":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{golden}\n"));
    }
}
