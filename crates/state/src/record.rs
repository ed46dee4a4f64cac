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

/// A kind of thing that is kept in the store, under a key made of its own name. What is read is what was written.
pub trait Record: Versioned + Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
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

    /// True when every index files both alike, as it is with most changes. The default has them compared one by one.
    fn is_filed_as(&self, _other: &Self) -> bool {
        false
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
    // Nearly every record is of the present version, as `encode` writes it: that one is read in one go.
    if let Some(record) = present::<R>(bytes) {
        return serde_json::from_slice(record).map_err(json);
    }
    let envelope: EnvelopeIn<'_> = serde_json::from_slice(bytes).map_err(json)?;
    if envelope.v == R::VERSION {
        serde_json::from_str(envelope.r.get()).map_err(json)
    } else {
        R::upgrade(envelope.v, envelope.r.get())
    }
}

/// The record within an envelope that [`encode`] wrote.
fn present<R: Record>(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"{\"v\":")?;
    let (digits, rest) = rest.split_at(rest.iter().position(|byte| *byte == b',')?);
    let version: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    rest.strip_prefix(b",\"r\":")?.strip_suffix(b"}").filter(|_| version == R::VERSION)
}

#[cfg(test)]
mod tests {
    use model::Cluster;
    use stdx::Timestamp;

    use super::*;

    #[test]
    fn an_envelope_reads_however_it_is_written() {
        let scope = model::Scope::new("123456789012", "us-east-1");
        let cluster = Cluster::new(&scope, "default", Timestamp::from_millis(1));
        let written = String::from_utf8(encode(&cluster)).unwrap();
        let record = &written[r#"{"v":1,"r":"#.len()..written.len() - 1];
        for text in [
            written.clone(),
            format!(r#"{{ "v": 1, "r": {record} }}"#),
            format!(r#"{{"r":{record},"v":1}}"#),
            format!("{written}\n"),
        ] {
            assert_eq!(decode::<Cluster>(text.as_bytes()).unwrap(), cluster, "{text}");
        }
        let newer = written.replacen('1', "7", 1);
        assert!(matches!(decode::<Cluster>(newer.as_bytes()), Err(DecodeError::Version { found: 7, .. })));
        for broken in ["", "{", r#"{"v":1,"r":"#, r#"{"v":1,"r":}"#, r#"{"v":1,"r":{}}"#, r#"{"v":1,"r":{}},"#] {
            assert!(matches!(decode::<Cluster>(broken.as_bytes()), Err(DecodeError::Json { .. })), "{broken}");
        }
    }
}
