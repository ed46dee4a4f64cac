//! What nodes keep on the real machine, whose it is, and so what is there that nobody owns.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Something of a node on the machine.
struct Thing {
    what: String,
    of: Owner,
}

enum Owner {
    /// All tasks of the node together.
    Node,
    Task(String),
    /// By the runtime's id.
    Container(String),
}

/// One node, by its data directory, and the command that enters its network namespace.
pub struct Node<'a> {
    pub data_dir: &'a Path,
    pub namespace: &'a str,
}

impl Node<'_> {
    /// Everything that is left of a node that has left, but for what it keeps for its next start.
    pub fn leaks(&self) -> Vec<String> {
        self.things().into_iter().map(|thing| thing.what).chain(self.stray_files()).collect()
    }

    /// Everything that belongs to no task that lives. The node itself may run.
    pub fn unowned(&self, live: &BTreeSet<String>) -> Vec<String> {
        let containers: BTreeSet<String> = live.iter().flat_map(|task| self.containers(task)).collect();
        let is_stray = |thing: &Thing| match &thing.of {
            Owner::Node => false,
            Owner::Task(task) => !live.contains(task),
            Owner::Container(container) => !containers.contains(container),
        };
        self.things().into_iter().filter(is_stray).map(|thing| thing.what).chain(self.stray_files()).collect()
    }

    /// The tasks that have processes in their cgroups.
    pub fn running(&self) -> BTreeSet<String> {
        let populated = |task: &PathBuf| with_below(task).iter().any(|cgroup| !processes_in(cgroup).is_empty());
        self.task_cgroups().into_iter().filter(populated).map(|path| task_of(&path)).collect()
    }

    pub fn executions(&self) -> Vec<String> {
        let lines = self.all_processes().into_iter().map(|(_, line)| line);
        lines.filter(|line| line.contains(" exec --pid-file ")).collect()
    }

    fn things(&self) -> Vec<Thing> {
        let sources =
            [self.processes(), self.mounts(), self.cgroups(), self.run_files(), self.links(), self.port_rules()];
        sources.into_iter().flatten().collect()
    }

    fn processes(&self) -> Vec<Thing> {
        let tasks = [self.path().join("node/tasks"), self.run_dir().join("state/tasks")];
        let tasks = tasks.map(|dir| format!("{}/", dir.display()));
        let of = |line: &str| {
            let task = tasks.iter().find_map(|tasks| line.split_once(tasks)?.1.split(['/', ' ']).next());
            task.map_or(Owner::Node, |task| Owner::Task(task.to_owned()))
        };
        let found = self.all_processes();
        found.into_iter().map(|(id, line)| Thing { of: of(&line), what: format!("process {id}: {line}") }).collect()
    }

    /// Those that name one of the node's directories.
    fn all_processes(&self) -> Vec<(u32, String)> {
        let mut found = processes(&self.path().display().to_string());
        let more = processes(&format!("{}/", self.run_dir().display()));
        found.extend(more.into_iter().filter(|(id, _)| found.iter().all(|(known, _)| known != id)).collect::<Vec<_>>());
        found
    }

    fn mounts(&self) -> Vec<Thing> {
        let (netns, run_dir) = (self.run_dir().join("netns"), self.run_dir());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let ours = mounts.lines().filter_map(|line| {
            let at = Path::new(line.split(' ').nth(4)?);
            let of = match (at.strip_prefix(&netns).ok().map(name), at.strip_prefix(self.path())) {
                (Some(container), _) if !container.is_empty() => Owner::Container(container),
                (None, Ok(path)) => Owner::Task(path.iter().nth(2).map(|name| name.to_string_lossy().into_owned())?),
                _ if at.starts_with(&run_dir) => Owner::Node,
                _ => return None,
            };
            Some(Thing { what: format!("mount: {line}"), of })
        });
        ours.collect()
    }

    fn cgroups(&self) -> Vec<Thing> {
        let mut found = Vec::new();
        for task in self.task_cgroups() {
            for cgroup in with_below(&task) {
                let what = format!("cgroup: {} with processes {:?}", cgroup.display(), processes_in(&cgroup));
                found.push(Thing { what, of: Owner::Task(task_of(&task)) });
            }
        }
        found
    }

    /// Namespaces, and what of a task is kept in memory.
    fn run_files(&self) -> Vec<Thing> {
        let namespaces = entries(&self.run_dir().join("netns")).into_iter().filter(|path| !name(path).starts_with('.'));
        let namespaces = namespaces
            .map(|path| Thing { what: format!("namespace: {}", path.display()), of: Owner::Container(name(&path)) });
        let states = entries(&self.run_dir().join("state/tasks"))
            .into_iter()
            .map(|path| Thing { what: format!("state: {}", path.display()), of: Owner::Task(name(&path)) });
        namespaces.chain(states).collect()
    }

    /// Interfaces in the namespace that the node is in, each with its addresses.
    fn links(&self) -> Vec<Thing> {
        let Some(links) = self.ask("ip", &["-json", "address"]) else { return Vec::new() };
        let records = self.network_records();
        let of = |name: &str| {
            if name == self.bridge() {
                return Some(Owner::Node);
            }
            // Whose it is stands in a record; one without a record is nobody's.
            name.starts_with("bv").then(|| {
                let owner = records.iter().find(|(_, record)| record["link"]["veth"] == *name);
                Owner::Container(owner.map_or("nobody", |(container, _)| container).to_owned())
            })
        };
        // Another node may be on the same host, with links on a bridge of its own.
        let is_ours = |link: &Value| link["master"].as_str().is_none_or(|bridge| bridge == self.bridge());
        let thing = |link: &Value| {
            let of = of(link["ifname"].as_str()?).filter(|_| is_ours(link))?;
            Some(Thing { what: format!("link: {} {}", link["ifname"], link["addr_info"]), of })
        };
        links.as_array().into_iter().flatten().filter_map(thing).collect()
    }

    /// The node's table, and each published port in it.
    fn port_rules(&self) -> Vec<Thing> {
        let table = self.table();
        let Some(listed) = self.ask("nft", &["-j", "list", "table", "ip", &table]) else { return Vec::new() };
        let mut found = vec![Thing { what: format!("table: {table}"), of: Owner::Node }];
        let records = self.network_records();
        for map in listed["nftables"].as_array().into_iter().flatten().map(|item| &item["map"]) {
            for element in map["elem"].as_array().into_iter().flatten() {
                let text = element.to_string();
                let owner = records.iter().find(|(_, record)| {
                    record["link"]["ip"].as_str().is_some_and(|ip| text.contains(&format!("\"{ip}\"")))
                });
                let of = Owner::Container(owner.map_or("nobody", |(container, _)| container).to_owned());
                found.push(Thing { what: format!("rule: {text} in {table}"), of });
            }
        }
        found
    }

    /// Files of tasks that the agent does not know, and halves of files.
    fn stray_files(&self) -> Vec<String> {
        let node = self.path().join("node");
        let records = node.join("state/tasks");
        let known = |task: &str| records.join(format!("{task}.json")).exists();
        let unknown = [node.join("tasks"), node.join("volumes/tasks")].into_iter().flat_map(|dir| entries(&dir));
        let mut found: Vec<String> =
            unknown.filter(|path| !known(&name(path))).map(|path| format!("directory: {}", path.display())).collect();
        // A task's state lies beside its record.
        let complete = |path: &PathBuf| match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("state") => path.with_extension("json").exists(),
            _ => false,
        };
        let halves = [records, self.network_dir()].into_iter().flat_map(|dir| entries(&dir));
        found.extend(halves.filter(|path| !complete(path)).map(|path| format!("file: {}", path.display())));
        found
    }

    fn network_records(&self) -> Vec<(String, Value)> {
        let read = |path: PathBuf| {
            let record = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            Some((path.file_stem()?.to_str()?.to_owned(), record))
        };
        entries(&self.network_dir()).into_iter().filter_map(read).collect()
    }

    fn containers(&self, task: &str) -> Vec<String> {
        let runs = entries(&self.path().join("node/tasks").join(task).join("containers"));
        // A container that its restart policy started again keeps its network.
        runs.iter().map(|run| name(run).split('.').next().unwrap_or_default().to_owned()).collect()
    }

    /// A container that is alone in its task has its cgroup there instead of in its task's.
    fn task_cgroups(&self) -> Vec<PathBuf> {
        let parent = format!("ecs-{}", self.mark());
        cgroup_roots().iter().flat_map(|root| below(&root.join(&parent))).collect()
    }

    fn run_dir(&self) -> PathBuf {
        PathBuf::from(format!("/run/berth-{}", self.mark()))
    }

    /// A record of each container's network.
    fn network_dir(&self) -> PathBuf {
        self.run_dir().join("state/network")
    }

    fn bridge(&self) -> String {
        format!("berth-{}", self.mark())
    }

    fn table(&self) -> String {
        format!("berth_{}", self.mark())
    }

    fn path(&self) -> PathBuf {
        self.data_dir.canonicalize().unwrap_or_else(|_| self.data_dir.to_owned())
    }

    /// As `berth` marks what belongs to a data directory.
    fn mark(&self) -> String {
        let path = self.path();
        let bytes = path.as_os_str().as_encoded_bytes();
        let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        format!("{hash:08x}")
    }

    /// Asks a program in the node's network namespace; none when there is no such thing there.
    fn ask(&self, program: &str, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace)).arg("--").arg(program).args(arguments);
        let output = command.stderr(Stdio::null()).output().expect("nsenter runs");
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Ends every process that belongs to the node, and removes what a dead agent left.
    pub fn end(&self) {
        for _ in 0..100 {
            let left = self.all_processes();
            if left.is_empty() {
                break;
            }
            for (id, _) in left {
                kill(&id.to_string());
            }
            for cgroup in self.task_cgroups().iter().flat_map(|task| with_below(task)) {
                processes_in(&cgroup).iter().for_each(|id| kill(id));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        // What a node leaves in place for the next one, which will not come.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let run_dir = self.run_dir();
        let below_run_dir = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .filter(|path| Path::new(path).starts_with(&run_dir));
        for path in below_run_dir.collect::<Vec<_>>().into_iter().rev() {
            let _ = Command::new("umount").args(["--lazy", path]).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(run_dir);
        for task in self.task_cgroups() {
            for cgroup in below(&task) {
                let _ = fs::remove_dir(cgroup);
            }
            let _ = fs::remove_dir(task);
        }
        for root in cgroup_roots() {
            let _ = fs::remove_dir(root.join(format!("ecs-{}", self.mark())));
        }
    }
}

fn kill(id: &str) {
    let _ = Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status();
}

/// The processes on this machine that have this in their command line, but for this one.
pub fn processes(mark: &str) -> Vec<(u32, String)> {
    let own = std::process::id();
    entries(Path::new("/proc"))
        .iter()
        .filter_map(|path| name(path).parse::<u32>().ok())
        .filter(|id| *id != own)
        .filter_map(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(mark).then_some((id, line))
        })
        .collect()
}

fn with_below(cgroup: &Path) -> Vec<PathBuf> {
    [vec![cgroup.to_owned()], below(cgroup)].concat()
}

/// Of a cgroup that is named after its task, or after its task and its container.
fn task_of(cgroup: &Path) -> String {
    name(cgroup).split('.').next().unwrap_or_default().to_owned()
}

fn processes_in(cgroup: &Path) -> Vec<String> {
    let ids = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    ids.lines().map(str::to_owned).collect()
}

/// The trees of cgroups: one for each controller, or one for all.
fn cgroup_roots() -> Vec<PathBuf> {
    let hierarchies = below(Path::new("/sys/fs/cgroup")).into_iter();
    hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).collect()
}

fn below(dir: &Path) -> Vec<PathBuf> {
    entries(dir).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name(path: impl AsRef<Path>) -> String {
    path.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned()
}
