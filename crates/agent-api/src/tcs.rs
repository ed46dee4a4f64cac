//! The telemetry socket: metrics, container health and instance status, up; acknowledgements, down.
//!
//! Frames from the agent carry HTTP header lines before the JSON: see [`Frame`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envelope::messages;
use crate::extras::Probed;
use crate::serde_rules::null_is_default;

messages! {
    /// Agent to control plane.
    FromAgent {
        "PublishMetricsRequest" => PublishMetrics(PublishMetrics),
        "PublishHealthRequest" => PublishHealth(PublishHealth),
        "PublishInstanceStatusRequest" => PublishInstanceStatus(PublishInstanceStatus),
    }
}

messages! {
    /// Control plane to agent. Each of the acknowledgements and the heartbeat restarts the agent's inactivity timer.
    ToAgent {
        "AckPublishMetric" => AckPublishMetric(Acknowledged),
        "AckPublishHealth" => AckPublishHealth(Acknowledged),
        "AckPublishInstanceStatus" => AckPublishInstanceStatus(Acknowledged),
        "HeartbeatMessage" => Heartbeat(Heartbeat),
        "StopTelemetrySessionMessage" => StopTelemetrySession(Acknowledged),
    }
}

impl ToAgent {
    /// The acknowledgement that belongs to a message.
    pub fn acknowledge(message: &FromAgent) -> ToAgent {
        match message {
            FromAgent::PublishMetrics(_) => ToAgent::AckPublishMetric(Acknowledged::default()),
            FromAgent::PublishHealth(_) => ToAgent::AckPublishHealth(Acknowledged::default()),
            FromAgent::PublishInstanceStatus(_) => ToAgent::AckPublishInstanceStatus(Acknowledged::default()),
        }
    }
}

/// One text frame from the agent: `Name: value` lines, an empty line, and the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// As they came; empty for a bare envelope.
    pub headers: Vec<(&'a str, &'a str)>,
    pub envelope: &'a str,
}

impl<'a> Frame<'a> {
    pub fn encode(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        lines.chain(["\r\n".to_owned(), self.envelope.to_owned()]).collect()
    }

    /// Never fails: what has no header lines is all envelope, and decoding that says whether it is one.
    pub fn decode(text: &'a str) -> Frame<'a> {
        if text.trim_start().starts_with('{') {
            return Frame { headers: Vec::new(), envelope: text };
        }
        let Some((head, envelope)) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")) else {
            return Frame { headers: Vec::new(), envelope: text };
        };
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        Frame { headers: headers.map(|(name, value)| (name.trim(), value.trim())).collect(), envelope }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    #[serde(default, deserialize_with = "null_is_default")]
    pub healthy: bool,
}

/// One at connect, then every 20 seconds; `fin` is on the last message of a round. An idle instance sends no more than
/// `metadata` and `timestamp`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishMetrics {
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: MetricsMetadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_metrics: Option<Value>,
    /// Up to [`TASKS_MAX`].
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub task_metrics: Vec<TaskMetric>,
    /// Seconds since 1970, with a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
}

/// Tasks in one metrics message.
pub const TASKS_MAX: usize = 10;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsMetadata {
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub idle: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    pub fin: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskMetric {
    pub task_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub task_definition_family: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub task_definition_version: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_metrics: Vec<ContainerMetric>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage_metrics: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_metrics: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_connect_metrics_wrapper: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerMetric {
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_name: String,
    /// Percent of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_stats_set: Option<StatsSet>,
    /// MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_stats_set: Option<StatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_stats_set: Option<NetworkStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_stats_set: Option<StorageStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_stats_set: Option<RestartStatsSet>,
}

/// What several samples of a gauge were, taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsSet {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub sample_count: i64,
}

impl StatsSet {
    /// `None` for no samples at all.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<StatsSet> {
        samples.into_iter().fold(None, |set: Option<StatsSet>, sample| {
            let set = set.unwrap_or(StatsSet { min: sample, max: sample, sum: 0.0, sample_count: 0 });
            Some(StatsSet {
                min: set.min.min(sample),
                max: set.max.max(sample),
                sum: set.sum + sample,
                sample_count: set.sample_count + 1,
            })
        })
    }
}

/// A counter's samples; the overflow members count what does not fit into the plain ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CounterStatsSet {
    pub min: i64,
    pub max: i64,
    pub sum: i64,
    pub sample_count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow_min: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow_max: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow_sum: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatsSet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_bytes: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_dropped: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_errors: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_packets: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_bytes: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_dropped: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_errors: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_packets: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_bytes_per_second: Option<StatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_bytes_per_second: Option<StatsSet>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageStatsSet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_size_bytes: Option<CounterStatsSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_size_bytes: Option<CounterStatsSet>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartStatsSet {
    #[serde(default)]
    pub restart_count: i64,
}

/// Every 20 seconds while any container has a health check. Containers without one are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishHealth {
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: HealthMetadata,
    #[serde(default, deserialize_with = "null_is_default")]
    pub tasks: Vec<TaskHealth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthMetadata {
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub fin: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskHealth {
    pub task_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub task_definition_family: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub task_definition_version: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub containers: Vec<ContainerHealth>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerHealth {
    pub container_name: String,
    pub health_status: HealthStatus,
    /// Seconds since 1970, with a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_since: Option<f64>,
    /// What only a Berth agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub berth: Option<Probed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthStatus {
    Healthy,
    Unhealthy,
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishInstanceStatus {
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: InstanceStatusMetadata,
    #[serde(default, deserialize_with = "null_is_default")]
    pub statuses: Vec<InstanceStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatusMetadata {
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub request_id: String,
}

/// `status`: `INITIALIZING`, `OK`, `IMPAIRED`. Times are seconds since 1970, with a fraction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    #[serde(rename = "type")]
    pub status_type: String,
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status_change: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_lose_their_header_lines() {
        let text = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/ecs/aws4_request, \
            SignedHeaders=host;x-amz-date, Signature=0fd4\r\nHost: 127.0.0.1:8480\r\nX-Amz-Date: 20261122T215207Z\r\n\r\n\
            {\"type\":\"PublishMetricsRequest\",\"message\":{\"timestamp\":1.5}}";
        let frame = Frame::decode(text);
        assert_eq!(frame.headers.len(), 3);
        assert_eq!(frame.headers[1], ("Host", "127.0.0.1:8480"));
        assert_eq!(frame.encode(), text);
        let message = FromAgent::decode(frame.envelope).unwrap().known().unwrap();
        assert_eq!(ToAgent::acknowledge(&message).encode(), r#"{"type":"AckPublishMetric","message":{}}"#);
    }

    #[test]
    fn a_bare_envelope_is_a_frame_too() {
        let text = "{\"type\":\"x\",\"message\":{\"a\":\"\r\n\r\n\"}}";
        assert_eq!(Frame::decode(text), Frame { headers: Vec::new(), envelope: text });
        assert_eq!(Frame::decode("").envelope, "");
    }

    #[test]
    fn a_stats_set_sums_up() {
        assert_eq!(StatsSet::of([]), None);
        assert_eq!(StatsSet::of([2.0, 1.0, 4.0]), Some(StatsSet { min: 1.0, max: 4.0, sum: 7.0, sample_count: 3 }));
    }
}
