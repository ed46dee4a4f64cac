//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use std::collections::BTreeMap;

use crate::awslogs::AwslogsOptions;
use crate::fluentd::FluentdOptions;
use crate::gelf::GelfOptions;
use crate::json_file::JsonFileOptions;
use crate::options::common;
use crate::position;
use crate::splunk::SplunkOptions;
use crate::subject::Subject;
use crate::syslog::SyslogOptions;
use crate::tag;

/// What a driver of that name makes of its options, and whether a line begins an event of several lines.
pub fn options(driver: &str, mut options: BTreeMap<String, String>, line: &[u8]) -> Result<bool, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    common(&mut options).map_err(|error| text(&error))?;
    let subject = Subject { env: vec![String::from_utf8_lossy(line).into_owned()], ..Subject::default() };
    tag::expand(options.get("tag").map(String::as_str), &subject).map_err(|error| text(&error))?;
    subject.attributes(&options, str::to_owned).map_err(|error| text(&error))?;
    let parsed = match driver {
        "json-file" => {
            JsonFileOptions::check(&options).map_err(|error| text(&error))?;
            JsonFileOptions::parse(&options).map(drop).map_err(|error| text(&error))
        }
        "syslog" => SyslogOptions::parse(&options).map(drop).map_err(|error| text(&error)),
        "gelf" => GelfOptions::parse(&options).map(drop).map_err(|error| text(&error)),
        "fluentd" => FluentdOptions::parse(&options).map(drop).map_err(|error| text(&error)),
        "splunk" => SplunkOptions::parse(&options).map(drop).map_err(|error| text(&error)),
        _ => return awslogs(&options, line),
    };
    parsed.map(|()| false)
}

fn awslogs(options: &BTreeMap<String, String>, line: &[u8]) -> Result<bool, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    AwslogsOptions::check(options).map_err(|error| text(&error))?;
    let parsed = AwslogsOptions::parse(options).map_err(|error| text(&error))?;
    Ok(parsed.multiline.is_some_and(|(pattern, _)| pattern.is_match(line)))
}

/// The segment and offset of a position file.
pub fn position(text: &str) -> Option<(u64, u64)> {
    position::decode(text).map(|at| (at.segment, at.offset))
}
