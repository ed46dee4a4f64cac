//! What a container may ask about its own use of the machine, in the words of the Docker Engine API.

use std::time::Duration;

use serde_json::{Map, Value, json};
use stdx::Timestamp;

use crate::seams::{BlockStatistics, CpuStatistics, NetworkStatistics, Statistics};

/// When something was counted, and on what machine. Docker counts the CPU time of a whole machine, idle time included, so
/// that a reader of two answers can take the quotient of both differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    pub at: Timestamp,
    pub uptime_seconds: f64,
    pub cpus: usize,
    /// What a container without a limit may use.
    pub memory_bytes: u64,
}

/// What was counted when somebody asked before.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    moment: Moment,
    cpu: CpuStatistics,
    received: u64,
    sent: u64,
}

/// What happened within less is no rate.
const APART: Duration = Duration::from_secs(1);

impl Moment {
    /// Reads `/proc/uptime` and `/proc/meminfo`.
    pub fn now(at: Timestamp) -> Moment {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let uptime = read("/proc/uptime");
        let meminfo = read("/proc/meminfo");
        let kib =
            meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
        Moment {
            at,
            uptime_seconds: uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib.map_or(0, |kib: u64| kib * 1024),
        }
    }

    fn system_cpu_nanos(&self) -> u64 {
        (self.uptime_seconds * 1e9) as u64 * self.cpus as u64
    }
}

impl Sample {
    pub fn new(counted: &Statistics, moment: &Moment) -> Sample {
        let sum = |bytes: fn(&NetworkStatistics) -> u64| counted.networks.values().map(bytes).sum();
        Sample {
            moment: *moment,
            cpu: counted.cpu.clone(),
            received: sum(|network| network.received.bytes),
            sent: sum(|network| network.sent.bytes),
        }
    }

    pub fn is_later_by_enough(&self, before: &Sample) -> bool {
        self.moment.at.since(before.moment.at) >= APART
    }

    /// Bytes a second, since this sample.
    pub fn rates(&self, counted: &Statistics, moment: &Moment) -> Value {
        let now = Sample::new(counted, moment);
        let seconds = moment.at.since(self.moment.at).as_secs_f64();
        let rate =
            |now: u64, before: u64| if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
        json!({"rx_bytes_per_sec": rate(now.received, self.received), "tx_bytes_per_sec": rate(now.sent, self.sent)})
    }
}

