//! Small languages that people write.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use log_insights::{Event, Query, Run};
use model::ContainerInstance;
use scheduler::{Candidate, Expression};
use service_logs::pattern::FilterPattern;
use state::Snapshot;

use crate::{line, text};

/// The first line is the pattern, the rest a message.
pub(crate) fn filter_pattern(bytes: &[u8]) {
    let (pattern, message) = line(bytes);
    if let Ok(pattern) = FilterPattern::parse(text(pattern)) {
        let matches = pattern.matches(text(message));
        assert!(matches || !pattern.wants_everything());
    }
}

/// The first line is the query, the others are events.
pub(crate) fn insights_query(bytes: &[u8]) {
    let (query, events) = line(bytes);
    let Ok(query) = Query::parse(text(query)) else { return };
    let mut run = Run::new(&query, None, 1_795_384_329_148);
    for (number, message) in text(events).lines().enumerate() {
        let event = Event {
            timestamp_ms: 1_795_384_329_000 + number as i64,
            ingestion_ms: 1_795_384_329_100,
            number: number as u64,
            log: "123456789012:/ecs/web".into(),
            stream: "web/app/1".into(),
            message: message.into(),
        };
        let _ = log_insights::fields_of(&event);
        if run.push(event).is_err() {
            return;
        }
    }
    let _ = run.finish();
}

/// The first line is a driver, the second a line of output, the others are options `name=value`.
pub(crate) fn log_options(bytes: &[u8]) {
    let (driver, rest) = line(bytes);
    let (output, rest) = line(rest);
    let options: BTreeMap<String, String> = text(rest)
        .lines()
        .filter_map(|option| option.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let _ = logs::parsers::options(text(driver), options, output);
}

static CANDIDATE: LazyLock<Candidate> = LazyLock::new(|| {
    let json = include_bytes!("../../../crates/state/tests/records/container-instance.v1.json");
    let instance: ContainerInstance = state::decode(json).expect("the record of an instance is sound");
    Candidate::new(&Snapshot::default(), &Arc::new(instance))
});

/// An expression keeps its text, and answers for an instance.
pub(crate) fn cluster_query(bytes: &[u8]) {
    if let Ok(expression) = text(bytes).parse::<Expression>() {
        assert_eq!(expression.to_string(), text(bytes));
        let _ = expression.matches(&CANDIDATE);
    }
}
