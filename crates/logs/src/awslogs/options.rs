//! What a log configuration says to the `awslogs` driver.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::bytes::Regex;

use crate::awslogs::pattern;
use crate::drivers::{Destination, StartError};
use crate::limits::MULTILINE_WAIT;
use crate::options::{OptionError, checked_flag, positive, refuse_unknown};

const DRIVER: &str = "awslogs";
const GROUP: &str = "awslogs-group";
const STREAM: &str = "awslogs-stream";
const REGION: &str = "awslogs-region";
const ENDPOINT: &str = "awslogs-endpoint";
const CREDENTIALS_ENDPOINT: &str = "awslogs-credentials-endpoint";
const CREATE_GROUP: &str = "awslogs-create-group";
const CREATE_STREAM: &str = "awslogs-create-stream";
const DATETIME_FORMAT: &str = "awslogs-datetime-format";
const MULTILINE_PATTERN: &str = "awslogs-multiline-pattern";
const FLUSH_INTERVAL: &str = "awslogs-force-flush-interval-seconds";
const BUFFERED_EVENTS: &str = "awslogs-max-buffered-events";
const FORMAT: &str = "awslogs-format";
/// Would name the stream if `awslogs-stream` did not.
const TAG: &str = "tag";
/// Of ECS, not of Docker: the control plane made `awslogs-stream` of it.
const STREAM_PREFIX: &str = "awslogs-stream-prefix";

const KNOWN: [&str; 14] = [
    GROUP,
    STREAM,
    REGION,
    ENDPOINT,
    CREDENTIALS_ENDPOINT,
    CREATE_GROUP,
    CREATE_STREAM,
    DATETIME_FORMAT,
    MULTILINE_PATTERN,
    FLUSH_INTERVAL,
    BUFFERED_EVENTS,
    FORMAT,
    TAG,
    STREAM_PREFIX,
];

/// The only format there is. CloudWatch recognizes such events by themselves, so it changes nothing.
const EMBEDDED_METRICS: &str = "json/emf";

/// What the options mean.
#[derive(Debug)]
pub(crate) struct AwslogsOptions {
    pub destination: Destination,
    pub group: String,
    pub stream: String,
    pub create_group: bool,
    pub create_stream: bool,
    /// Where an event of several lines begins, and how long it waits for its next line.
    pub multiline: Option<(Regex, Duration)>,
}

impl AwslogsOptions {
    /// What Docker checks when it creates a container. An option with an empty value is one that is not given.
    pub fn check(options: &BTreeMap<String, String>) -> Result<(), OptionError> {
        refuse_unknown(DRIVER, &KNOWN, options)?;
        for key in [GROUP, STREAM] {
            given(options, key).ok_or(OptionError::Missing { key })?;
        }
        checked_flag(options, CREATE_GROUP)?;
        checked_flag(options, CREATE_STREAM)?;
        positive(options, FLUSH_INTERVAL)?;
        positive(options, BUFFERED_EVENTS)?;
        let patterned = [DATETIME_FORMAT, MULTILINE_PATTERN].map(|key| options.contains_key(key));
        if patterned == [true, true] {
            return Err(OptionError::TwoPatterns);
        }
        match given(options, FORMAT) {
            None => Ok(()),
            Some(EMBEDDED_METRICS) if patterned == [false, false] => Ok(()),
            Some(EMBEDDED_METRICS) => Err(OptionError::PatternOfMetrics),
            Some(other) => Err(OptionError::Format(other.to_owned())),
        }
    }

    /// Understands options that were checked, with what Docker finds only when it starts a container.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<AwslogsOptions, StartError> {
        let text = |key| given(options, key).map(str::to_owned);
        let flag = |key| checked_flag(options, key).ok().flatten();
        let wait = positive(options, FLUSH_INTERVAL).ok().flatten().map_or(MULTILINE_WAIT, Duration::from_secs);
        let pattern = match (given(options, DATETIME_FORMAT), given(options, MULTILINE_PATTERN)) {
            (Some(format), _) => Some(pattern::of_datetime_format(format)),
            (None, pattern) => pattern.map(str::to_owned),
        };
        let multiline = match pattern.filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => Some((pattern::compile(&pattern).map_err(StartError::Pattern)?, wait)),
            None => None,
        };
        Ok(AwslogsOptions {
            destination: Destination {
                region: text(REGION).ok_or(StartError::Region)?,
                endpoint: text(ENDPOINT),
                credentials_endpoint: text(CREDENTIALS_ENDPOINT),
            },
            group: text(GROUP).unwrap_or_default(),
            stream: text(STREAM).unwrap_or_default(),
            create_group: flag(CREATE_GROUP).unwrap_or(false),
            create_stream: flag(CREATE_STREAM).unwrap_or(true),
            multiline,
        })
    }
}

