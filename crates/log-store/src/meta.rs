//! What is known of a log group beside its events: one small JSON file in its directory.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::directory::write_durably;
use crate::error::StoreError;
use crate::event::GroupKey;

/// The format this code writes, of the file and of all that belongs to the group. In the first, events lay uncompressed in
/// the directory of their group: see `legacy`.
pub(crate) const FORMAT: u32 = 2;
pub(crate) const META_NAME: &str = "group.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) format: u32,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    pub(crate) retention_days: Option<u32>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// The `logGroupClass` it was made with; the store only remembers it.
    #[serde(default)]
    pub(crate) class: Option<String>,
}

/// What a new log group begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewGroup {
    pub tags: BTreeMap<String, String>,
    /// Its `logGroupClass`; the store only remembers it.
    pub class: Option<String>,
}

/// One change of a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// How many days events are kept; `None` keeps them for ever.
    Retention(Option<u32>),
    /// Sets these tags.
    Tag(BTreeMap<String, String>),
    /// Removes the tags with these keys.
    Untag(Vec<String>),
}

impl Meta {
    pub(crate) fn new(key: &GroupKey, created_ms: i64, new: NewGroup) -> Meta {
        Meta {
            format: FORMAT,
            account: key.account.clone(),
            region: key.region.clone(),
            name: key.group.clone(),
            created_ms,
            retention_days: None,
            tags: new.tags,
            class: new.class,
        }
    }

    pub(crate) fn key(&self) -> GroupKey {
        GroupKey::new(&self.account, &self.region, &self.name)
    }

    pub(crate) fn apply(&mut self, change: GroupChange) {
        match change {
            GroupChange::Retention(days) => self.retention_days = days,
            GroupChange::Tag(tags) => self.tags.extend(tags),
            GroupChange::Untag(keys) => self.tags.retain(|key, _| !keys.contains(key)),
        }
    }

    pub(crate) fn save(&self, directory: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).expect("strings and numbers are always JSON");
        write_durably(&directory.join(META_NAME), &text)
    }

    /// `None` when the directory has no such file: a crash came before the group was acknowledged.
    pub(crate) fn load(directory: &Path) -> Result<Option<Meta>, StoreError> {
        let path = directory.join(META_NAME);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(StoreError::io("read", &path))?,
        };
        let found: Format = serde_json::from_slice(&bytes)
            .map_err(|_| StoreError::damaged(&path, 0, "it does not describe a group"))?;
        if found.format > FORMAT {
            return Err(StoreError::Newer { path, found: found.format, known: FORMAT });
        }
        let meta = serde_json::from_slice(&bytes);
        meta.map(Some).map_err(|_| StoreError::damaged(&path, 0, "it does not describe a group"))
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_first_format_is_read() {
        let directory = tempfile::TempDir::new().unwrap();
        let golden = r#"{"format":1,"account":"000000000000","region":"us-east-1","name":"/ecs/web","created_ms":1700000000000,
            "retention_days":7,"tags":{"team":"blue"}}"#;
        std::fs::write(directory.path().join(META_NAME), golden).unwrap();
        let meta = Meta::load(directory.path()).unwrap().unwrap();
        assert_eq!(meta.key(), GroupKey::new("000000000000", "us-east-1", "/ecs/web"));
        assert_eq!((meta.retention_days, meta.tags["team"].as_str()), (Some(7), "blue"));
        meta.save(directory.path()).unwrap();
        assert_eq!(Meta::load(directory.path()).unwrap(), Some(meta));
        std::fs::write(directory.path().join(META_NAME), golden.replace(":1,", ":3,")).unwrap();
        assert!(matches!(Meta::load(directory.path()), Err(StoreError::Newer { found: 3, .. })));
    }
}
