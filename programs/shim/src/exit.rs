//! What remains of a container: was it the memory limit, and the record on disk.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use shim_api::ExitRecord;

/// Puts the record where a restarted agent finds it, and returns once it would survive a loss of power.
pub fn write(dir: &Path, record: &ExitRecord) -> io::Result<()> {
    let aside = dir.join("exit.json.new");
    let mut file = File::create(&aside)?;
    file.write_all(record.to_json().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, dir.join(shim_api::EXIT_NAME))?;
    File::open(dir)?.sync_all()
}

/// Has the kernel killed a process of this cgroup for its memory? The file is `memory.oom_control` or `memory.events`;
/// both have a line `oom_kill N`. The cgroup must not have been removed yet.
pub fn oom_killed(file: Option<&str>) -> bool {
    let text = file.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
}
