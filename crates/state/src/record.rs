//! How a record is named, indexed and written down.

use std::fmt;

use model::Versioned;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// A point in the history of the store. A snapshot stands for one; a record remembers the one that last wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kind of thing that is kept in the store, under a key made of its own name.
pub trait Record: Versioned + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first part of every key of this kind.
    const KIND: &'static str;
    /// The names of the secondary indexes, in the order of [`Record::index`].
    const INDEXES: &'static [&'static str] = &[];

    /// The key, without the kind: `123456789012/us-east-1/default/…`.
    fn name(&self) -> String;

    /// What the index of that number files this record under; nothing when it leaves the record out.
    fn index(&self, _index: usize) -> Option<String> {
        None
    }

    /// Reads a record that an older version wrote. The default knows no older one.
    fn upgrade(version: u32, _record: &str) -> Result<Self, DecodeError> {
        Err(DecodeError::Version { kind: Self::KIND, found: version, known: Self::VERSION })
    }
}

#[derive(Debug, Error)]
pub enum DecodeError {
    #[error("a {kind} record has format version {found}, this program knows {known}: it was written by a newer Berth")]
    Version { kind: &'static str, found: u32, known: u32 },
    #[error("failed to read a {kind} record")]
    Json {
        kind: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize)]
struct EnvelopeOut<'a, R> {
    v: u32,
    r: &'a R,
}

#[derive(Deserialize)]
struct EnvelopeIn<'a> {
    v: u32,
    #[serde(borrow)]
    r: &'a RawValue,
}

/// `{"v":1,"r":{…}}`
pub fn encode<R: Record>(record: &R) -> Vec<u8> {
    serde_json::to_vec(&EnvelopeOut { v: R::VERSION, r: record })
        .expect("records hold no maps with other keys than strings")
}

pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, DecodeError> {
    let json = |source| DecodeError::Json { kind: R::KIND, source };
    let envelope: EnvelopeIn<'_> = serde_json::from_slice(bytes).map_err(json)?;
    if envelope.v == R::VERSION {
        serde_json::from_str(envelope.r.get()).map_err(json)
    } else {
        R::upgrade(envelope.v, envelope.r.get())
    }
}
