//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use std::collections::BTreeMap;

use crate::awslogs::AwslogsOptions;
use crate::json_file::JsonFileOptions;
use crate::options::common;
use crate::position;

/// What a driver of that name makes of its options, and whether a line begins an event of several lines.
pub fn options(driver: &str, mut options: BTreeMap<String, String>, line: &[u8]) -> Result<bool, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    common(&mut options).map_err(|error| text(&error))?;
    if driver == "json-file" {
        JsonFileOptions::check(&options).map_err(|error| text(&error))?;
        return JsonFileOptions::parse(&options).map(|_| false).map_err(|error| text(&error));
    }
    AwslogsOptions::check(&options).map_err(|error| text(&error))?;
    let parsed = AwslogsOptions::parse(&options).map_err(|error| text(&error))?;
    Ok(parsed.multiline.is_some_and(|(pattern, _)| pattern.is_match(line)))
}

/// The segment and offset of a position file.
pub fn position(text: &str) -> Option<(u64, u64)> {
    position::decode(text).map(|at| (at.segment, at.offset))
}
