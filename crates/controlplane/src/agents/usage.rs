//! What tasks use now, as their agents' telemetry says. Kept in memory only: a restart waits for the next message.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_api::tcs::{ContainerMetric, CounterStatsSet, PublishMetrics, StatsSet, TaskMetric};
use serde_json::{Map, Value, json};
use stdx::Timestamp;

/// Agents publish every 20 seconds; what is older than three messages is no news.
const FRESH: Duration = Duration::from_secs(60);

/// The last message about each task.
#[derive(Default)]
pub struct UsageBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    tasks: BTreeMap<String, (Timestamp, Vec<ContainerUse>)>,
    /// What is no news any more is taken away as seldom as this: looking through all tasks at every message would take longer than
    /// there is between two of them.
    swept_at: Timestamp,
}

/// What one container uses. What was not measured is absent.
struct ContainerUse {
    name: String,
    /// Of one CPU, averaged over the last message.
    cpu_percent: Option<f64>,
    memory_mib: Option<f64>,
    rx_bytes_per_second: Option<f64>,
    tx_bytes_per_second: Option<f64>,
    rx_bytes: Option<i64>,
    tx_bytes: Option<i64>,
    read_bytes: Option<i64>,
    write_bytes: Option<i64>,
    restarts: Option<i64>,
}

impl UsageBoard {
    /// Takes over what a message says about tasks that are its sender's.
    pub fn put(&self, metrics: &PublishMetrics, now: Timestamp, is_own: impl Fn(&str) -> bool) {
        let own = metrics.task_metrics.iter().filter(|task| is_own(&task.task_arn));
        let own: Vec<_> = own.map(|task| (task.task_arn.clone(), read(task))).collect();
        let mut board = self.lock();
        if now.since(board.swept_at) >= FRESH {
            board.tasks.retain(|_, (at, _)| now.since(*at) < FRESH);
            board.swept_at = now;
        }
        board.tasks.extend(own.into_iter().map(|(arn, used)| (arn, (now, used))));
    }

    /// `{"tasks":{"<arn>":{"cpuPercent":1.5,"memoryMiB":12.0,"containers":{"<name>":{...}}}}}`: the sum over its containers, then
    /// each of them.
    pub fn json(&self, now: Timestamp) -> Value {
        let board = self.lock();
        let fresh = board.tasks.iter().filter(|(_, (at, _))| now.since(*at) < FRESH);
        json!({ "tasks": fresh.map(|(arn, (_, used))| (arn.clone(), task(used))).collect::<Map<_, _>>() })
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(task: &TaskMetric) -> Vec<ContainerUse> {
    task.container_metrics.iter().map(container_use).collect()
}

fn container_use(metric: &ContainerMetric) -> ContainerUse {
    let (network, storage) = (metric.network_stats_set.as_ref(), metric.storage_stats_set.as_ref());
    // Counters only rise, so the largest is the last.
    let last = |set: Option<&CounterStatsSet>| set.map(|set| set.max);
    ContainerUse {
        name: metric.container_name.clone(),
        cpu_percent: metric.cpu_stats_set.as_ref().map(average),
        memory_mib: metric.memory_stats_set.as_ref().map(average),
        rx_bytes_per_second: network.and_then(|network| network.rx_bytes_per_second.as_ref()).map(average),
        tx_bytes_per_second: network.and_then(|network| network.tx_bytes_per_second.as_ref()).map(average),
        rx_bytes: last(network.and_then(|network| network.rx_bytes.as_ref())),
        tx_bytes: last(network.and_then(|network| network.tx_bytes.as_ref())),
        read_bytes: last(storage.and_then(|storage| storage.read_size_bytes.as_ref())),
        write_bytes: last(storage.and_then(|storage| storage.write_size_bytes.as_ref())),
        restarts: metric.restart_stats_set.as_ref().map(|restarts| restarts.restart_count),
    }
}

fn task(used: &[ContainerUse]) -> Value {
    let sum = |one: fn(&ContainerUse) -> Option<f64>| used.iter().filter_map(one).fold(0.0, |sum, one| sum + one);
    json!({
        "cpuPercent": sum(|container| container.cpu_percent),
        "memoryMiB": sum(|container| container.memory_mib),
        "containers": used.iter().map(|one| (one.name.clone(), container(one))).collect::<Map<_, _>>(),
    })
}

fn container(used: &ContainerUse) -> Value {
    let measured = [
        ("cpuPercent", used.cpu_percent.map(Value::from)),
        ("memoryMiB", used.memory_mib.map(Value::from)),
        ("rxBytesPerSecond", used.rx_bytes_per_second.map(Value::from)),
        ("txBytesPerSecond", used.tx_bytes_per_second.map(Value::from)),
        ("rxBytes", used.rx_bytes.map(Value::from)),
        ("txBytes", used.tx_bytes.map(Value::from)),
        ("readBytes", used.read_bytes.map(Value::from)),
        ("writeBytes", used.write_bytes.map(Value::from)),
        ("restarts", used.restarts.map(Value::from)),
    ];
    Value::Object(measured.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn average(set: &StatsSet) -> f64 {
    if set.sample_count <= 0 { 0.0 } else { set.sum / set.sample_count as f64 }
}

#[cfg(test)]
mod tests {
    use agent_api::tcs::{NetworkStatsSet, RestartStatsSet};

    use super::*;

    #[test]
    fn the_last_message_is_what_is_used_now() {
        let set = |average: f64| Some(StatsSet { min: 0.0, max: average * 2.0, sum: average * 2.0, sample_count: 2 });
        let container = |name: &str, cpu: f64| ContainerMetric {
            container_name: name.into(),
            cpu_stats_set: set(cpu),
            memory_stats_set: set(8.0),
            ..ContainerMetric::default()
        };
        let web = ContainerMetric {
            network_stats_set: Some(NetworkStatsSet {
                rx_bytes: Some(CounterStatsSet { min: 1, max: 900, sum: 901, sample_count: 2, ..Default::default() }),
                ..NetworkStatsSet::default()
            }),
            restart_stats_set: Some(RestartStatsSet { restart_count: 3 }),
            ..container("web", 1.5)
        };
        let metric = |arn: &str| TaskMetric {
            task_arn: arn.into(),
            container_metrics: vec![web.clone(), container("side", 0.5)],
            ..TaskMetric::default()
        };
        let metrics = PublishMetrics { task_metrics: vec![metric("mine"), metric("other")], ..Default::default() };
        let board = UsageBoard::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        board.put(&metrics, at(0), |task| task == "mine");
        let shown = board.json(at(59));
        assert_eq!(shown["tasks"].as_object().unwrap().len(), 1, "nobody speaks for another's tasks");
        let mine = &shown["tasks"]["mine"];
        assert_eq!((&mine["cpuPercent"], &mine["memoryMiB"]), (&json!(2.0), &json!(16.0)));
        let web = json!({"cpuPercent": 1.5, "memoryMiB": 8.0, "rxBytes": 900, "restarts": 3});
        assert_eq!(mine["containers"]["web"], web);
        assert_eq!(board.json(at(60)), json!({"tasks": {}}));
    }
}