fn given<'a>(options: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    options.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = [(GROUP, "/ecs/web"), (STREAM, "web/app/1"), (REGION, "eu-west-1")];
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn refused(more: &[(&str, &str)], expected: &str) {
        assert_eq!(AwslogsOptions::check(&options(more)).unwrap_err().to_string(), expected);
    }

    #[test]
    fn defaults() {
        let options = options(&[(STREAM_PREFIX, "web"), (TAG, "x"), (CREATE_GROUP, ""), (MULTILINE_PATTERN, "")]);
        AwslogsOptions::check(&options).unwrap();
        let parsed = AwslogsOptions::parse(&options).unwrap();
        assert_eq!((parsed.group.as_str(), parsed.stream.as_str()), ("/ecs/web", "web/app/1"));
        assert_eq!((parsed.create_group, parsed.create_stream), (false, true));
        assert!(parsed.multiline.is_none());
        let destination = Destination { region: "eu-west-1".into(), endpoint: None, credentials_endpoint: None };
        assert_eq!(parsed.destination, destination);
    }

    #[test]
    fn everything_said() {
        let options = options(&[
            (ENDPOINT, "http://h:1"),
            (CREDENTIALS_ENDPOINT, "/v2/credentials/1"),
            (CREATE_GROUP, "T"),
            (CREATE_STREAM, "false"),
            (DATETIME_FORMAT, "%Y-%m-%d"),
            (FLUSH_INTERVAL, "3"),
            (BUFFERED_EVENTS, "10"),
        ]);
        AwslogsOptions::check(&options).unwrap();
        let parsed = AwslogsOptions::parse(&options).unwrap();
        assert_eq!((parsed.create_group, parsed.create_stream), (true, false));
        let (pattern, wait) = parsed.multiline.unwrap();
        assert!(pattern.is_match(b"2026-11-24 x"));
        assert_eq!(wait, Duration::from_secs(3));
        assert_eq!(parsed.destination.endpoint.as_deref(), Some("http://h:1"));
        assert_eq!(parsed.destination.credentials_endpoint.as_deref(), Some("/v2/credentials/1"));
    }

    #[test]
    fn refusals_in_dockers_words() {
        refused(&[("max-size", "10m")], "unknown log opt 'max-size' for awslogs log driver");
        refused(&[("", "x")], "unknown log opt '' for awslogs log driver");
        refused(&[(GROUP, "")], "must specify a value for log opt 'awslogs-group'");
        refused(&[(STREAM, "")], "must specify a value for log opt 'awslogs-stream'");
        refused(
            &[(CREATE_GROUP, "yes")],
            "must specify valid value for log opt 'awslogs-create-group': strconv.ParseBool: parsing \"yes\": invalid syntax",
        );
        for value in ["0", "-1", "a"] {
            let expected =
                format!("must specify a positive integer for log opt 'awslogs-force-flush-interval-seconds': {value}");
            refused(&[(FLUSH_INTERVAL, value)], &expected);
        }
        refused(
            &[(DATETIME_FORMAT, "%Y"), (MULTILINE_PATTERN, "^x")],
            "you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time",
        );
        refused(&[(FORMAT, "text")], "unsupported log format 'text'");
        refused(
            &[(FORMAT, "json/emf"), (MULTILINE_PATTERN, "^x")],
            "you cannot configure log opt 'awslogs-datetime-format' or 'awslogs-multiline-pattern' when log opt 'awslogs-format' is set to 'json/emf'",
        );
        AwslogsOptions::check(&options(&[(FORMAT, "json/emf")])).unwrap();
    }

    #[test]
    fn some_problems_are_found_at_the_start() {
        let error = AwslogsOptions::parse(&options(&[(REGION, "")])).unwrap_err();
        assert_eq!(error.to_string(), "cannot determine region for awslogs driver");
        let error = AwslogsOptions::parse(&options(&[(MULTILINE_PATTERN, "(")])).unwrap_err();
        assert!(error.to_string().starts_with("awslogs could not parse multiline pattern key"), "{error}");
    }
}
