//! Just enough XML to answer with.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shape::{Document, Kind, Location, Member, Schema, Timestamp, TimestampFormat};

/// Writes elements, indented by two spaces, as AWS does.
#[derive(Default)]
pub(super) struct Xml {
    out: String,
    depth: usize,
}

impl Xml {
    /// Begins with the line that says what it is, as S3 does and query services do not.
    pub fn declared() -> Xml {
        Xml { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 }
    }

    pub fn open(&mut self, name: &str) {
        self.indent();
        _ = writeln!(self.out, "<{name}>");
        self.depth += 1;
    }

    pub fn open_in(&mut self, name: &str, namespace: &str) {
        self.indent();
        _ = writeln!(self.out, "<{name} xmlns=\"{}\">", escaped(namespace));
        self.depth += 1;
    }

    pub fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        _ = writeln!(self.out, "</{name}>");
    }

    pub fn text(&mut self, name: &str, text: &str) {
        self.indent();
        _ = writeln!(self.out, "<{name}>{}</{name}>", escaped(text));
    }

    pub fn text_in(&mut self, name: &str, namespace: &str, text: &str) {
        _ = writeln!(self.out, "<{name} xmlns=\"{}\">{}</{name}>", escaped(namespace), escaped(text));
    }

    pub fn finish(self) -> Vec<u8> {
        debug_assert_eq!(self.depth, 0, "every element is closed");
        self.out.into_bytes()
    }

    /// The members of a structure, in the order of the schema.
    pub fn members(&mut self, schema: &Schema, document: &Document) {
        for member in schema.members() {
            match document.member(member.name) {
                None | Some(Document::Null) => {}
                Some(value) => self.value(member.wire_name(), member.schema, Some(member), value),
            }
        }
    }

    /// Those that have no other place in an answer than its body.
    pub fn body_members(&mut self, schema: &Schema, document: &Document) {
        for member in schema.members().iter().filter(|member| member.location == Location::Body) {
            match document.member(member.name) {
                None | Some(Document::Null) => {}
                Some(value) => self.value(member.wire_name(), member.schema, Some(member), value),
            }
        }
    }

    fn value(&mut self, name: &str, schema: &Schema, member: Option<&Member>, document: &Document) {
        match (&schema.kind, document) {
            (Kind::Structure(_), _) => self.within(name, |xml| xml.members(schema, document)),
            (Kind::List(item), Document::List(items)) if schema.flattened => {
                for value in items {
                    self.value(schema.element.unwrap_or(name), item, None, value);
                }
            }
            (Kind::List(item), Document::List(items)) => self.within(name, |xml| {
                for value in items {
                    xml.value(schema.element.unwrap_or("member"), item, None, value);
                }
            }),
            (Kind::Map { value, .. }, Document::Map(entries)) if schema.flattened => {
                self.entries(name, schema, value, entries);
            }
            (Kind::Map { value, .. }, Document::Map(entries)) => {
                self.within(name, |xml| xml.entries("entry", schema, value, entries));
            }
            (_, Document::Timestamp(at)) => {
                let format = member.and_then(|member| member.timestamp_format).or(schema.timestamp_format);
                self.text(name, &timestamp(*at, format));
            }
            (_, Document::Bool(value)) => self.text(name, &value.to_string()),
            (_, Document::Integer(value)) => self.text(name, &value.to_string()),
            (_, Document::Float(value)) => self.text(name, &value.to_string()),
            (_, Document::String(value)) => self.text(name, value),
            (_, Document::Blob(bytes)) => self.text(name, &STANDARD.encode(bytes)),
            (_, other) => debug_assert!(other.is_null(), "{name} has another form than its schema"),
        }
    }

    fn entries(&mut self, name: &str, map: &Schema, value: &Schema, entries: &[(String, Document)]) {
        let (key_name, value_name) = map.entry.unwrap_or(("key", "value"));
        for (key, item) in entries {
            self.within(name, |xml| {
                xml.text(key_name, key);
                xml.value(value_name, value, None, item);
            });
        }
    }

    fn within(&mut self, name: &str, write: impl FnOnce(&mut Xml)) {
        let before = self.out.len();
        self.open(name);
        let empty = self.out.len();
        write(self);
        if self.out.len() > empty {
            return self.close(name);
        }
        self.out.truncate(before);
        self.depth -= 1;
        self.indent();
        _ = writeln!(self.out, "<{name}/>");
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}

fn timestamp(at: Timestamp, format: Option<TimestampFormat>) -> String {
    match format {
        Some(TimestampFormat::UnixSeconds) => at.as_seconds_f64().to_string(),
        // HTTP dates occur in headers of REST protocols only; XML bodies are ISO 8601.
        _ => at.to_string(),
    }
}

/// Text that XML 1.0 can carry; characters that it cannot become the replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || c == '\u{FFFE}' || c == '\u{FFFF}' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
