//! What this machine, and this process on it, can give to containers.

use std::collections::BTreeMap;
use std::path::Path;

use crate::capabilities;

/// Probed once, at the start.
#[derive(Debug, Clone)]
pub struct Host {
    /// The mask of capabilities this process may give away.
    pub capabilities: u64,
    /// This process's own hard limits, where it may not exceed them: by the names of `setrlimit(2)`, lower case.
    pub ulimit_ceilings: BTreeMap<String, u64>,
    /// Its out-of-memory score, which every container gets.
    pub oom_score_adj: i32,
    /// One tree of cgroups, and not one for each controller.
    pub cgroup_v2: bool,
    /// Where each controller's tree is, on a machine that has them apart.
    pub cgroup_trees: Vec<String>,
}

impl Host {
    pub fn probe() -> Host {
        let read = |path: &str| std::fs::read_to_string(Path::new("/proc/self").join(path)).unwrap_or_default();
        let capabilities = parse_mask(&read("status"));
        let may_exceed = capabilities::number("CAP_SYS_RESOURCE").is_some_and(|bit| capabilities >> bit & 1 == 1);
        let ulimit_ceilings = if may_exceed { BTreeMap::new() } else { parse_ceilings(&read("limits")) };
        if !may_exceed {
            tracing::warn!("CAP_SYS_RESOURCE is missing: containers cannot get higher limits than this process has");
        }
        let cgroup_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        Host {
            cgroup_trees: if cgroup_v2 { Vec::new() } else { trees() },
            capabilities,
            ulimit_ceilings,
            oom_score_adj: read("oom_score_adj").trim().parse().unwrap_or(0),
            cgroup_v2,
        }
    }

    /// A hard or soft limit that this process is able to set.
    pub fn attainable(&self, ulimit: &str, value: u64) -> u64 {
        self.ulimit_ceilings.get(ulimit).map_or(value, |ceiling| value.min(*ceiling))
    }
}

/// Links to a tree that several controllers share are left out.
fn trees() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<String> = folders.filter_map(|entry| entry.path().to_str().map(str::to_owned)).collect();
    found.sort();
    found
}

/// `CapPrm` of `/proc/self/status`, bounded by `CapBnd`.
fn parse_mask(status: &str) -> u64 {
    let mask = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
        u64::from_str_radix(line.trim(), 16).unwrap_or(0)
    };
    mask("CapPrm:") & mask("CapBnd:")
}

/// The hard limits in `/proc/self/limits`, whose columns begin at fixed places.
fn parse_ceilings(limits: &str) -> BTreeMap<String, u64> {
    const NAMES: [(&str, &str); 16] = [
        ("Max cpu time", "cpu"),
        ("Max file size", "fsize"),
        ("Max data size", "data"),
        ("Max stack size", "stack"),
        ("Max core file size", "core"),
        ("Max resident set", "rss"),
        ("Max processes", "nproc"),
        ("Max open files", "nofile"),
        ("Max locked memory", "memlock"),
        ("Max address space", "as"),
        ("Max file locks", "locks"),
        ("Max pending signals", "sigpending"),
        ("Max msgqueue size", "msgqueue"),
        ("Max nice priority", "nice"),
        ("Max realtime priority", "rtprio"),
        ("Max realtime timeout", "rttime"),
    ];
    let hard = |line: &str, label: &str| line.strip_prefix(label)?.split_whitespace().nth(1)?.parse().ok();
    NAMES
        .iter()
        .filter_map(|(label, name)| {
            let value = limits.lines().find_map(|line| hard(line, label))?;
            Some(((*name).to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_by_column() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            unlimited            seconds   \n\
                    Max open files            1024                 20000                files     \n";
        let ceilings = parse_ceilings(text);
        assert_eq!(ceilings.get("nofile"), Some(&20000));
        assert_eq!(ceilings.get("cpu"), None);
        let host = Host {
            capabilities: 0,
            ulimit_ceilings: ceilings,
            oom_score_adj: 0,
            cgroup_v2: false,
            cgroup_trees: Vec::new(),
        };
        assert_eq!((host.attainable("nofile", 65535), host.attainable("nofile", 10)), (20000, 10));
        assert_eq!(host.attainable("cpu", 9), 9);
    }

    #[test]
    fn masks_are_hexadecimal() {
        assert_eq!(parse_mask("Name:\tx\nCapPrm:\t00000000000000ff\nCapBnd:\t000000000000000f\n"), 0xf);
    }
}
