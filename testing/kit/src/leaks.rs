//! What is still on the real machine of a host that a test had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Processes, mounts, cgroups and namespaces that belong to the data directory.
pub fn of(data_dir: &Path) -> Vec<String> {
    let mark = data_dir.display().to_string();
    let mut found: Vec<String> =
        processes(&mark).into_iter().map(|(id, line)| format!("process {id}: {line}")).collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.extend(mounts.lines().filter(|line| line.contains(&mark)).map(|line| format!("mount: {line}")));
    found.extend(cgroups(data_dir).into_iter().map(|path| format!("cgroup: {}", path.display())));
    let namespaces = fs::read_dir(run_dir(data_dir).join("netns")).into_iter().flatten().flatten();
    found.extend(
        namespaces
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .map(|entry| format!("namespace: {}", entry.path().display())),
    );
    found
}

/// Ends every process that belongs to the data directory, and removes what a dead agent left.
pub fn end(data_dir: &Path) {
    for _ in 0..100 {
        let left = processes(&data_dir.display().to_string());
        if left.is_empty() {
            break;
        }
        for (id, _) in left {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status();
        }
        for cgroup in cgroups(data_dir) {
            for id in fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status();
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // What a node leaves in place for the next one, which will not come.
    let run_dir = run_dir(data_dir);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let below =
        mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|path| Path::new(path).starts_with(&run_dir));
    for path in below.collect::<Vec<_>>().into_iter().rev() {
        let _ = Command::new("umount").args(["--lazy", path]).stderr(Stdio::null()).status();
    }
    let _ = fs::remove_dir_all(run_dir);
    for cgroup in cgroups(data_dir).into_iter().rev() {
        let _ = fs::remove_dir(cgroup);
    }
    for root in roots() {
        let _ = fs::remove_dir(root.join(cgroup_name(data_dir)));
    }
}

fn processes(mark: &str) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = std::process::id();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|id| *id != own)
        .filter_map(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(mark).then_some((id, line))
        })
        .collect()
}

/// The cgroup that all tasks of a node are in.
fn cgroup_name(data_dir: &Path) -> String {
    format!("ecs-{}", mark_of(data_dir))
}

/// The trees of cgroups: one for each controller, or one for all.
fn roots() -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).filter(|root| root.is_dir()).collect()
}

fn cgroups(data_dir: &Path) -> Vec<PathBuf> {
    let name = cgroup_name(data_dir);
    let mut found = Vec::new();
    for root in roots() {
        for task in fs::read_dir(root.join(&name)).into_iter().flatten().flatten() {
            if task.path().is_dir() {
                found.push(task.path());
                found.extend(
                    fs::read_dir(task.path())
                        .into_iter()
                        .flatten()
                        .flatten()
                        .map(|entry| entry.path())
                        .filter(|path| path.is_dir()),
                );
            }
        }
    }
    found
}

fn run_dir(data_dir: &Path) -> PathBuf {
    PathBuf::from(format!("/run/berth-{}", mark_of(data_dir)))
}

/// As `berth` marks what belongs to a data directory.
fn mark_of(data_dir: &Path) -> String {
    let path = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}
