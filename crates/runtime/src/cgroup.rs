//! The cgroups of tasks and containers: where they are, who is in them, and how to be rid of them.
//!
//! Containers' cgroups are made by the OCI runtime. This module makes the one of the task around them, if the task has limits of
//! its own, and removes all. A cgroup that nobody needs is not made: on version 1 the kernel takes 0.3 MiB for each.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::prepare::task_cgroup_path;
use crate::{ContainerId, Limits, TaskId};

/// How long killed processes may take to leave. A process in uninterruptible sleep can take longer, and then we say so.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

const V2_ROOT: &str = "/sys/fs/cgroup";

/// Where the processes of a container go whose root we need. Others who run containers in containers call it so too.
const ASIDE: &str = "init";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroups {
    /// A tree for each controller, or for some together. The v2 tree of a hybrid machine has no controllers; some OCI
    /// runtimes make a cgroup there as well.
    V1 {
        trees: Vec<Tree>,
    },
    V2 {
        root: PathBuf,
    },
}

/// What a container has used so far, and uses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub cpu: Duration,
    pub memory_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    controllers: Vec<String>,
    root: PathBuf,
}

impl Cgroups {
    pub fn detect() -> io::Result<Cgroups> {
        if Path::new(V2_ROOT).join("cgroup.controllers").exists() {
            return Ok(Cgroups::V2 { root: V2_ROOT.into() });
        }
        Ok(Cgroups::V1 { trees: parse_mountinfo(&fs::read_to_string("/proc/self/mountinfo")?) })
    }

    /// Where a container's processes are counted and limited, below the root of each tree of cgroups: in its task's cgroup,
    /// or beside those of tasks when its task has none.
    pub fn container_path(&self, parent: &str, task: &TaskId, container: &ContainerId) -> String {
        let around = task_cgroup_path(parent, task);
        match self.exists(&around) {
            true => format!("{around}/{container}"),
            false => format!("{around}.{container}"),
        }
    }

    /// The cgroups of a task's containers that are beside the task's own. A look through those of all tasks.
    pub fn beside(&self, task_path: &str) -> Vec<String> {
        let (parent, task) = task_path.rsplit_once('/').unwrap_or(("", task_path));
        let is_of_task = |name: &String| name.strip_prefix(task).is_some_and(|rest| rest.starts_with('.'));
        let entries = self.dirs(parent).into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(is_of_task);
        let paths: BTreeSet<String> = names.map(|name| format!("{parent}/{name}")).collect();
        paths.into_iter().collect()
    }

    /// The file that counts the processes which the kernel killed for their memory.
    pub fn oom_file(&self, path: &str) -> Option<PathBuf> {
        match self {
            Cgroups::V1 { .. } => Some(self.controller("memory", path)?.join("memory.oom_control")),
            Cgroups::V2 { root } => Some(join(root, path).join("memory.events")),
        }
    }

    /// What the processes in a cgroup use. `None` when there is no such cgroup.
    pub fn usage(&self, path: &str) -> Option<Usage> {
        let read = |file: PathBuf| fs::read_to_string(file).ok();
        let number = |file: PathBuf| read(file)?.trim().parse::<u64>().ok();
        let (cpu, used, stat, inactive) = match self {
            Cgroups::V1 { .. } => {
                let memory = self.controller("memory", path)?;
                let cpu = number(self.controller("cpuacct", path)?.join("cpuacct.usage"))?;
                let used = number(memory.join("memory.usage_in_bytes"))?;
                (Duration::from_nanos(cpu), used, read(memory.join("memory.stat"))?, "total_inactive_file")
            }
            Cgroups::V2 { root } => {
                let dir = join(root, path);
                let cpu = field(&read(dir.join("cpu.stat"))?, "usage_usec")?;
                let used = number(dir.join("memory.current"))?;
                (Duration::from_micros(cpu), used, read(dir.join("memory.stat"))?, "inactive_file")
            }
        };
        // Docker shows it so: files that nobody looked at lately are the kernel's to drop.
        let memory_bytes = used.saturating_sub(field(&stat, inactive).unwrap_or(0));
        Some(Usage { cpu, memory_bytes })
    }

    /// Makes the cgroup that those of tasks will be in, with every controller they need, and so shows that it can be
    /// done. It may be there already.
    pub fn ensure_parent(&self, path: &str) -> io::Result<()> {
        for controller in ["memory", "cpu", "pids"] {
            match self {
                Cgroups::V1 { .. } => {
                    fs::create_dir_all(self.controller(controller, path).ok_or_else(|| missing(controller))?)?;
                }
                Cgroups::V2 { root } => enable(root, path, controller)?,
            }
        }
        Ok(())
    }

