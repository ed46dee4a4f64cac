//! What is kept of CloudWatch Logs beside groups, streams and events: filters that act, and queries by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{Scope, Versioned};

/// A log group in the life of a filter.
///
/// Groups are kept elsewhere. A group that is deleted and made again has another time of creation, so filters of the
/// first are not filters of the second, whatever crash came in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroupRef {
    pub scope: Scope,
    pub name: String,
    pub created_at: Timestamp,
}

/// Makes a metric of the events that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFilter {
    pub group: LogGroupRef,
    pub name: String,
    pub pattern: String,
    pub transformation: MetricTransformation,
    pub on_transformed_logs: bool,
    pub created_at: Timestamp,
}

/// Which metric, and which value of it, an event makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricTransformation {
    pub metric_name: String,
    pub namespace: String,
    /// A number, or a field of the event: `$.latency`, `$bytes`.
    pub value: String,
    pub default_value: Option<f64>,
    /// Each value is a field of the event.
    pub dimensions: BTreeMap<String, String>,
    pub unit: Option<String>,
}

/// Delivers the events that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionFilter {
    pub group: LogGroupRef,
    pub name: String,
    pub pattern: String,
    pub destination_arn: String,
    pub role_arn: Option<String>,
    /// `ByLogStream` or `Random`.
    pub distribution: String,
    pub on_transformed_logs: bool,
    pub created_at: Timestamp,
}

/// A query of Logs Insights that somebody has given a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryDefinition {
    pub scope: Scope,
    pub id: String,
    pub name: String,
    pub query: String,
    pub log_groups: Vec<String>,
    pub parameters: Vec<QueryParameter>,
    pub modified_at: Timestamp,
}

/// A part of a query that is filled in when it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryParameter {
    pub name: String,
    pub default_value: Option<String>,
    pub description: Option<String>,
}

impl Versioned for MetricFilter {
    const VERSION: u32 = 1;
}

impl Versioned for SubscriptionFilter {
    const VERSION: u32 = 1;
}

impl Versioned for QueryDefinition {
    const VERSION: u32 = 1;
}
