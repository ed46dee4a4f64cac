//! From documents to Rust types and back.

use std::collections::BTreeMap;

use bytes::Bytes;
use stdx::Timestamp;

use crate::document::Document;
use crate::schema::{Schema, UNIT};

/// A Rust type that a document can become.
///
/// `from_document` expects a document of the right form, as a codec gives it with the schema in hand. A document of
/// another form is a bug of ours, never of a client: it asserts in debug builds and yields the empty value otherwise.
pub trait Value: Sized {
    fn from_document(document: Document) -> Self;
    fn into_document(self) -> Document;
}

/// A structure of the model.
pub trait Shape: Value + Default + Send + 'static {
    fn schema() -> &'static Schema;
}

/// The members of a structure, while a generated struct is read or written.
pub struct Fields(Vec<(&'static str, Document)>);

impl Fields {
    pub fn with_capacity(members: usize) -> Fields {
        Fields(Vec::with_capacity(members))
    }

    pub fn of(document: Document) -> Fields {
        match document {
            Document::Structure(members) => Fields(members),
            other => {
                mismatch("a structure", &other);
                Fields(Vec::new())
            }
        }
    }

    /// Removes and converts one member. Null is the same as absent.
    pub fn take<T: Value>(&mut self, name: &str) -> Option<T> {
        // What is taken leaves, so the list shrinks: for the few members that are present this beats a map.
        let at = self.0.iter().position(|(member, _)| *member == name)?;
        match self.0.swap_remove(at).1 {
            Document::Null => None,
            document => Some(T::from_document(document)),
        }
    }

    pub fn put<T: Value>(&mut self, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.0.push((name, value.into_document()));
        }
    }

    pub fn into_document(self) -> Document {
        Document::Structure(self.0)
    }
}

fn mismatch(expected: &str, found: &Document) {
    debug_assert!(false, "a codec gave {found:?} where the schema says {expected}");
}

macro_rules! scalar {
    ($type:ty, $expected:literal, $pattern:pat => $from:expr, $into:expr) => {
        impl Value for $type {
            fn from_document(document: Document) -> Self {
                match document {
                    $pattern => $from,
                    other => {
                        mismatch($expected, &other);
                        Default::default()
                    }
                }
            }

            fn into_document(self) -> Document {
                $into(self)
            }
        }
    };
}

scalar!(bool, "a boolean", Document::Bool(value) => value, Document::Bool);
scalar!(i64, "a long", Document::Integer(value) => value, Document::Integer);
// The codec checked the range of 32 bits, so nothing is cut off here.
scalar!(i32, "an integer", Document::Integer(value) => value as i32, |value| Document::Integer(i64::from(value)));
scalar!(f64, "a double", Document::Float(value) => value, Document::Float);
scalar!(f32, "a float", Document::Float(value) => value as f32, |value| Document::Float(f64::from(value)));
scalar!(String, "a string", Document::String(value) => value, Document::String);
scalar!(Bytes, "a blob", Document::Blob(value) => value, Document::Blob);
scalar!(Timestamp, "a timestamp", Document::Timestamp(value) => value, Document::Timestamp);

impl Value for Document {
    fn from_document(document: Document) -> Self {
        document
    }

    fn into_document(self) -> Document {
        self
    }
}

impl<T: Value> Value for Box<T> {
    fn from_document(document: Document) -> Self {
        Box::new(T::from_document(document))
    }

    fn into_document(self) -> Document {
        T::into_document(*self)
    }
}

/// A null element disappears, as in every list of AWS that is not marked sparse; ours are not.
impl<T: Value> Value for Vec<T> {
    fn from_document(document: Document) -> Self {
        match document {
            Document::List(items) => items.into_iter().filter(|item| !item.is_null()).map(T::from_document).collect(),
            other => {
                mismatch("a list", &other);
                Vec::new()
            }
        }
    }

    fn into_document(self) -> Document {
        Document::List(self.into_iter().map(T::into_document).collect())
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn from_document(document: Document) -> Self {
        match document {
            Document::Map(entries) => entries
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, T::from_document(value)))
                .collect(),
            other => {
                mismatch("a map", &other);
                BTreeMap::new()
            }
        }
    }

    fn into_document(self) -> Document {
        Document::Map(self.into_iter().map(|(key, value)| (key, value.into_document())).collect())
    }
}

/// The input or output of an operation that has none.
impl Value for () {
    fn from_document(_: Document) -> Self {}

    fn into_document(self) -> Document {
        Document::Structure(Vec::new())
    }
}

impl Shape for () {
    fn schema() -> &'static Schema {
        &UNIT
    }
}
