//! One line as an entry of the journal.

use std::collections::BTreeMap;

use runtime::{LogLine, Stream};

use crate::post::Part;
use crate::stamp;
use crate::subject::Subject;

/// The fields that all entries of a container have. Source: Docker's documentation, "Journald logging driver".
pub(crate) fn common(subject: &Subject, tag: &str, attributes: &BTreeMap<String, String>) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [
        ("CONTAINER_ID", subject.short_id()),
        ("CONTAINER_ID_FULL", &subject.id),
        ("CONTAINER_NAME", &subject.name),
        ("CONTAINER_TAG", tag),
        ("IMAGE_NAME", &subject.image_name),
        ("SYSLOG_IDENTIFIER", tag),
    ] {
        push(name, value.as_bytes(), &mut fields);
    }
    attributes.iter().for_each(|(name, value)| push(name, value.as_bytes(), &mut fields));
    fields
}

/// Nothing of an empty line.
pub(crate) fn encode(common: &[u8], line: &LogLine, part: Option<&Part>, out: &mut Vec<u8>) {
    if line.text.is_empty() {
        return;
    }
    push("MESSAGE", &line.text, out);
    push("PRIORITY", if line.stream == Stream::Stderr { b"3" } else { b"6" }, out);
    push("SYSLOG_TIMESTAMP", stamp::rfc3339_nano(line.time).as_bytes(), out);
    if let Some(part) = part {
        push("CONTAINER_PARTIAL_ID", part.id.as_bytes(), out);
        push("CONTAINER_PARTIAL_ORDINAL", part.ordinal.to_string().as_bytes(), out);
        push("CONTAINER_PARTIAL_LAST", part.is_last.to_string().as_bytes(), out);
        if !part.is_last {
            push("CONTAINER_PARTIAL_MESSAGE", b"true", out);
        }
    }
    out.extend_from_slice(common);
}

/// A value of several lines, or one that is no text, comes with its length.
fn push(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') || std::str::from_utf8(value).is_err() {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Upper-case letters, digits and underscores, of which none is the first.
pub(crate) fn field_name(name: &str) -> String {
    let upper = name.chars().map(|one| match one.to_ascii_uppercase() {
        one @ ('A'..='Z' | '0'..='9') => one,
        _ => '_',
    });
    upper.skip_while(|one| *one == '_').collect()
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    #[test]
    fn golden_entry() {
        let subject =
            Subject { id: "ab".repeat(32), name: "ecs-web".into(), image_name: "nginx".into(), ..Subject::default() };
        let common = common(&subject, "web", &[("TEAM".to_owned(), "a\nb".to_owned())].into());
        let line = LogLine {
            time: 1_795_543_559_120_000_000,
            stream: Stream::Stderr,
            partial: false,
            text: b"hello".to_vec(),
            next: LogPosition::default(),
        };
        let mut out = Vec::new();
        encode(&common, &line, Some(&Part { id: "7".into(), ordinal: 2, is_last: false }), &mut out);
        let id = "ab".repeat(32);
        let golden = format!(
            "MESSAGE=hello\nPRIORITY=3\nSYSLOG_TIMESTAMP=2026-11-24T18:05:59.12Z\nCONTAINER_PARTIAL_ID=7\n\
             CONTAINER_PARTIAL_ORDINAL=2\nCONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n\
             CONTAINER_ID=abababababab\nCONTAINER_ID_FULL={id}\nCONTAINER_NAME=ecs-web\nCONTAINER_TAG=web\n\
             IMAGE_NAME=nginx\nSYSLOG_IDENTIFIER=web\nTEAM\n\u{3}\0\0\0\0\0\0\0a\nb\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), golden);
    }

    #[test]
    fn names_of_fields() {
        for (given, expected) in [("team", "TEAM"), ("com.x-y", "COM_X_Y"), ("__a1", "A1"), ("é", ""), ("9a", "9A")] {
            assert_eq!(field_name(given), expected, "{given}");
        }
    }
}