/// All but its names.
pub fn container(counted: &Statistics, moment: &Moment, before: Option<&Sample>) -> Value {
    let memory = &counted.memory;
    let mut shown_memory = json!({
        "usage": memory.usage,
        "stats": memory.details,
        // A limit above what the machine has limits nothing.
        "limit": memory.limit.map_or(moment.memory_bytes, |limit| limit.min(moment.memory_bytes)),
    });
    if let Some(max) = memory.usage_max {
        shown_memory["max_usage"] = json!(max);
    }
    if let Some(failures) = memory.failures {
        shown_memory["failcnt"] = json!(failures);
    }
    let mut pids = Map::new();
    pids.extend(counted.pids.map(|pids| ("current".to_owned(), json!(pids))));
    pids.extend(counted.pids_max.map(|max| ("limit".to_owned(), json!(max))));
    let mut stats = json!({
        "read": moment.at.to_string(),
        "preread": before.map_or("0001-01-01T00:00:00Z".to_owned(), |before| before.moment.at.to_string()),
        "pids_stats": pids,
        "blkio_stats": {
            "io_service_bytes_recursive": block(&counted.block, |one| [one.read_bytes, one.written_bytes]),
            "io_serviced_recursive": block(&counted.block, |one| [one.reads, one.writes]),
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": cpu(&counted.cpu, moment),
        // As in Docker's answer to a first question, when there is no earlier sample.
        "precpu_stats": before.map_or(cpu(&CpuStatistics::default(), &Moment { uptime_seconds: 0.0, ..*moment }), |before| {
            cpu(&before.cpu, &before.moment)
        }),
        "memory_stats": shown_memory,
    });
    if !counted.networks.is_empty() {
        let network = |(name, network): (&String, &NetworkStatistics)| {
            let NetworkStatistics { received, sent } = network;
            let shown = json!({
                "rx_bytes": received.bytes, "rx_packets": received.packets,
                "rx_errors": received.errors, "rx_dropped": received.dropped,
                "tx_bytes": sent.bytes, "tx_packets": sent.packets,
                "tx_errors": sent.errors, "tx_dropped": sent.dropped,
            });
            (name.clone(), shown)
        };
        stats["networks"] = Value::Object(counted.networks.iter().map(network).collect());
    }
    stats
}

fn cpu(counted: &CpuStatistics, moment: &Moment) -> Value {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut usage = json!({
        "total_usage": nanos(counted.total),
        "usage_in_kernelmode": nanos(counted.kernel),
        "usage_in_usermode": nanos(counted.user),
    });
    if !counted.of_each.is_empty() {
        usage["percpu_usage"] = counted.of_each.iter().map(|time| nanos(*time)).collect();
    }
    json!({
        "cpu_usage": usage,
        "system_cpu_usage": moment.system_cpu_nanos(),
        "online_cpus": moment.cpus,
        "throttling_data": {
            "periods": counted.periods,
            "throttled_periods": counted.throttled_periods,
            "throttled_time": nanos(counted.throttled),
        },
    })
}

/// Two entries a device.
fn block(devices: &[BlockStatistics], counts: impl Fn(&BlockStatistics) -> [u64; 2]) -> Value {
    let entries = devices.iter().flat_map(|device| {
        let of =
            |(op, value): (&str, u64)| json!({"major": device.major, "minor": device.minor, "op": op, "value": value});
        ["read", "write"].into_iter().zip(counts(device)).map(of).collect::<Vec<_>>()
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::seams::{MemoryStatistics, Traffic};

    fn at(seconds: u64) -> (Statistics, Moment) {
        let network = NetworkStatistics {
            received: Traffic { bytes: seconds * 1000, packets: seconds, ..Traffic::default() },
            sent: Traffic { bytes: seconds * 10, ..Traffic::default() },
        };
        let counted = Statistics {
            cpu: CpuStatistics { total: Duration::from_millis(seconds * 500), ..CpuStatistics::default() },
            memory: MemoryStatistics { usage: 5, limit: Some(64), ..MemoryStatistics::default() },
            networks: BTreeMap::from([("eth0".to_owned(), network)]),
            ..Statistics::default()
        };
        let moment = Moment {
            at: Timestamp::from_millis(seconds as i64 * 1000),
            uptime_seconds: 100.0 + seconds as f64,
            cpus: 4,
            memory_bytes: 1 << 30,
        };
        (counted, moment)
    }

    /// As `docker stats` computes it.
    fn share(now: &Value, before: &Value) -> f64 {
        let cpu = |stats: &Value| stats["cpu_usage"]["total_usage"].as_u64().unwrap() as f64;
        let system = |stats: &Value| stats["system_cpu_usage"].as_u64().unwrap() as f64;
        (cpu(now) - cpu(before)) / (system(now) - system(before)) * 4.0
    }

    #[test]
    fn two_answers_make_a_percentage_and_so_does_the_second_alone() {
        let ((one, earlier), (two, later)) = (at(1), at(3));
        let first = container(&one, &earlier, None);
        let second = container(&two, &later, Some(&Sample::new(&one, &earlier)));
        assert_eq!(share(&second["cpu_stats"], &first["cpu_stats"]), 0.5);
        assert_eq!(share(&second["cpu_stats"], &second["precpu_stats"]), 0.5);
        assert_eq!(first["preread"], "0001-01-01T00:00:00Z");
        assert_eq!(second["preread"], first["read"]);
        assert_eq!(second["memory_stats"], json!({"usage": 5, "limit": 64, "stats": {}}));
        assert_eq!(second["networks"]["eth0"]["rx_packets"], 3);
    }

    #[test]
    fn a_rate_is_a_difference_by_its_time() {
        let ((one, earlier), (two, later)) = (at(1), at(3));
        let before = Sample::new(&one, &earlier);
        assert_eq!(before.rates(&two, &later), json!({"rx_bytes_per_sec": 1000.0, "tx_bytes_per_sec": 10.0}));
        assert!(Sample::new(&two, &later).is_later_by_enough(&before) && !before.is_later_by_enough(&before));
    }

    #[test]
    fn without_a_limit_it_is_the_machines_memory() {
        let (mut counted, moment) = at(1);
        counted.memory.limit = None;
        counted.block = vec![BlockStatistics { major: 8, read_bytes: 7, writes: 2, ..BlockStatistics::default() }];
        let stats = container(&counted, &moment, None);
        assert_eq!(stats["memory_stats"]["limit"], 1 << 30);
        let bytes = &stats["blkio_stats"]["io_service_bytes_recursive"];
        assert_eq!(bytes[0], json!({"major": 8, "minor": 0, "op": "read", "value": 7}));
        assert_eq!(stats["blkio_stats"]["io_serviced_recursive"][1]["value"], 2);
        assert!(Moment::now(moment.at).memory_bytes > 0 && Moment::now(moment.at).uptime_seconds > 0.0);
    }
}
