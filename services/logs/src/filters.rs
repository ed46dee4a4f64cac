//! Metric filters and subscription filters at work: what becomes of events when they are ingested.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use log_store::{GroupInfo, GroupKey, LogEvent, Position, StreamKey};
use model::{LogGroupRef, MetricFilter, MetricTransformation, Scope, SubscriptionFilter};
use serde_json::json;
use shape::Timestamp;
use state::Snapshot;

use crate::limits::PATTERNS_MAX;
use crate::pattern::FilterPattern;
use crate::sinks::{Deliveries, Destination, DestinationKind, MetricSink, MetricValue, Payload};

pub(crate) fn scope(key: &GroupKey) -> Scope {
    Scope::new(&key.account, &key.region)
}

/// A group as filters name it.
pub(crate) fn group_ref(info: &GroupInfo) -> LogGroupRef {
    LogGroupRef { scope: scope(&info.key), name: info.key.group.clone(), created_at: info.created }
}

/// The beginning of the names of all filters of a group.
pub(crate) fn prefix(key: &GroupKey) -> String {
    format!("{}/{}:", scope(key), key.group)
}

/// The metric filters of a group, in the order of their names.
pub(crate) fn metric_filters<'s>(
    snapshot: &'s Snapshot,
    group: &GroupInfo,
) -> impl Iterator<Item = &'s Arc<MetricFilter>> + use<'s> {
    let created = group.created;
    snapshot.metric_filters.range(&prefix(&group.key)).filter(move |filter| filter.group.created_at == created)
}

pub(crate) fn subscription_filters<'s>(
    snapshot: &'s Snapshot,
    group: &GroupInfo,
) -> impl Iterator<Item = &'s Arc<SubscriptionFilter>> + use<'s> {
    let created = group.created;
    snapshot.subscription_filters.range(&prefix(&group.key)).filter(move |filter| filter.group.created_at == created)
}

/// Patterns that were understood before.
#[derive(Default)]
pub(crate) struct Patterns(Mutex<BTreeMap<String, Arc<FilterPattern>>>);

impl Patterns {
    /// Nothing for a text that is no pattern; a filter is never kept with one.
    fn get(&self, text: &str) -> Option<Arc<FilterPattern>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = known.get(text) {
            return Some(pattern.clone());
        }
        let pattern = Arc::new(FilterPattern::parse(text).ok()?);
        if known.len() >= PATTERNS_MAX {
            known.clear();
        }
        known.insert(text.to_owned(), pattern.clone());
        Some(pattern)
    }
}

/// What the filters of a group make of a batch that has become durable.
pub(crate) struct Ingested<'a> {
    pub(crate) group: &'a GroupInfo,
    pub(crate) stream: &'a StreamKey,
    pub(crate) events: &'a [LogEvent],
    pub(crate) now: Timestamp,
}

