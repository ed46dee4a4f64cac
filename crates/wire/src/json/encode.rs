//! Documents to JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shape::{Document, Kind, Member, Schema, Timestamp, TimestampFormat};

/// Writes a document that has the form of its schema. Members that are null are left out.
pub fn encode(schema: &Schema, document: &Document) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(schema, None, document, &mut out);
    out
}

/// Writes a document without a schema, for the extra members of exceptions and for free-form JSON.
pub fn encode_free(document: &Document, out: &mut Vec<u8>) {
    match document {
        Document::Null => out.extend_from_slice(b"null"),
        Document::Bool(true) => out.extend_from_slice(b"true"),
        Document::Bool(false) => out.extend_from_slice(b"false"),
        Document::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Document::Float(value) => float(*value, out),
        Document::String(text) => string(text, out),
        Document::Blob(bytes) => string(&STANDARD.encode(bytes), out),
        Document::Timestamp(at) => seconds(*at, out),
        Document::List(items) => sequence(b"[]", items, out, encode_free),
        Document::Map(entries) => sequence(b"{}", entries, out, |(key, value), out| {
            name(key, out);
            encode_free(value, out);
        }),
        Document::Structure(members) => sequence(b"{}", members, out, |(key, value), out| {
            name(key, out);
            encode_free(value, out);
        }),
    }
}

fn write(schema: &Schema, member: Option<&Member>, document: &Document, out: &mut Vec<u8>) {
    match (&schema.kind, document) {
        (Kind::Structure(members), Document::Structure(values)) => {
            let present: Vec<(&Member, &Document)> = values
                .iter()
                .filter(|(_, value)| !value.is_null())
                .filter_map(|(key, value)| Some((members.iter().find(|member| member.name == *key)?, value)))
                .collect();
            sequence(b"{}", &present, out, |(member, value), out| {
                name(member.wire_name(), out);
                write(member.schema, Some(member), value, out);
            });
        }
        (Kind::List(item), Document::List(items)) => {
            sequence(b"[]", items, out, |value, out| write(item, None, value, out));
        }
        (Kind::Map { value: schema, .. }, Document::Map(entries)) => {
            sequence(b"{}", entries, out, |(key, value), out| {
                name(key, out);
                write(schema, None, value, out);
            });
        }
        (Kind::Timestamp, Document::Timestamp(at)) => {
            match member.and_then(|member| member.timestamp_format).or(schema.timestamp_format) {
                Some(TimestampFormat::Iso8601) => string(&at.to_string(), out),
                _ => seconds(*at, out),
            }
        }
        (_, other) => encode_free(other, out),
    }
}

fn sequence<T>(brackets: &[u8; 2], items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(brackets[0]);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(brackets[1]);
}

fn name(text: &str, out: &mut Vec<u8>) {
    string(text, out);
    out.push(b':');
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a vector takes every byte");
}

fn float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        serde_json::to_writer(out, &value).expect("a finite number is JSON, and a vector takes every byte");
    } else if value.is_nan() {
        string("NaN", out);
    } else {
        string(if value > 0.0 { "Infinity" } else { "-Infinity" }, out);
    }
}

/// Seconds with at most three decimals, never an exponent: some clients read them as a decimal number.
fn seconds(at: Timestamp, out: &mut Vec<u8>) {
    let millis = at.as_millis();
    let sign = if millis < 0 { "-" } else { "" };
    let (whole, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let text = match rest {
        0 => format!("{sign}{whole}"),
        rest => format!("{sign}{whole}.{rest:03}"),
    };
    out.extend_from_slice(text.as_bytes());
}
