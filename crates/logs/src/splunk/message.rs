//! One line as an event of the HTTP Event Collector.

use std::collections::BTreeMap;

use runtime::{LogLine, Stream};
use serde_json::{Value, json};

use super::options::Format;
use crate::stamp;

/// What the events of a container have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub hostname: String,
    pub source: Option<String>,
    pub sourcetype: Option<String>,
    pub index: Option<String>,
    pub format: Format,
    /// None when the option `tag` is given and empty.
    pub tag: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

/// Nothing of a line that holds nothing: Splunk does not take such an event.
pub(crate) fn encode(common: &Common, line: &LogLine, out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(&line.text);
    if text.trim().is_empty() {
        return;
    }
    let mut event = serde_json::Map::new();
    event.insert("event".into(), content(common, line, &text));
    event.insert("time".into(), json!(stamp::seconds(line.time, 6)));
    event.insert("host".into(), json!(common.hostname));
    let optional = [("source", &common.source), ("sourcetype", &common.sourcetype), ("index", &common.index)];
    event.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))));
    out.extend_from_slice(Value::Object(event).to_string().as_bytes());
}

fn content(common: &Common, line: &LogLine, text: &str) -> Value {
    if common.format == Format::Raw {
        return json!(prefix(common) + text);
    }
    let source = if line.stream == Stream::Stderr { "stderr" } else { "stdout" };
    // What is no JSON stays a string in both formats.
    let parsed = match common.format {
        Format::Json => serde_json::from_str(text).ok(),
        _ => None,
    };
    let mut content = serde_json::Map::new();
    content.insert("line".into(), parsed.unwrap_or_else(|| json!(text)));
    content.insert("source".into(), json!(source));
    if let Some(tag) = &common.tag {
        content.insert("tag".into(), json!(tag));
    }
    if !common.attributes.is_empty() {
        content.insert("attrs".into(), json!(common.attributes));
    }
    Value::Object(content)
}

/// Tag and attributes stand before the line.
fn prefix(common: &Common) -> String {
    let tag = common.tag.iter().map(|tag| format!("{tag} "));
    let attributes = common.attributes.iter().map(|(name, value)| format!("{name}={value} "));
    tag.chain(attributes).collect()
}

#[cfg(test)]
mod tests {
    use runtime::LogPosition;

    use super::*;

    fn check(format: Format, text: &str, golden: Option<Value>) {
        let common = Common {
            hostname: "node".into(),
            source: None,
            sourcetype: Some("docker".into()),
            index: None,
            format,
            tag: Some("web".into()),
            attributes: [("team".to_owned(), "a".to_owned())].into(),
        };
        let line = LogLine {
            time: 1_795_543_559_120_000_000,
            stream: Stream::Stderr,
            partial: false,
            text: text.into(),
            next: LogPosition::default(),
        };
        let mut out = Vec::new();
        encode(&common, &line, &mut out);
        let golden = golden.map(
            |event| json!({ "event": event, "time": "1795543559.120000", "host": "node", "sourcetype": "docker" }),
        );
        assert_eq!(serde_json::from_slice::<Value>(&out).ok(), golden);
    }

    #[test]
    fn golden_events() {
        let event = |line: Value| json!({ "line": line, "source": "stderr", "tag": "web", "attrs": { "team": "a" } });
        check(Format::Inline, "{\"a\":1}", Some(event(json!("{\"a\":1}"))));
        check(Format::Json, "{\"a\":1}", Some(event(json!({ "a": 1 }))));
        check(Format::Json, "{a", Some(event(json!("{a"))));
        check(Format::Raw, "hello", Some(json!("web team=a hello")));
        check(Format::Inline, "  ", None);
        check(Format::Raw, "", None);
    }
}
