//! What containers used, since telemetry was last told. Pure: samples go in, sets come out.

use std::collections::BTreeMap;

use agent_api::tcs::StatsSet;
use stdx::Timestamp;

use crate::seams::Usage;

/// The samples of all containers, by task ARN and container name.
#[derive(Default)]
pub struct Samples {
    containers: BTreeMap<(String, String), Series>,
}

#[derive(Default)]
struct Series {
    last: Option<(Timestamp, Usage)>,
    cpu_percent: Vec<f64>,
    memory_mib: Vec<f64>,
}

impl Samples {
    pub fn add(&mut self, task: &str, container: &str, usage: Usage, at: Timestamp) {
        let series = self.containers.entry((task.to_owned(), container.to_owned())).or_default();
        series.memory_mib.push(usage.memory_bytes as f64 / (1024.0 * 1024.0));
        if let Some((before, last)) = series.last {
            let elapsed = at.since(before).as_secs_f64();
            // A restarted container begins at zero again: that sample says nothing.
            if let (true, Some(spent)) = (elapsed > 0.0, usage.cpu.checked_sub(last.cpu)) {
                series.cpu_percent.push(spent.as_secs_f64() / elapsed * 100.0);
            }
        }
        series.last = Some((at, usage));
    }

    /// CPU in percent of one CPU and memory in MiB, of the time since the last call.
    pub fn take(&mut self, task: &str, container: &str) -> (Option<StatsSet>, Option<StatsSet>) {
        let Some(series) = self.containers.get_mut(&(task.to_owned(), container.to_owned())) else {
            return (None, None);
        };
        (StatsSet::of(series.cpu_percent.drain(..)), StatsSet::of(series.memory_mib.drain(..)))
    }

    pub fn retain_tasks(&mut self, lives: impl Fn(&str) -> bool) {
        self.containers.retain(|(task, _), _| lives(task));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn usage_becomes_percent_and_mib() {
        let mut samples = Samples::default();
        let usage = |millis, mib: u64| Usage { cpu: Duration::from_millis(millis), memory_bytes: mib << 20 };
        for (seconds, usage) in [(0, usage(0, 10)), (5, usage(2500, 30)), (10, usage(2500, 20)), (15, usage(100, 20))] {
            samples.add("t", "web", usage, Timestamp::from_millis(seconds * 1000));
        }
        let (cpu, memory) = samples.take("t", "web");
        assert_eq!(cpu, Some(StatsSet { min: 0.0, max: 50.0, sum: 50.0, sample_count: 2 }));
        assert_eq!(memory, Some(StatsSet { min: 10.0, max: 30.0, sum: 80.0, sample_count: 4 }));
        assert_eq!(samples.take("t", "web"), (None, None));
        samples.retain_tasks(|task| task != "t");
        assert_eq!(samples.take("t", "web"), (None, None));
    }
}
