//! One log event, and the fields that it has by itself.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::limits::FIELDS_MAX;
use crate::value::Value;

/// One log event as a query sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub timestamp_ms: i64,
    pub ingestion_ms: i64,
    /// The order of ingestion within its log group.
    pub number: u64,
    /// `@log`: the account, a colon, the log group.
    pub log: Arc<str>,
    /// `@logStream`.
    pub stream: Arc<str>,
    pub message: Arc<str>,
}

pub(crate) const MESSAGE: &str = "@message";
pub(crate) const POINTER: &str = "@ptr";
pub(crate) const TIMESTAMP: &str = "@timestamp";
const INGESTION: &str = "@ingestionTime";
const STREAM: &str = "@logStream";
const LOG: &str = "@log";

pub(crate) fn is_system(name: &str) -> bool {
    [MESSAGE, POINTER, TIMESTAMP, INGESTION, STREAM, LOG].contains(&name)
}

impl Event {
    /// A field that every event has.
    pub(crate) fn system(&self, name: &str) -> Option<Value> {
        Some(match name {
            MESSAGE => Value::Text(self.message.clone()),
            TIMESTAMP => Value::Time(self.timestamp_ms),
            INGESTION => Value::Time(self.ingestion_ms),
            STREAM => Value::Text(self.stream.clone()),
            LOG => Value::Text(self.log.clone()),
            POINTER => Value::text(self.pointer()),
            _ => return None,
        })
    }

    /// `@ptr`: names the event among all, for GetLogRecord.
    pub fn pointer(&self) -> String {
        STANDARD.encode(format!("{}:{}:{}", self.timestamp_ms, self.number, self.log))
    }

    /// The timestamp, the order of ingestion and the `@log` of the event that a pointer names.
    pub fn of_pointer(pointer: &str) -> Option<(i64, u64, String)> {
        let text = String::from_utf8(STANDARD.decode(pointer).ok()?).ok()?;
        let mut parts = text.splitn(3, ':');
        let (timestamp, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((timestamp, number, parts.next()?.to_owned()))
    }

    /// The message, when it is a JSON object or list.
    pub(crate) fn json(&self) -> Option<Json> {
        let text = self.message.trim();
        if !text.starts_with(['{', '[']) {
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

/// The field of a JSON document that a name such as `a.b.0.c` means. A name in the document may itself have dots.
pub(crate) fn in_json<'j>(json: &'j Json, name: &str) -> Option<&'j Json> {
    if name.is_empty() {
        return None;
    }
    let inner = |json: &'j Json, part: &str| match json {
        Json::Object(members) => members.get(part),
        Json::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    };
    if let Some(found) = inner(json, name) {
        return Some(found);
    }
    name.match_indices('.').find_map(|(dot, _)| in_json(inner(json, &name[..dot])?, &name[dot + 1..]))
}

/// Every field of an event and its value, as GetLogRecord gives them: the system's first, then those of JSON.
pub fn fields_of(event: &Event) -> Vec<(String, String)> {
    let mut fields = vec![
        (LOG.to_owned(), event.log.to_string()),
        (STREAM.to_owned(), event.stream.to_string()),
        (TIMESTAMP.to_owned(), event.timestamp_ms.to_string()),
        (INGESTION.to_owned(), event.ingestion_ms.to_string()),
        (MESSAGE.to_owned(), event.message.to_string()),
        (POINTER.to_owned(), event.pointer()),
    ];
    if let Some(json) = event.json() {
        let most = fields.len() + FIELDS_MAX;
        flatten(&json, String::new(), most, &mut fields);
    }
    fields
}

fn flatten(json: &Json, name: String, most: usize, fields: &mut Vec<(String, String)>) {
    let inner = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    if fields.len() >= most {
        return;
    }
    match json {
        Json::Object(members) => {
            members.iter().for_each(|(key, value)| flatten(value, inner(key), most, fields));
        }
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(item, inner(&at.to_string()), most, fields));
        }
        scalar => {
            if let Some(shown) = Value::of_json(scalar).shown() {
                fields.push((name, shown.into_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        let (log, stream) = ("123456789012:/ecs/web".into(), "web/1".into());
        Event { timestamp_ms: 1_700_000_000_000, ingestion_ms: 1, number: 7, log, stream, message: message.into() }
    }

    #[test]
    fn names_lead_into_json() {
        let json: Json =
            serde_json::from_str(r#"{"a":{"b":[{"c":1},{"c":2}],"x.y":{"z":3}},"d.e":4,"d":{"f":5}}"#).unwrap();
        for (name, value) in [("a.b.0.c", 1), ("a.b.1.c", 2), ("a.x.y.z", 3), ("d.e", 4), ("d.f", 5)] {
            assert_eq!(in_json(&json, name), Some(&Json::from(value)), "{name}");
        }
        for name in ["", "a.b.2.c", "a.b.c", "b", "a.", ".a", "d.e.f", "a..b"] {
            assert_eq!(in_json(&json, name), None, "{name}");
        }
    }

    #[test]
    fn pointers_lead_back() {
        let event = event("x");
        let expected = (event.timestamp_ms, event.number, event.log.to_string());
        assert_eq!(Event::of_pointer(&event.pointer()), Some(expected));
        for text in ["", "x", "AAAA", "MTI6MTI="] {
            assert_eq!(Event::of_pointer(text), None, "{text}");
        }
    }

    #[test]
    fn a_record_has_every_field() {
        let fields = fields_of(&event(r#"{"level":"info","list":[true,null,2.5],"deep":{"x":"y"}}"#));
        let found: Vec<_> = fields.iter().skip(6).map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(found, ["deep.x=y", "level=info", "list.0=1", "list.2=2.5"]);
        assert_eq!(fields_of(&event("plain")).len(), 6);
        let many = format!("[{}]", vec!["1"; 1000].join(","));
        assert_eq!(fields_of(&event(&many)).len(), 6 + FIELDS_MAX);
    }
}
