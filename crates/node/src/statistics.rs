//! All that the kernel counts of a container: one look, for one container that asks about itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::seams::{BlockStatistics, CpuStatistics, MemoryStatistics, NetworkStatistics, Statistics, Traffic};
use runtime::Cgroups;

/// More than any machine has: what v1 says instead of "none".
const NO_LIMIT: u64 = 1 << 60;

/// Of the container in the cgroup `path`. Blocking. `None` when there is no such cgroup; a controller that is not there counts
/// nothing. With the interfaces of its namespace, when that is its own.
pub fn of_cgroup(cgroups: &Cgroups, path: &str, has_network: bool) -> Option<Statistics> {
    let dir = |controller: &str| cgroups.dir(controller, path);
    let memory = dir("memory")?;
    let mut statistics = match cgroups {
        Cgroups::V1 { .. } => of_v1(&memory, dir)?,
        Cgroups::V2 { .. } => of_v2(&memory)?,
    };
    if has_network {
        statistics.networks = first_process(&memory).map(networks).unwrap_or_default();
    }
    Some(statistics)
}

fn of_v1(memory: &Path, dir: impl Fn(&str) -> Option<PathBuf>) -> Option<Statistics> {
    let (cpuacct, cpu, pids, block) = (dir("cpuacct"), dir("cpu"), dir("pids"), dir("blkio"));
    let file = |dir: &Option<PathBuf>, name: &str| fs::read_to_string(dir.as_ref()?.join(name)).ok();
    let nanos = |dir, name| file(dir, name).and_then(|text| number(&text)).map(Duration::from_nanos);
    let ticks = fields(&file(&cpuacct, "cpuacct.stat").unwrap_or_default());
    let tick = |name: &str| Duration::from_millis(ticks.get(name).copied().unwrap_or(0) * 1000 / ticks_a_second());
    let throttling = fields(&file(&cpu, "cpu.stat").unwrap_or_default());
    let counted = |name: &str| throttling.get(name).copied().unwrap_or(0);
    let of_each = file(&cpuacct, "cpuacct.usage_percpu").unwrap_or_default();
    let memory = Some(memory.to_owned());
    let of_memory = |name| file(&memory, name).and_then(|text| number(&text));
    Some(Statistics {
        cpu: CpuStatistics {
            total: nanos(&cpuacct, "cpuacct.usage").unwrap_or_default(),
            kernel: tick("system"),
            user: tick("user"),
            of_each: of_each.split_whitespace().filter_map(number).map(Duration::from_nanos).collect(),
            periods: counted("nr_periods"),
            throttled_periods: counted("nr_throttled"),
            throttled: Duration::from_nanos(counted("throttled_time")),
        },
        memory: MemoryStatistics {
            usage: of_memory("memory.usage_in_bytes")?,
            usage_max: of_memory("memory.max_usage_in_bytes"),
            limit: of_memory("memory.limit_in_bytes").filter(|limit| *limit < NO_LIMIT),
            failures: of_memory("memory.failcnt"),
            details: fields(&file(&memory, "memory.stat")?),
        },
        pids: file(&pids, "pids.current").and_then(|text| number(&text)),
        pids_max: file(&pids, "pids.max").and_then(|text| number(&text)),
        block: block_of_v1(
            &file(&block, "blkio.throttle.io_service_bytes").unwrap_or_default(),
            &file(&block, "blkio.throttle.io_serviced").unwrap_or_default(),
        ),
        networks: BTreeMap::new(),
    })
}

/// Any process of it: all of them are in one network namespace, but those that a privileged container moved.
fn first_process(dir: &Path) -> Option<u32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).ok()?;
    text.lines().filter_map(|line| line.parse().ok()).find(|pid| *pid > 0)
}

fn of_v2(dir: &Path) -> Option<Statistics> {
    let file = |name: &str| fs::read_to_string(dir.join(name)).ok();
    let one = |name: &str| file(name).and_then(|text| number(&text));
    let cpu = fields(&file("cpu.stat")?);
    let counted = |name: &str| cpu.get(name).copied().unwrap_or(0);
    let micros = |name: &str| Duration::from_micros(counted(name));
    Some(Statistics {
        cpu: CpuStatistics {
            total: micros("usage_usec"),
            kernel: micros("system_usec"),
            user: micros("user_usec"),
            of_each: Vec::new(),
            periods: counted("nr_periods"),
            throttled_periods: counted("nr_throttled"),
            throttled: micros("throttled_usec"),
        },
        memory: MemoryStatistics {
            usage: one("memory.current")?,
            usage_max: one("memory.peak"),
            limit: one("memory.max"),
            failures: None,
            details: fields(&file("memory.stat")?),
        },
        pids: one("pids.current"),
        pids_max: one("pids.max"),
        block: block_of_v2(&file("io.stat").unwrap_or_default()),
        networks: BTreeMap::new(),
    })
}

/// Of the namespace that the process is in.
fn networks(process: u32) -> BTreeMap<String, NetworkStatistics> {
    interfaces(&fs::read_to_string(format!("/proc/{process}/net/dev")).unwrap_or_default())
}

