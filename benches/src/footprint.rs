//! How soon Berth is ready, and how much memory it takes.

use std::fs;
use std::time::{Duration, Instant};

use kit::Machine;

use crate::figures::Times;

/// From the start of the program to its word that it is ready, nothing running; a data directory that it knows.
pub fn starts(machine: &mut Machine, count: usize) -> Times {
    machine.start(&[]);
    machine.stop();
    let mut times = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        machine.start(&[]);
        times.push(began.elapsed());
        machine.stop();
    }
    Times::new(times)
}

pub struct Memory {
    pub processes: usize,
    pub resident_kib: u64,
    pub shims: usize,
    pub shim_resident_kib: u64,
    pub shim_private_kib: u64,
}

/// All processes of the machine's Berth; shims also by themselves. A shim's private memory is what one more costs.
pub fn memory(machine: &Machine) -> Memory {
    let mark = machine.data_dir().display().to_string();
    let mut memory = Memory { processes: 0, resident_kib: 0, shims: 0, shim_resident_kib: 0, shim_private_kib: 0 };
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        let is_shim = line.contains("berth-shim") && line.contains(&mark);
        let is_berth = line.contains("berth up") && String::from_utf8_lossy(&environment).contains(&mark);
        if !is_shim && !is_berth {
            continue;
        }
        let rollup = fs::read_to_string(path.join("smaps_rollup")).unwrap_or_default();
        let resident = kib(&rollup, "Rss:");
        memory.processes += 1;
        memory.resident_kib += resident;
        if is_shim {
            memory.shims += 1;
            memory.shim_resident_kib += resident;
            memory.shim_private_kib += kib(&rollup, "Private_Dirty:");
        }
    }
    memory
}

/// What the whole machine has no more, caches aside.
pub fn used_kib() -> i64 {
    let about = fs::read_to_string("/proc/meminfo").expect("the kernel tells");
    let field = |name| i64::try_from(kib(&about, name)).expect("a machine has fewer");
    field("MemTotal:") - field("MemAvailable:")
}

fn kib(rollup: &str, name: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Idle means that nothing has happened for a while.
pub fn settle() {
    std::thread::sleep(Duration::from_secs(5));
}
