//! What tasks use now, as their agents' telemetry says. Kept in memory only: a restart waits for the next message.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent_api::tcs::{PublishMetrics, StatsSet, TaskMetric};
use serde_json::{Value, json};
use stdx::Timestamp;

/// Agents publish every 20 seconds; what is older than three messages is no news.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Of one CPU, averaged over the last message.
    pub cpu_percent: f64,
    pub memory_mib: f64,
}

#[derive(Default)]
pub struct UsageBoard {
    tasks: Mutex<BTreeMap<String, (Timestamp, Usage)>>,
}

impl UsageBoard {
    pub fn put(&self, metrics: &PublishMetrics, now: Timestamp) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|_, (at, _)| now.since(*at) < FRESH);
        for task in &metrics.task_metrics {
            tasks.insert(task.task_arn.clone(), (now, usage(task)));
        }
    }

    /// `{"tasks":{"<arn>":{"cpuPercent":1.5,"memoryMiB":12.0}}}`
    pub fn json(&self, now: Timestamp) -> Value {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = tasks.iter().filter(|(_, (at, _))| now.since(*at) < FRESH);
        let one = |(arn, (_, usage)): (&String, &(Timestamp, Usage))| {
            (arn.clone(), json!({"cpuPercent": usage.cpu_percent, "memoryMiB": usage.memory_mib}))
        };
        json!({ "tasks": fresh.map(one).collect::<serde_json::Map<_, _>>() })
    }
}

fn usage(task: &TaskMetric) -> Usage {
    let average = |set: &StatsSet| if set.sample_count == 0 { 0.0 } else { set.sum / set.sample_count as f64 };
    let sum = |set: fn(&agent_api::tcs::ContainerMetric) -> Option<&StatsSet>| {
        task.container_metrics.iter().filter_map(set).map(average).sum()
    };
    Usage {
        cpu_percent: sum(|container| container.cpu_stats_set.as_ref()),
        memory_mib: sum(|container| container.memory_stats_set.as_ref()),
    }
}
