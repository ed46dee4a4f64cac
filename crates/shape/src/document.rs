//! A value without a protocol.

use bytes::Bytes;
use stdx::Timestamp;

/// One value of an AWS interface, between the bytes of a protocol and a generated struct.
///
/// A codec reads and writes documents with a [`crate::Schema`] in hand, so a document always has the form its schema
/// asks for; member names are those of the model, whatever they are called on the wire.
///
/// `Debug` prints everything, sensitive members too: do not log documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Document {
    #[default]
    Null,
    Bool(bool),
    /// Both `integer` and `long`.
    Integer(i64),
    /// Both `float` and `double`.
    Float(f64),
    String(String),
    Blob(Bytes),
    Timestamp(Timestamp),
    List(Vec<Document>),
    /// In the order of the wire.
    Map(Vec<(String, Document)>),
    /// Known members that are present, in any order. Unknown members were dropped by the codec.
    Structure(Vec<(&'static str, Document)>),
}

impl Document {
    /// The member of a structure, if this is a structure and has it.
    pub fn member(&self, name: &str) -> Option<&Document> {
        match self {
            Document::Structure(members) => members.iter().find(|(member, _)| *member == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Document::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Document::Null)
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Document::String(text.to_owned())
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Document::String(text)
    }
}
