//! Where the trees of cgroups version 1 are.

use std::path::{Path, PathBuf};

/// Where every one of them has to be mounted.
pub const ROOT: &str = "/sys/fs/cgroup";

/// The controllers whose cgroups a container is a member of. A tree that has none of them is only shown.
const CONTROLLERS: [&str; 12] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "perf_event",
    "net_cls",
    "net_prio",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Its folder's name in [`ROOT`].
    pub name: String,
    pub controllers: Vec<String>,
}

impl Tree {
    pub fn point(&self) -> PathBuf {
        Path::new(ROOT).join(&self.name)
    }

    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|own| own == controller)
    }
}

/// From lines such as `36 25 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`. Empty where [`ROOT`] is no folder of
/// trees that is mounted by itself.
pub fn parse(mountinfo: &str) -> Vec<Tree> {
    let mut trees = Vec::<Tree>::new();
    let mut is_folder = false;
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let Some(point) = mount.split(' ').nth(4) else { continue };
        let mut words = filesystem.split(' ');
        let (kind, options) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        if point == ROOT {
            is_folder = kind == "tmpfs";
            continue;
        }
        let Some(name) = point.strip_prefix(ROOT).and_then(|below| below.strip_prefix('/')) else { continue };
        if kind != "cgroup" || name.contains('/') || trees.iter().any(|tree| tree.name == name) {
            continue;
        }
        let controllers = options.split(',').filter(|option| CONTROLLERS.contains(option)).map(str::to_owned).collect();
        trees.push(Tree { name: name.to_owned(), controllers });
    }
    if is_folder { trees } else { Vec::new() }
}

/// Where in a tree a process is, of whose `/proc/PID/cgroup` this is the text; without a slash before it.
pub fn place<'a>(tree: &Tree, cgroups: &'a str) -> &'a str {
    let mut lines = cgroups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let own = lines.find(|(controllers, _)| controllers.split(',').any(|controller| tree.has(controller)));
    own.and_then(|(_, path)| path.strip_prefix('/')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_its_controller() {
        let tree = Tree { name: "cpu,cpuacct".to_owned(), controllers: vec!["cpu".to_owned(), "cpuacct".to_owned()] };
        let text = "9:name=systemd:/user.slice\n4:memory:/a\n2:cpu,cpuacct:/b:c/d\n0::/\n";
        assert_eq!(place(&tree, text), "b:c/d");
        assert_eq!(place(&tree, "2:cpu:/\n"), "");
        assert_eq!(place(&tree, "0::/x\n"), "");
    }

    #[test]
    fn trees_are_found_in_their_folder() {
        let folder = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n";
        let text = "32 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                    35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                    40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
                    42 27 0:32 / /elsewhere/memory rw,relatime - cgroup cgroup rw,memory\n";
        let tree = |name: &str, controllers: &[&str]| Tree {
            name: name.to_owned(),
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
        };
        let expected =
            vec![tree("cpu,cpuacct", &["cpu", "cpuacct"]), tree("memory", &["memory"]), tree("systemd", &[])];
        assert_eq!(parse(&format!("{folder}{text}")), expected);
        assert_eq!(parse(text), []);
        assert_eq!(parse("31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"), []);
    }
}
