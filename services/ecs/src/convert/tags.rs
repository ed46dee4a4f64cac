//! Tags, checked at the door.
//!
//! Source: Amazon ECS API Reference, `Tag`.

use model::Tag;
use model::tag::TAGS_MAX;

use crate::error::{Error, client, invalid};

const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

pub(crate) fn parse(tags: Option<&Vec<api_ecs::Tag>>) -> Result<Vec<Tag>, Error> {
    let mut parsed: Vec<Tag> = Vec::new();
    for tag in tags.into_iter().flatten() {
        let key = tag.key.clone().unwrap_or_default();
        let value = tag.value.clone().unwrap_or_default();
        if key.is_empty() || key.chars().count() > KEY_CHARS_MAX || value.chars().count() > VALUE_CHARS_MAX {
            return Err(invalid("Tag key must have length between 1 and 128, tag value length at most 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Invalid tag key: tag keys cannot start with 'aws:'"));
        }
        if parsed.iter().any(|known| known.key == key) {
            return Err(invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
        parsed.push(Tag { key, value });
    }
    within_limit(&parsed)?;
    Ok(parsed)
}

pub(crate) fn within_limit(tags: &[Tag]) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        Err(client(format!("The number of tags exceeds the limit of {TAGS_MAX}.")))
    } else {
        Ok(())
    }
}

pub(crate) fn view(tags: &[Tag]) -> Vec<api_ecs::Tag> {
    tags.iter().map(|tag| api_ecs::Tag { key: Some(tag.key.clone()), value: Some(tag.value.clone()) }).collect()
}
