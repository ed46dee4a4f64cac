//! JSON to documents, with the schema in hand, in one pass over the bytes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use shape::{Document, Kind, Member, Schema, Timestamp};
use thiserror::Error as ThisError;

use crate::dates::parse_iso8601;

/// Bytes that are no JSON, or not the JSON that the schema asks for.
#[derive(Debug, ThisError, PartialEq, Eq)]
pub enum NotJson {
    /// AWS says nothing more about broken JSON, so the details are for the log.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// In the words of AWS: `STRING_VALUE cannot be converted to Integer`.
    #[error("{0}")]
    Type(String),
}

/// Reads one value.
///
/// Members that the schema does not know are ignored, and so are null members, as AWS does.
pub fn decode(schema: &'static Schema, bytes: &[u8]) -> Result<Document, NotJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Seed(schema).deserialize(&mut deserializer).and_then(|document| deserializer.end().map(|()| document)).map_err(
        |error| match error.is_data() {
            true => NotJson::Type(without_place(&error.to_string()).to_owned()),
            false => NotJson::Syntax(error.to_string()),
        },
    )
}

/// serde_json appends where it stopped, which AWS does not say.
fn without_place(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |at| &message[..at])
}

#[derive(Clone, Copy)]
struct Seed(&'static Schema);

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed {
    /// What AWS calls the type in its answer.
    fn type_name(self) -> &'static str {
        match self.0.kind {
            Kind::Boolean => "Boolean",
            Kind::Integer => "Integer",
            Kind::Long => "Long",
            Kind::Float => "Float",
            Kind::Double => "Double",
            Kind::Blob => "Blob",
            Kind::Timestamp => "milliseconds since epoch",
            _ => "String",
        }
    }

    fn is_collection(self) -> bool {
        matches!(self.0.kind, Kind::List(_) | Kind::Map { .. } | Kind::Structure(_))
    }

    fn cannot<E: Error>(self, token: &str) -> E {
        if self.is_collection() {
            E::custom("Unexpected field type")
        } else {
            E::custom(format_args!("{token} cannot be converted to {}", self.type_name()))
        }
    }

    fn integer<E: Error>(self, value: i64) -> Result<Document, E> {
        match self.0.kind {
            Kind::Integer if i32::try_from(value).is_err() => {
                Err(E::custom(format_args!("Numeric value ({value}) out of range of int")))
            }
            Kind::Integer | Kind::Long | Kind::Document => Ok(Document::Integer(value)),
            Kind::Float | Kind::Double => Ok(Document::Float(value as f64)),
            Kind::Timestamp => Ok(Document::Timestamp(Timestamp::from_millis(value.saturating_mul(1000)))),
            _ => Err(self.cannot("NUMBER_VALUE")),
        }
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.type_name())
    }

    fn visit_unit<E: Error>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Document, E> {
        match self.0.kind {
            Kind::Boolean | Kind::Document => Ok(Document::Bool(value)),
            _ => Err(self.cannot(if value { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Document, E> {
        self.integer(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Document, E> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Document, E> {
        match self.0.kind {
            Kind::Float | Kind::Double | Kind::Document => Ok(Document::Float(value)),
            Kind::Timestamp => Ok(Document::Timestamp(Timestamp::from_seconds_f64(value))),
            // AWS cuts off the fraction of a number where it wants an integer.
            Kind::Integer | Kind::Long if value.abs() < 9.2e18 => self.integer(value.trunc() as i64),
            Kind::Integer => Err(E::custom(format_args!("Numeric value ({value}) out of range of int"))),
            Kind::Long => Err(E::custom(format_args!("Numeric value ({value}) out of range of long"))),
            _ => Err(self.cannot("NUMBER_VALUE")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Document, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Document, E> {
        match self.0.kind {
            Kind::String | Kind::Document => Ok(Document::String(value)),
            Kind::Blob => match STANDARD.decode(&value) {
                Ok(bytes) => Ok(Document::Blob(bytes.into())),
                Err(_) => Err(E::custom("Invalid base64 data")),
            },
            Kind::Timestamp => {
                parse_iso8601(&value).map(Document::Timestamp).ok_or_else(|| self.cannot("STRING_VALUE"))
            }
            Kind::Float | Kind::Double => match value.as_str() {
                "NaN" => Ok(Document::Float(f64::NAN)),
                "Infinity" => Ok(Document::Float(f64::INFINITY)),
                "-Infinity" => Ok(Document::Float(f64::NEG_INFINITY)),
                _ => Err(self.cannot("STRING_VALUE")),
            },
            _ => Err(self.cannot("STRING_VALUE")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let seed = match self.0.kind {
            Kind::List(member) => Seed(member),
            Kind::Document => self,
            Kind::Structure(_) | Kind::Map { .. } => return Err(A::Error::custom("Unexpected field type")),
            _ => {
                let class = self.type_name();
                return Err(A::Error::custom(format_args!("Unrecognized collection type class java.lang.{class}")));
            }
        };
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Document::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Document, A::Error> {
        match self.0.kind {
            Kind::Structure(members) => structure(members, entries),
            Kind::Map { value, .. } => map(Seed(value), entries),
            Kind::Document => map(self, entries),
            _ => Err(A::Error::custom("Start of structure or map found where not expected.")),
        }
    }
}

fn structure<'de, A: MapAccess<'de>>(members: &'static [Member], mut entries: A) -> Result<Document, A::Error> {
    let mut values: Vec<(&'static str, Document)> = Vec::new();
    while let Some(key) = entries.next_key::<std::borrow::Cow<str>>()? {
        let Some(member) = members.iter().find(|member| member.wire_name() == key) else {
            entries.next_value::<IgnoredAny>()?;
            continue;
        };
        let value = entries.next_value_seed(Seed(member.schema))?;
        // The last of several members with one name counts.
        values.retain(|(name, _)| *name != member.name);
        if !value.is_null() {
            values.push((member.name, value));
        }
    }
    Ok(Document::Structure(values))
}

fn map<'de, A: MapAccess<'de>>(seed: Seed, mut entries: A) -> Result<Document, A::Error> {
    let mut values = Vec::new();
    while let Some(key) = entries.next_key::<String>()? {
        values.push((key, entries.next_value_seed(seed)?));
    }
    Ok(Document::Map(values))
}
