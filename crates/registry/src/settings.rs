//! What the owner of a repository chose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Tag;

/// Whether a tag may be moved to another image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TagMutability {
    #[default]
    Mutable,
    Immutable,
    /// Mutable, but for the tags that an exclusion matches.
    MutableWithExclusion,
    /// Immutable, but for the tags that an exclusion matches.
    ImmutableWithExclusion,
}

/// What the owner of a repository chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepositorySettings {
    pub tag_mutability: TagMutability,
    /// Patterns of tags, in which `*` stands for any characters or none.
    pub tag_mutability_exclusions: Vec<String>,
    pub scan_on_push: bool,
    /// `AES256` when absent; else the encryption type and its key.
    pub encryption: Option<(String, Option<String>)>,
    pub tags: BTreeMap<String, String>,
}

impl RepositorySettings {
    /// Whether a tag that names an image may be made to name another one.
    pub fn may_move(&self, tag: &Tag) -> bool {
        let excluded = || self.tag_mutability_exclusions.iter().any(|pattern| fits(pattern, tag.as_str()));
        match self.tag_mutability {
            TagMutability::Mutable => true,
            TagMutability::Immutable => false,
            TagMutability::MutableWithExclusion => !excluded(),
            TagMutability::ImmutableWithExclusion => excluded(),
        }
    }
}

/// Whether a pattern, in which `*` stands for any characters or none, fits the whole text.
pub fn fits(pattern: &str, text: &str) -> bool {
    // Each part between two stars is best found as early as possible.
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut between) = text.strip_prefix(head).and_then(|text| text.strip_suffix(tail)) else {
        return false;
    };
    middle.split('*').all(|part| match between.find(part) {
        Some(at) => {
            between = &between[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("dev", "dev", true),
            ("dev", "develop", false),
            ("dev*", "develop", true),
            ("dev*", "dev", true),
            ("*", "x", true),
            ("**", "x", true),
            ("*-rc", "1-rc", true),
            ("*-rc", "1-rc2", false),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("v*.*", "v1.2", true),
            ("v*.*", "v12", false),
            ("*1*2*", "x1y2z", true),
            ("*1*2*", "x2y1z", false),
        ] {
            assert_eq!(super::fits(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn exclusions_turn_the_rule_around() {
        let settings = |tag_mutability| RepositorySettings {
            tag_mutability,
            tag_mutability_exclusions: vec!["latest".to_owned(), "dev*".to_owned()],
            ..RepositorySettings::default()
        };
        for (mutability, latest, release) in [
            (TagMutability::Mutable, true, true),
            (TagMutability::Immutable, false, false),
            (TagMutability::MutableWithExclusion, false, true),
            (TagMutability::ImmutableWithExclusion, true, false),
        ] {
            let may_move = |tag: &str| settings(mutability).may_move(&tag.parse().unwrap());
            assert_eq!((may_move("latest"), may_move("dev-1")), (latest, latest), "{mutability:?}");
            assert_eq!(may_move("v1"), release, "{mutability:?}");
        }
    }
}