    /// Makes the cgroup around a task's containers and limits it. Without limits there is nothing to make.
    pub fn ensure_task(&self, path: &str, limits: &Limits) -> io::Result<()> {
        for (controller, settings) in self.task_settings(limits) {
            if settings.is_empty() {
                continue;
            }
            let dir = match self {
                Cgroups::V1 { .. } => self.controller(controller, path).ok_or_else(|| missing(controller))?,
                Cgroups::V2 { root } => {
                    enable(root, path, controller)?;
                    join(root, path)
                }
            };
            fs::create_dir_all(&dir)?;
            for (file, value) in settings {
                fs::write(dir.join(file), value)?;
            }
        }
        Ok(())
    }

    /// For each controller, files and what to write into them.
    fn task_settings(&self, limits: &Limits) -> [(&'static str, Vec<(&'static str, String)>); 3] {
        let period = limits.cpu_period_us.unwrap_or(100_000);
        let mut memory = Vec::new();
        let mut cpu = Vec::new();
        match self {
            Cgroups::V1 { .. } => {
                memory.extend(limits.memory_bytes.map(|bytes| ("memory.limit_in_bytes", bytes.to_string())));
                cpu.extend(limits.cpu_shares.map(|shares| ("cpu.shares", shares.to_string())));
                if let Some(quota) = limits.cpu_quota_us {
                    cpu.push(("cpu.cfs_period_us", period.to_string()));
                    cpu.push(("cpu.cfs_quota_us", quota.to_string()));
                }
            }
            Cgroups::V2 { .. } => {
                memory.extend(limits.memory_bytes.map(|bytes| ("memory.max", bytes.to_string())));
                cpu.extend(limits.cpu_shares.map(|shares| ("cpu.weight", weight(shares).to_string())));
                cpu.extend(limits.cpu_quota_us.map(|quota| ("cpu.max", format!("{quota} {period}"))));
            }
        }
        let pids = limits.pids.map(|count| ("pids.max", count.to_string())).into_iter().collect();
        [("memory", memory), ("cpu", cpu), ("pids", pids)]
    }

    /// Kills everything in the cgroup and below it, and returns once nothing is left. A missing cgroup is empty.
    pub fn kill_all(&self, path: &str) -> io::Result<()> {
        let deadline = Instant::now() + EMPTY_WITHIN;
        loop {
            let mut pids = BTreeSet::new();
            for dir in self.dirs(path) {
                collect_pids(&dir, &mut pids)?;
            }
            if pids.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("processes {pids:?} do not end")));
            }
            for pid in pids {
                // SAFETY: no memory is involved. The process may have ended since; its id is not reused within
                // microseconds, as the kernel hands them out in turn.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            std::thread::sleep(LOOK_AGAIN_AFTER);
        }
    }

    /// Removes the cgroup if nothing is in it or below it; else it stays.
    pub fn remove_if_empty(&self, path: &str) {
        for dir in self.dirs(path) {
            // The kernel says whether it is empty.
            let _ = fs::remove_dir(dir);
        }
    }

    /// Removes the cgroup and those below it. A missing one is removed already.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let deadline = Instant::now() + EMPTY_WITHIN;
        for dir in self.dirs(path) {
            // A process that has ended keeps its cgroup busy until the kernel has let go of it.
            while let Err(err) = remove_tree(&dir) {
                if err.raw_os_error() != Some(libc::EBUSY) || Instant::now() > deadline {
                    return Err(err);
                }
                std::thread::sleep(LOOK_AGAIN_AFTER);
            }
        }
        Ok(())
    }

    /// Is there a cgroup of this name anywhere?
    pub fn exists(&self, path: &str) -> bool {
        self.dirs(path).iter().any(|dir| dir.exists())
    }

    fn dirs(&self, path: &str) -> Vec<PathBuf> {
        match self {
            Cgroups::V1 { trees } => trees.iter().map(|tree| join(&tree.root, path)).collect(),
            Cgroups::V2 { root } => vec![join(root, path)],
        }
    }

    /// Where the files of a controller lie for a cgroup. `None` when the machine has no such controller.
    pub fn dir(&self, controller: &str, path: &str) -> Option<PathBuf> {
        match self {
            Cgroups::V1 { .. } => self.controller(controller, path),
            Cgroups::V2 { root } => Some(join(root, path)),
        }
    }

    fn controller(&self, name: &str, path: &str) -> Option<PathBuf> {
        let Cgroups::V1 { trees } = self else { return None };
        let tree = trees.iter().find(|tree| tree.controllers.iter().any(|controller| controller == name))?;
        Some(join(&tree.root, path))
    }
}

