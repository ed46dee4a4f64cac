//! What a node counts of a container: everything that the metadata endpoint shows.

use std::collections::BTreeMap;
use std::time::Duration;

/// Since the container's start, unless it says "now".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub cpu: CpuStatistics,
    pub memory: MemoryStatistics,
    /// Processes and threads now, and how many there may be.
    pub pids: Option<u64>,
    pub pids_max: Option<u64>,
    pub block: Vec<BlockStatistics>,
    /// By the names of the interfaces within; the loopback is left out.
    pub networks: BTreeMap<String, NetworkStatistics>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuStatistics {
    pub total: Duration,
    pub kernel: Duration,
    pub user: Duration,
    /// Of each CPU; only v1 counts them apart.
    pub of_each: Vec<Duration>,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStatistics {
    /// Now, in bytes, with the page cache.
    pub usage: u64,
    /// The most ever, where the kernel keeps it.
    pub usage_max: Option<u64>,
    /// In bytes; nothing when there is none.
    pub limit: Option<u64>,
    /// How often the limit was met; only v1 counts it.
    pub failures: Option<u64>,
    /// `memory.stat`, by the kernel's names.
    pub details: BTreeMap<String, u64>,
}

/// What went to or came from one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockStatistics {
    pub major: u64,
    pub minor: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkStatistics {
    pub received: Traffic,
    pub sent: Traffic,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub bytes: u64,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
}