/// `max`, which is no number, is none.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Lines of a name and a number.
fn fields(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), number(value)?))
    };
    text.lines().filter_map(line).collect()
}

/// The kernel tells v1's times in these, whatever its own clock is.
fn ticks_a_second() -> u64 {
    100
}

/// Lines such as `8:0 Read 4096`.
fn block_of_v1(bytes: &str, operations: &str) -> Vec<BlockStatistics> {
    let mut devices: BTreeMap<(u64, u64), BlockStatistics> = BTreeMap::new();
    for (text, counts_bytes) in [(bytes, true), (operations, false)] {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(device), Some(what), Some(count)) = (words.next(), words.next(), words.next()) else { continue };
            let (Some(device), Some(count)) = (device_numbers(device), number(count)) else { continue };
            let known = devices.entry(device).or_default();
            match (what, counts_bytes) {
                ("Read", true) => known.read_bytes = count,
                ("Write", true) => known.written_bytes = count,
                ("Read", false) => known.reads = count,
                ("Write", false) => known.writes = count,
                _ => {}
            }
        }
    }
    devices.into_iter().map(|((major, minor), counted)| BlockStatistics { major, minor, ..counted }).collect()
}

/// Lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
fn block_of_v2(text: &str) -> Vec<BlockStatistics> {
    let line = |line: &str| {
        let (device, counts) = line.split_once(' ')?;
        let (major, minor) = device_numbers(device)?;
        let counts: BTreeMap<&str, u64> = counts
            .split_whitespace()
            .filter_map(|count| count.split_once('='))
            .filter_map(|(name, count)| Some((name, number(count)?)))
            .collect();
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        Some(BlockStatistics {
            major,
            minor,
            read_bytes: count("rbytes"),
            written_bytes: count("wbytes"),
            reads: count("rios"),
            writes: count("wios"),
        })
    };
    text.lines().filter_map(line).collect()
}

fn device_numbers(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((number(major)?, number(minor)?))
}

/// `/proc/net/dev`: two lines of headings, then a name and sixteen numbers for each interface.
fn interfaces(text: &str) -> BTreeMap<String, NetworkStatistics> {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let counts: Vec<u64> = numbers.split_whitespace().filter_map(number).collect();
        let traffic = |at: usize| {
            let count = |at: usize| counts.get(at).copied();
            Some(Traffic {
                bytes: count(at)?,
                packets: count(at + 1)?,
                errors: count(at + 2)?,
                dropped: count(at + 3)?,
            })
        };
        Some((name.trim().to_owned(), NetworkStatistics { received: traffic(0)?, sent: traffic(8)? }))
    };
    text.lines().filter_map(line).filter(|(name, _)| name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_alike_on_both_versions() {
        let bytes = "8:0 Read 4096\n8:0 Write 512\n8:0 Sync 1\n8:0 Total 4608\n253:1 Read 7\nTotal 4615\n";
        let operations = "8:0 Read 2\n8:0 Write 1\n253:1 Read 1\n";
        let disk = BlockStatistics { major: 8, minor: 0, read_bytes: 4096, written_bytes: 512, reads: 2, writes: 1 };
        let other = BlockStatistics { major: 253, minor: 1, read_bytes: 7, reads: 1, ..BlockStatistics::default() };
        assert_eq!(block_of_v1(bytes, operations), [disk, other]);
        let text = "8:0 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=0 dios=0\n253:1 rbytes=7 rios=1\nnonsense\n";
        assert_eq!(block_of_v2(text), [disk, other]);
    }

    #[test]
    fn interfaces_are_told_without_the_loopback() {
        let text = "Inter-|   Receive                            |  Transmit\n\
             \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
             \x20   lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n\
             \x20 eth0: 1500 3 1 2 0 0 0 0 700 4 5 6 0 0 0 0\n";
        let received = Traffic { bytes: 1500, packets: 3, errors: 1, dropped: 2 };
        let sent = Traffic { bytes: 700, packets: 4, errors: 5, dropped: 6 };
        let expected = BTreeMap::from([("eth0".to_owned(), NetworkStatistics { received, sent })]);
        assert_eq!(interfaces(text), expected);
    }

    #[test]
    fn a_cgroup_of_v2_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("berth/task");
        fs::create_dir_all(&path).unwrap();
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 1\ninactive_file 2\n"),
            ("pids.current", "3\n"),
            ("pids.max", "200\n"),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
        let cgroups = Cgroups::V2 { root: dir.path().to_owned() };
        let found = of_cgroup(&cgroups, "/berth/task", true).unwrap();
        assert_eq!((found.cpu.total, found.cpu.user), (Duration::from_micros(30), Duration::from_micros(20)));
        assert_eq!((found.cpu.periods, found.cpu.throttled), (5, Duration::from_micros(7)));
        assert_eq!((found.memory.usage, found.memory.limit), (4096, None));
        assert_eq!(found.memory.details["inactive_file"], 2);
        assert_eq!((found.pids, found.pids_max), (Some(3), Some(200)));
        assert_eq!(of_cgroup(&cgroups, "/berth/other", true), None);
    }
}