impl Ingested<'_> {
    pub(crate) fn to_metrics(&self, snapshot: &Snapshot, patterns: &Patterns, sink: &dyn MetricSink) {
        let mut values = Vec::new();
        for filter in metric_filters(snapshot, self.group) {
            if let Some(pattern) = patterns.get(&filter.pattern) {
                self.values(&filter.transformation, &pattern, &mut values);
            }
        }
        if !values.is_empty() {
            sink.put(&scope(&self.group.key), values);
        }
    }

    fn values(&self, of: &MetricTransformation, pattern: &FilterPattern, values: &mut Vec<MetricValue>) {
        let value = |value: f64, timestamp: i64, dimensions| MetricValue {
            namespace: of.namespace.clone(),
            name: of.metric_name.clone(),
            value,
            unit: of.unit.clone(),
            dimensions,
            timestamp: Timestamp::from_millis(timestamp),
        };
        let mut matched_minutes = BTreeSet::new();
        for event in self.events.iter().filter(|event| pattern.matches(&event.message)) {
            let Some(number) = number(of, pattern, &event.message) else { continue };
            let found = |(name, token): (&String, &String)| Some((name.clone(), pattern.value(token, &event.message)?));
            // "If a dimension's value is not found, the metric is published without that dimension."
            let dimensions = of.dimensions.iter().filter_map(found).collect();
            matched_minutes.insert(event.timestamp_ms / 60_000);
            values.push(value(number, event.timestamp_ms, dimensions));
        }
        // "The value emitted to the filter during a period when logs are ingested but no matching logs are found."
        if let Some(default) = of.default_value {
            let minutes: BTreeSet<i64> = self.events.iter().map(|event| event.timestamp_ms / 60_000).collect();
            let silent = minutes.difference(&matched_minutes);
            values.extend(silent.map(|minute| value(default, minute * 60_000, BTreeMap::new())));
        }
    }

    pub(crate) fn to_subscribers(&self, snapshot: &Snapshot, patterns: &Patterns, deliveries: &dyn Deliveries) {
        for filter in subscription_filters(snapshot, self.group) {
            let (Some(pattern), Some(destination)) = (patterns.get(&filter.pattern), destination(filter)) else {
                continue;
            };
            let wanted: Vec<(usize, &LogEvent)> =
                self.events.iter().enumerate().filter(|(_, event)| pattern.matches(&event.message)).collect();
            if wanted.is_empty() {
                continue;
            }
            let by_stream = (filter.distribution == BY_LOG_STREAM).then(|| self.stream.stream.clone());
            let destination = Destination { partition_key: by_stream, ..destination };
            deliveries.deliver(&filter.group.scope, &destination, self.payload(&filter.name, &wanted));
        }
    }

    fn payload(&self, filter: &str, events: &[(usize, &LogEvent)]) -> Payload {
        let event = |(at, event): &(usize, &LogEvent)| {
            // Unique among the events of its stream, as AWS promises, and no other meaning.
            let number = (self.now.as_millis().max(0) as u64) << 20 | *at as u64;
            let id = Position::new(event.timestamp_ms, number).to_string();
            json!({ "id": id, "timestamp": event.timestamp_ms, "message": event.message })
        };
        Payload::of(&json!({
            "messageType": "DATA_MESSAGE",
            "owner": self.group.key.account,
            "logGroup": self.group.key.group,
            "logStream": self.stream.stream,
            "subscriptionFilters": [filter],
            "logEvents": events.iter().map(event).collect::<Vec<_>>(),
        }))
    }
}

pub(crate) const BY_LOG_STREAM: &str = "ByLogStream";

/// What a destination gets before a filter is kept: whether it is there.
pub(crate) fn test_message(group: &LogGroupRef) -> Payload {
    let message = "CWL CONTROL MESSAGE: Checking health of destination.";
    Payload::of(&json!({
        "messageType": "CONTROL_MESSAGE",
        "owner": "CloudwatchLogs",
        "logGroup": "",
        "logStream": "",
        "subscriptionFilters": [],
        "logEvents": [{ "id": "", "timestamp": group.created_at.as_millis(), "message": message }],
    }))
}

fn destination(filter: &SubscriptionFilter) -> Option<Destination> {
    let kind = destination_kind(&filter.destination_arn)?;
    let (arn, role_arn) = (filter.destination_arn.clone(), filter.role_arn.clone());
    Some(Destination { kind, arn, role_arn, partition_key: None })
}

/// Nothing for an ARN that cannot be delivered to.
pub(crate) fn destination_kind(arn: &str) -> Option<DestinationKind> {
    let mut parts = arn.splitn(6, ':');
    if parts.next() != Some("arn") || !parts.next()?.starts_with("aws") {
        return None;
    }
    let (service, resource) = (parts.next()?, parts.nth(2)?);
    match service {
        "lambda" if resource.starts_with("function:") => Some(DestinationKind::Lambda),
        "kinesis" if resource.starts_with("stream/") => Some(DestinationKind::Kinesis),
        "firehose" if resource.starts_with("deliverystream/") => Some(DestinationKind::Firehose),
        "logs" if resource.starts_with("destination:") => Some(DestinationKind::Destination),
        _ => None,
    }
}

/// The value of the metric: a number as it stands, or that field of the event when it is one.
fn number(of: &MetricTransformation, pattern: &FilterPattern, message: &str) -> Option<f64> {
    match of.value.starts_with('$') {
        false => of.value.parse().ok(),
        true => pattern.value(&of.value, message)?.trim().parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        for (arn, kind) in [
            ("arn:aws:lambda:us-east-1:123456789012:function:f", Some(DestinationKind::Lambda)),
            ("arn:aws:lambda:us-east-1:123456789012:function:f:live", Some(DestinationKind::Lambda)),
            ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s", Some(DestinationKind::Kinesis)),
            ("arn:aws:firehose:us-east-1:123456789012:deliverystream/d", Some(DestinationKind::Firehose)),
            ("arn:aws:logs:us-east-1:123456789012:destination:d", Some(DestinationKind::Destination)),
            ("arn:aws:s3:::bucket", None),
            ("arn:aws:lambda:us-east-1:123456789012:layer:l", None),
            ("nothing", None),
        ] {
            assert_eq!(destination_kind(arn), kind, "{arn}");
        }
    }
}
