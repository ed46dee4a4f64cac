//! Every number that bounds something here.

use std::time::Duration;

/// How long an image that was pulled in advance stays for its tasks. A rolling deployment of many steps takes as long.
pub const PREPULLED_KEPT: Duration = Duration::from_secs(3600);
/// So many of them at most; the oldest go first.
pub const PREPULLED_MAX: usize = 32;
/// A disk that is this full, in percent, is nearly full: images are removed and what stopped tasks have written, and nothing is brought
/// that nobody waits for. Source: the kubelet's mark for its images.
pub const DISK_FULL_PERCENT: u64 = 85;

/// How long a task that has stopped waits for its logs to be delivered. Afterwards they are delivered all the same, as long
/// as the task's directory is there.
pub const LOGS_DELIVERED_WITHIN: Duration = Duration::from_secs(3);

/// How long the end of a killed container may take before what it holds is given back in spite of it.
pub const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A health check without a timeout. Source: Docker.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

/// The head of what a probe is answered; hyper takes no bound below half of this.
pub const PROBE_HEAD_BYTES_MAX: usize = 16 << 10;
pub const PROBE_HEADERS_MAX: usize = 64;

/// Of the body so much is read and thrown away, as by Kubernetes; of a gRPC answer no more is taken.
pub const PROBE_BODY_BYTES: usize = 10 << 10;

/// What is told of a probe that failed, beside what it asked.
pub const PROBE_SAYS_CHARS: usize = 160;

/// How long logs of tasks that nobody remembers are tried to be delivered before their directories go.
pub const ORPHANED_LOGS_WITHIN: Duration = Duration::from_secs(60);

/// What one answer of the node's socket tells of a container's log. A ring of 64 MiB takes some more.
pub const SAID_BYTES_MAX: usize = 4 << 20;
pub const SAID_LINES_MAX: usize = 50_000;

/// The agent of AWS sets no limit; a container's whole environment cannot be larger than this.
pub const ENVIRONMENT_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The same for the configuration of a log router.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// A machine with sixteen cards has a file of some 100 KiB.
pub const CDI_FILE_BYTES_MAX: u64 = 1024 * 1024;
pub const CDI_FILES_MAX: usize = 100;
/// Levels of lists and maps; the format has five.
pub const CDI_DEPTH_MAX: u32 = 16;
