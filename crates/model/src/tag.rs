//! Tags, which almost everything in ECS can have.

use serde::{Deserialize, Serialize};

/// The most tags one resource may have. Source: Amazon ECS API Reference, `TagResource`.
pub const TAGS_MAX: usize = 50;

/// A key with an optional value. An empty value and none are the same, as on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    #[serde(rename = "k")]
    pub key: String,
    #[serde(rename = "v", default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// `tags` with each of `more` set; a key that exists keeps its place.
pub fn merged(tags: &[Tag], more: &[Tag]) -> Vec<Tag> {
    let mut all = tags.to_vec();
    for tag in more {
        match all.iter_mut().find(|known| known.key == tag.key) {
            Some(known) => known.value = tag.value.clone(),
            None => all.push(tag.clone()),
        }
    }
    all
}

/// `tags` without the given keys; a key that is not there is fine.
pub fn without(tags: &[Tag], keys: &[String]) -> Vec<Tag> {
    tags.iter().filter(|tag| !keys.contains(&tag.key)).cloned().collect()
}
