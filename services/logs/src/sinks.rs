//! Where metric values and subscribed events go. The services behind them are elsewhere: each sink is a small trait, and
//! what stands here by default says truly that nobody is there.

use std::collections::BTreeMap;
use std::io::Write;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::Scope;
use shape::Timestamp;

/// One value that a metric filter made.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricValue {
    pub namespace: String,
    pub name: String,
    pub value: f64,
    pub unit: Option<String>,
    pub dimensions: BTreeMap<String, String>,
    pub timestamp: Timestamp,
}

/// Takes the values of metric filters. Called after events became durable; must not wait.
pub trait MetricSink: Send + Sync {
    fn put(&self, scope: &Scope, values: Vec<MetricValue>);
}

/// Nobody keeps metrics.
pub struct NoMetrics;

impl MetricSink for NoMetrics {
    fn put(&self, _: &Scope, _: Vec<MetricValue>) {}
}

/// The kinds of things that can be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationKind {
    Lambda,
    Kinesis,
    Firehose,
    /// A destination of CloudWatch Logs, perhaps of another account.
    Destination,
}

/// Where a subscription filter delivers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub kind: DestinationKind,
    pub arn: String,
    pub role_arn: Option<String>,
    /// Events of one stream stay together when this is a stream's name.
    pub partition_key: Option<String>,
}

/// The destination did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDelivered;

/// Takes what subscription filters deliver. `test` is asked before a filter is kept; `deliver` is called after events
/// became durable and must not wait.
#[async_trait]
pub trait Deliveries: Send + Sync {
    async fn test(&self, scope: &Scope, destination: &Destination, message: Payload) -> Result<(), NotDelivered>;
    fn deliver(&self, scope: &Scope, destination: &Destination, message: Payload);
}

/// No destination exists.
pub struct NoDestinations;

#[async_trait]
impl Deliveries for NoDestinations {
    async fn test(&self, _: &Scope, _: &Destination, _: Payload) -> Result<(), NotDelivered> {
        Err(NotDelivered)
    }

    fn deliver(&self, _: &Scope, _: &Destination, _: Payload) {}
}

/// What a destination receives: a JSON document, compressed with gzip.
///
/// Source: User Guide, "Real-time processing of log data with subscriptions".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl Payload {
    pub(crate) fn of(document: &serde_json::Value) -> Payload {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // A vector takes every byte.
        let written = encoder.write_all(document.to_string().as_bytes()).and_then(|()| encoder.finish());
        Payload(written.unwrap_or_default())
    }

    /// For Kinesis and Firehose.
    pub fn gzip(&self) -> &[u8] {
        &self.0
    }

    /// For Lambda: the event that a function gets.
    pub fn lambda_event(&self) -> serde_json::Value {
        serde_json::json!({ "awslogs": { "data": STANDARD.encode(&self.0) } })
    }
}