fn missing(controller: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("this machine has no {controller} controller"))
}

/// The number in a line such as `usage_usec 12`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn join(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// From v1's 2..262144 to v2's 1..10000, as the OCI runtimes have it since a container's usual 1024 became the usual 100.
fn weight(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10_f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

/// On v2 a controller works in a cgroup only if every one above it passes it on.
fn enable(root: &Path, path: &str, controller: &str) -> io::Result<()> {
    let given = fs::read_to_string(root.join("cgroup.controllers"))?;
    if !given.split_whitespace().any(|name| name == controller) {
        return Err(missing(controller));
    }
    let mut dir = root.to_owned();
    let names = path.split('/').filter(|name| !name.is_empty()).collect::<Vec<_>>();
    for name in names {
        let pass_on = || fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        match pass_on() {
            Err(err) if is_busy(&err) && dir == root => vacate(root, pass_on)?,
            passed => passed?,
        }
        dir.push(name);
        fs::create_dir_all(&dir)?;
    }
    Ok(())
}

fn is_busy(err: &io::Error) -> bool {
    err.raw_os_error() == Some(libc::EBUSY)
}

/// Moves the processes of the tree's root one level down: within a container the root is a cgroup as any other, which passes
/// controllers on only when no process is in it.
fn vacate(root: &Path, pass_on: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let aside = root.join(ASIDE);
    fs::create_dir_all(&aside)?;
    tracing::info!("moving this container's processes to the cgroup {}, to make room beside them", aside.display());
    let deadline = Instant::now() + EMPTY_WITHIN;
    loop {
        for pid in fs::read_to_string(root.join("cgroup.procs"))?.lines() {
            match fs::write(aside.join("cgroup.procs"), pid) {
                // It has ended since.
                Err(err) if err.raw_os_error() == Some(libc::ESRCH) => {}
                moved => moved?,
            }
        }
        match pass_on() {
            // Another process may have been started meanwhile, and a thread that is ending is not moved with its process.
            Err(err) if is_busy(&err) && Instant::now() < deadline => std::thread::sleep(LOOK_AGAIN_AFTER),
            passed => return passed,
        }
    }
}

fn collect_pids(dir: &Path, pids: &mut BTreeSet<i32>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err),
    };
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // Zero stands for a process of another pid namespace, which cannot be ours.
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_pids(&entry.path(), pids)?;
        }
    }
    Ok(())
}

/// Children first. The files in a cgroup are the kernel's; only the directories are removed.
fn remove_tree(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err),
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// The v1 trees, from lines such as `36 25 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`.
fn parse_mountinfo(text: &str) -> Vec<Tree> {
    let mut trees = Vec::<Tree>::new();
    for line in text.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let filesystem = filesystem.split_whitespace().collect::<Vec<_>>();
        let Some(root) = mount.split_whitespace().nth(4) else { continue };
        let controllers = match filesystem.as_slice() {
            ["cgroup", _, options, ..] => options.split(',').map(str::to_owned).collect(),
            ["cgroup2", ..] => Vec::new(),
            _ => continue,
        };
        let tree = Tree { controllers, root: root.into() };
        if trees.iter().all(|known| known.root != tree.root) {
            trees.push(tree);
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_found_in_mountinfo() {
        let text = "25 1 0:22 / /proc rw - proc proc rw\n\
                    36 25 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:1 - cgroup cgroup rw,memory\n\
                    37 25 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                    38 25 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let cgroups = Cgroups::V1 { trees: parse_mountinfo(text) };
        assert_eq!(
            cgroups.oom_file("/ecs/t/web").unwrap(),
            Path::new("/sys/fs/cgroup/memory/ecs/t/web/memory.oom_control")
        );
        assert_eq!(cgroups.controller("cpuacct", "/x").unwrap(), Path::new("/sys/fs/cgroup/cpu,cpuacct/x"));
        assert_eq!(cgroups.dirs("/x").len(), 3);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "inactive_file_x 1\ntotal_inactive_file 3\ninactive_file 2\n";
        assert_eq!((field(text, "inactive_file"), field(text, "total_inactive_file")), (Some(2), Some(3)));
        assert_eq!(field(text, "active_file"), None);
    }

    #[test]
    fn shares_become_weights() {
        assert_eq!((weight(0), weight(2), weight(1024), weight(262_144)), (1, 1, 100, 10_000));
    }
}
