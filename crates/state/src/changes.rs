//! What a decision wants to write, and what it relied on.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{AnyRecord, Key, Record, Revision, Snapshot, Table, decode, encode};

/// One record to set or to remove.
#[derive(Clone, Debug)]
pub enum Op {
    /// The record goes along with its bytes, so that who has made it need not read it.
    Put {
        key: Key,
        value: Vec<u8>,
        record: Option<AnyRecord>,
    },
    Delete {
        key: Key,
    },
}

impl PartialEq for Op {
    fn eq(&self, other: &Op) -> bool {
        match (self, other) {
            (Op::Put { key, value, .. }, Op::Put { key: other, value: other_value, .. }) => {
                key == other && value == other_value
            }
            (Op::Delete { key }, Op::Delete { key: other }) => key == other,
            _ => false,
        }
    }
}

impl Eq for Op {}

impl Op {
    pub fn key(&self) -> &Key {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

/// A key that the decision has read, and the revision it had; nothing when it was absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    pub key: Key,
    pub revision: Option<Revision>,
}

/// All of it is written, or nothing. A record that is written is also guarded: whoever changed it in between wins, and the
/// decision is made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    ops: BTreeMap<Key, Op>,
    guards: BTreeMap<Key, Option<Revision>>,
}

impl Changes {
    pub fn new() -> Self {
        Changes::default()
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Nothing to write, and nothing that has to be as it was seen.
    pub fn relies_on_nothing(&self) -> bool {
        self.guards.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// In the order of their keys.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.ops.values()
    }

    pub fn into_ops(self) -> impl Iterator<Item = Op> {
        self.ops.into_values()
    }

    pub fn guards(&self) -> impl Iterator<Item = Guard> + '_ {
        self.guards.iter().map(|(key, revision)| Guard { key: key.clone(), revision: *revision })
    }

    /// Sets a record, if it still is (or still is not) what the snapshot says.
    pub fn put<R: Record>(&mut self, snapshot: &Snapshot, record: &R) {
        let key = Table::<R>::key(&record.name());
        self.guard(snapshot, &key);
        let value = encode(record);
        debug_assert!(decode::<R>(&value).is_ok_and(|read| read == *record), "what is read is what was written");
        let record = AnyRecord::of(Arc::new(record.clone()));
        self.ops.insert(key.clone(), Op::Put { key, value, record });
    }

    /// Removes a record, if it still is what the snapshot says.
    pub fn delete<R: Record>(&mut self, snapshot: &Snapshot, record: &R) {
        let key = Table::<R>::key(&record.name());
        self.guard(snapshot, &key);
        self.ops.insert(key.clone(), Op::Delete { key });
    }

    /// The decision depends on this record, or on its absence, without writing it.
    pub fn rely_on<R: Record>(&mut self, snapshot: &Snapshot, name: &str) {
        self.guard(snapshot, &Table::<R>::key(name));
    }

    /// Takes in the changes of another decision that was made on the same snapshot. Later writes win.
    pub fn merge(&mut self, other: Changes) {
        self.ops.extend(other.ops);
        self.guards.extend(other.guards);
    }

    /// Takes in what was decided on top of these changes. What this one relied on and these ones write holds by itself.
    pub fn then(&mut self, later: Changes) {
        for (key, revision) in later.guards {
            self.guards.entry(key).or_insert(revision);
        }
        self.ops.extend(later.ops);
    }

    fn guard(&mut self, snapshot: &Snapshot, key: &Key) {
        self.guards.entry(key.clone()).or_insert_with(|| snapshot.revision_of(key));
    }
}
