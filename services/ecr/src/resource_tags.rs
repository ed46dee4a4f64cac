//! The tags of a repository, which are not the tags of its images.

use std::collections::BTreeMap;

use api_ecr::{Error, ErrorCode, Tag};

use crate::limits::{RESOURCE_TAG_KEY_MAX, RESOURCE_TAG_VALUE_MAX, RESOURCE_TAGS_MAX};

/// Reads the tags of a request.
pub(crate) fn parse(tags: Option<Vec<Tag>>) -> Result<BTreeMap<String, String>, Error> {
    let tags = tags.unwrap_or_default();
    refuse_beyond_limit(tags.len())?;
    let mut parsed = BTreeMap::new();
    for Tag { key, value } in tags {
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        if !is_key(&key) || !is_value(&value) || parsed.insert(key, value).is_some() {
            return Err(Error::new(ErrorCode::InvalidTagParameterException, "Tag parameters are invalid"));
        }
    }
    Ok(parsed)
}

pub(crate) fn refuse_beyond_limit(tags: usize) -> Result<(), Error> {
    if tags <= RESOURCE_TAGS_MAX {
        return Ok(());
    }
    let message = format!(
        "The list of tags on the repository is over the limit. The maximum number of tags that can be applied to a \
         repository is {RESOURCE_TAGS_MAX}."
    );
    Err(Error::new(ErrorCode::TooManyTagsException, message))
}

/// Tags in the shape of the API.
pub(crate) fn view(tags: BTreeMap<String, String>) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

fn is_key(key: &str) -> bool {
    let is_reserved = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    (1..=RESOURCE_TAG_KEY_MAX).contains(&key.chars().count()) && key.chars().all(is_allowed) && !is_reserved
}

fn is_value(value: &str) -> bool {
    value.chars().count() <= RESOURCE_TAG_VALUE_MAX && value.chars().all(is_allowed)
}

/// Source: Amazon ECR User Guide, "Tag restrictions".
fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "+-=._:/@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) }
    }

    #[test]
    fn tags_have_limits() {
        let many = |count: usize| Some((0..count).map(|n| tag(&format!("k{n}"), "v")).collect());
        assert!(parse(None).unwrap().is_empty());
        assert_eq!(parse(many(50)).unwrap().len(), 50);
        assert_eq!(parse(many(51)).unwrap_err().code, ErrorCode::TooManyTagsException);
        assert!(parse(Some(vec![tag(&"k".repeat(128), &"é".repeat(256))])).is_ok());
        assert!(parse(Some(vec![tag("team blue/+=._:@-1", "")])).is_ok());
        for bad in [
            vec![tag("", "v")],
            vec![tag(&"k".repeat(129), "v")],
            vec![tag("k", &"v".repeat(257))],
            vec![tag("aws:x", "v")],
            vec![tag("AWS:x", "v")],
            vec![tag("k", "a\nb")],
            vec![tag("k#", "v")],
            vec![tag("k", "1"), tag("k", "2")],
        ] {
            assert_eq!(parse(Some(bad.clone())).unwrap_err().code, ErrorCode::InvalidTagParameterException, "{bad:?}");
        }
    }
}
