//! What is left of an OCI runtime whose shim was killed.
//!
//! The runtime dies with its shim, but a process that it had forked a moment before does not: it goes on, and makes a cgroup
//! that was removed already. Such a process still has the runtime's own command line, with the bundle in it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const GONE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Kills every process that was started for this bundle, or with another path in its command line, and has not become the
/// container's program; waits for its end.
pub fn end(bundle: &Path) -> io::Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let left = of(bundle)?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("its OCI runtime does not end"));
        }
        for pid in left {
            // SAFETY: plain integers. A process that has ended since is none of ours to worry about.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// A process that has ended and waits for its parent has no command line.
fn of(bundle: &Path) -> io::Result<Vec<libc::pid_t>> {
    let bundle = bundle.as_os_str().as_encoded_bytes();
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_for = |pid: &libc::pid_t| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == bundle)
    };
    Ok(names.filter(is_for).collect())
}
