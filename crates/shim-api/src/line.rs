//! The grammar of one line: `verb key=value key=value`.

use std::fmt;

/// Why a line is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// The first word is not a verb of this protocol.
    UnknownVerb(String),
    /// A field that the verb needs is not there.
    Missing(&'static str),
    /// A field is there, and its value means nothing.
    Invalid { field: &'static str, value: String },
    /// A word after the verb is not `key=value`, or its escapes are broken.
    Malformed(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::UnknownVerb(verb) => write!(f, "unknown verb {verb:?}"),
            ParseError::Missing(field) => write!(f, "field {field} is missing"),
            ParseError::Invalid { field, value } => write!(f, "field {field} has the invalid value {value:?}"),
            ParseError::Malformed(word) => write!(f, "malformed word {word:?}"),
        }
    }
}

impl std::error::Error for ParseError {}

/// Writes a line, field by field.
pub(crate) struct LineWriter(String);

impl LineWriter {
    pub(crate) fn new(verb: &str) -> Self {
        LineWriter(verb.to_owned())
    }

    pub(crate) fn text(mut self, key: &str, value: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(key);
        self.0.push('=');
        escape(value, &mut self.0);
        self
    }

    pub(crate) fn number(self, key: &str, value: impl fmt::Display) -> Self {
        self.text(key, &value.to_string())
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('\n');
        self.0
    }
}

/// Reads a line's fields. Repeated keys are a list, in order.
pub(crate) struct LineReader<'a> {
    pub(crate) verb: &'a str,
    fields: Vec<(&'a str, String)>,
}

impl<'a> LineReader<'a> {
    pub(crate) fn new(line: &'a str) -> Result<Self, ParseError> {
        let mut words = line.trim_end_matches(['\n', '\r']).split(' ').filter(|word| !word.is_empty());
        let verb = words.next().unwrap_or("");
        let mut fields = Vec::new();
        for word in words {
            let malformed = || ParseError::Malformed(word.to_owned());
            let (key, value) = word.split_once('=').ok_or_else(malformed)?;
            fields.push((key, unescape(value).ok_or_else(malformed)?));
        }
        Ok(LineReader { verb, fields })
    }

    pub(crate) fn optional(&self, key: &'static str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| *found == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self, key: &'static str) -> Result<String, ParseError> {
        self.optional(key).map(str::to_owned).ok_or(ParseError::Missing(key))
    }

    pub(crate) fn number<N: std::str::FromStr>(&self, key: &'static str) -> Result<N, ParseError> {
        let text = self.optional(key).ok_or(ParseError::Missing(key))?;
        text.parse().map_err(|_| ParseError::Invalid { field: key, value: text.to_owned() })
    }

    pub(crate) fn list(&self, key: &'static str) -> Vec<String> {
        self.fields.iter().filter(|(found, _)| *found == key).map(|(_, value)| value.clone()).collect()
    }
}

fn escape(value: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in value.as_bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_a_line() {
        for value in ["", "plain", "two words", "a=b", "50%", "line\nbreak\r\t", "žluťoučký", "\u{0}"] {
            let line = LineWriter::new("verb").text("key", value).finish();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(line.is_ascii(), "{line:?}");
            assert_eq!(LineReader::new(&line).unwrap().text("key").unwrap(), value);
        }
    }

    #[test]
    fn broken_escapes_are_errors() {
        for line in ["verb key=%", "verb key=%f", "verb key=%zz", "verb key=%ff", "verb key"] {
            assert!(matches!(LineReader::new(line), Err(ParseError::Malformed(_))), "{line:?}");
        }
    }
}
