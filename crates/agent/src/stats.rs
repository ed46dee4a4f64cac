//! What a container may ask about its own use of the machine, in the words of the Docker Engine API.

use serde_json::{Value, json};
use stdx::Timestamp;

use crate::seams::Usage;

/// How long the machine has been up, and on how many CPUs. Docker counts the CPU time of a whole machine like that,
/// idle time included, so that a reader of two answers can take the quotient of both differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uptime {
    pub seconds: f64,
    pub cpus: usize,
}

impl Uptime {
    /// Reads `/proc/uptime`.
    pub fn now() -> Uptime {
        let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let seconds = text.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
        Uptime { seconds, cpus: std::thread::available_parallelism().map_or(1, usize::from) }
    }
}

/// The members that readers compute with. Network and block devices are left out: the node does not count them.
pub fn container(runtime_id: &str, docker_name: &str, usage: Usage, at: Timestamp, uptime: Uptime) -> Value {
    let cpu_nanos = u64::try_from(usage.cpu.as_nanos()).unwrap_or(u64::MAX);
    json!({
        "id": runtime_id,
        "name": format!("/{docker_name}"),
        "read": at.to_string(),
        "cpu_stats": {
            "cpu_usage": {"total_usage": cpu_nanos},
            "system_cpu_usage": (uptime.seconds * 1e9) as u64 * uptime.cpus as u64,
            "online_cpus": uptime.cpus,
        },
        // As in Docker's answer to a single question: there is no earlier sample.
        "precpu_stats": {"cpu_usage": {"total_usage": 0}},
        "memory_stats": {"usage": usage.memory_bytes},
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_answers_make_a_percentage() {
        let answer = |seconds: u64| {
            let usage = Usage { cpu: Duration::from_millis(seconds * 500), memory_bytes: 5 };
            let uptime = Uptime { seconds: 100.0 + seconds as f64, cpus: 4 };
            container("id", "ecs-web", usage, Timestamp::from_millis(0), uptime)
        };
        let (first, second) = (answer(1), answer(3));
        let cpu = |stats: &Value| stats["cpu_stats"]["cpu_usage"]["total_usage"].as_u64().unwrap() as f64;
        let system = |stats: &Value| stats["cpu_stats"]["system_cpu_usage"].as_u64().unwrap() as f64;
        let share = (cpu(&second) - cpu(&first)) / (system(&second) - system(&first)) * 4.0;
        assert_eq!(share, 0.5);
        assert_eq!(second["name"], "/ecs-web");
        assert_eq!(second["memory_stats"]["usage"], 5);
        assert!(Uptime::now().seconds > 0.0);
    }
}
