//! A machine for one test: a network and a mount namespace of its own, directories, a cgroup, an image with one program,
//! and a check that nothing is left behind.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod image;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use agent::plan::{Identity, TaskPlan};
use agent::seams::{Exit, Launched, Node as _, Run};
use images::{ImageStore, Options};
use logs::Drivers;
use logs::fake::FakeSink;
use node::{Machine, MachineConfig};
use runtime::{Cgroups, LogPosition, LogReader};
use serde_json::{Value, json};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const IMAGE: &str = "probe:1";

pub struct World {
    pub dir: tempfile::TempDir,
    pub config: MachineConfig,
    pub machine: Arc<Machine>,
    pub sink: Arc<FakeSink>,
    guard: Guard,
}

/// Runs a test on a host of its own: what it does to interfaces, rules and `/run` goes with it.
pub fn on_own_host<F: Future<Output = ()>>(test: F) {
    // SAFETY: both flags concern the calling thread, and what it starts from here on.
    let answer = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    assert_eq!(answer, 0, "these tests need root: {}", std::io::Error::last_os_error());
    sh("mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up");
    // A way out, as every host has one: processes of the host find 169.254.170.2 by it.
    sh(
        "ip link add up0 type veth peer name up1 && ip link set up1 up && ip addr add 198.51.100.1/24 dev up0 && ip link set up0 up && ip route add default via 198.51.100.2",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
    // Whatever still goes on in the background has as long as anything.
    runtime.shutdown_timeout(PATIENCE);
}

pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-e", "-c", script]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    text(&output.stdout)
}

impl World {
    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    /// With something other than usual.
    pub async fn with(change: impl FnOnce(&mut MachineConfig)) -> World {
        let dir = tempfile::Builder::new().prefix("berth-node-").tempdir().unwrap();
        let blobs = blobs::Blobs::open(dir.path().join("blobs")).unwrap();
        let images = ImageStore::open(Options::new(dir.path().join("images"), blobs)).unwrap();
        image::write(&dir.path().join("image"), IMAGE, &probe());
        let loaded = images.load(&dir.path().join("image")).await.unwrap();
        assert_eq!(loaded.names[0].familiar(), IMAGE);
        let sink = Arc::new(FakeSink::with_group("group"));
        let to = sink.clone();
        let drivers = Drivers::new(move |_| to.clone());
        let mut config = MachineConfig::new(dir.path().join("node"), "/run/berth", images, Arc::new(drivers));
        config.shim = program("berth-shim", "BERTH_SHIM");
        config.oci_runtime = program("berth-oci", "BERTH_OCI");
        config.cgroup_parent = format!("/{}", dir.path().file_name().unwrap().to_str().unwrap());
        change(&mut config);
        let machine = Machine::open(config.clone()).await.unwrap();
        assert!(machine.recover(Vec::new(), Vec::new()).await.is_empty());
        let guard = Guard { tasks_dir: config.node_dir.join("tasks"), cgroup_parent: config.cgroup_parent.clone() };
        World { dir, config, machine, sink, guard }
    }

    /// The agent dies and comes back; its containers do not notice.
    pub async fn restart(self) -> World {
        self.gone().back().await
    }

    /// The agent dies.
    pub fn gone(self) -> Agentless {
        let World { dir, config, machine, sink, guard } = self;
        assert_eq!(Arc::strong_count(&machine), 1, "somebody still has the old machine");
        Agentless { dir, config, sink, guard }
    }
}

/// A machine whose agent is gone, and whose containers run.
pub struct Agentless {
    dir: tempfile::TempDir,
    config: MachineConfig,
    sink: Arc<FakeSink>,
    guard: Guard,
}

impl Agentless {
    /// The next agent.
    pub async fn back(self) -> World {
        let Agentless { dir, config, sink, guard } = self;
        // The lock goes with the last of its background work.
        let deadline = Instant::now() + PATIENCE;
        let machine = loop {
            match Machine::open(config.clone()).await {
                Ok(machine) => break machine,
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        World { dir, config, machine, sink, guard }
    }
}

impl World {
    pub fn container_dir(&self, launched: &Launched, task: &TaskPlan) -> PathBuf {
        self.config.node_dir.join("tasks").join(&task.id).join("containers").join(&launched.runtime_id)
    }

    /// Everything that a container said, once it has ended.
    pub async fn log(&self, task: &TaskPlan, runtime_id: &str) -> Vec<String> {
        let dir = self.config.node_dir.join("tasks").join(&task.id).join("containers").join(runtime_id);
        let mut reader = LogReader::open(dir, LogPosition::default());
        let mut lines = Vec::new();
        while let Some(line) = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap() {
            lines.push(String::from_utf8_lossy(&line.text).into_owned());
        }
        lines
    }

    /// Waits until a container has said this.
    pub async fn hear(&self, task: &TaskPlan, runtime_id: &str, words: &str) {
        let dir = self.config.node_dir.join("tasks").join(&task.id).join("containers").join(runtime_id);
        let mut reader = LogReader::open(dir, LogPosition::default());
        let heard = async {
            while let Some(line) = reader.next().await.unwrap() {
                if line.text == words.as_bytes() {
                    return;
                }
            }
            panic!("it ended without saying {words:?}");
        };
        tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("{words:?}: never"));
    }

    /// Runs the first container of a task to its end: how it ended, and what it said.
    pub async fn run_to_end(&self, task: &Arc<TaskPlan>) -> (i32, Vec<String>) {
        let launched = self.start(task, 0).await;
        let id = launched.runtime_id.clone();
        let exit = ended(launched).await;
        (exit.code, self.log(task, &id).await)
    }

    pub async fn start(&self, task: &Arc<TaskPlan>, container: usize) -> Launched {
        let run = run(task, container);
        self.machine.pull(&run).await.unwrap();
        self.machine.start(&run).await.unwrap_or_else(|failure| panic!("{}", failure.reason()))
    }

    /// Why the first container of a task does not start.
    pub async fn refusal(&self, task: &Arc<TaskPlan>) -> String {
        let run = run(task, 0);
        if let Err(failure) = self.machine.pull(&run).await {
            return failure.reason();
        }
        match self.machine.start(&run).await {
            Err(failure) => failure.reason(),
            Ok(_) => panic!("it started"),
        }
    }

    /// Ends a task as the agent does when all its containers have stopped and nobody asks about it any more.
    pub async fn finish(&self, task: &Arc<TaskPlan>) {
        self.machine.release(task).await;
        self.machine.remove(task).await;
    }

    /// Looks whether anything of this test is still on the machine.
    pub async fn leave(self) {
        let node_dir = self.config.node_dir.clone();
        until("no task's directory is left", || is_empty(&node_dir.join("tasks")).then_some(())).await;
        until("no volume of a task is left", || is_empty(&node_dir.join("volumes/tasks")).then_some(())).await;
        assert!(is_empty(&self.config.state_dir.join("network")), "network records are left");
        until("no interface is left", || (!sh("ip -o link").contains("bv")).then_some(())).await;
        self.machine.close().await.unwrap();
        assert_eq!(sh("nft list tables"), "", "rules are left");
        assert!(!sh("ip -o link").contains("berth0"), "the bridge is left");
        let name = self.dir.path().to_str().unwrap().to_owned();
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let ours = |line: &&str| line.contains(&name) || line.contains("/run/berth/");
        assert_eq!(mounts.lines().filter(ours).collect::<Vec<_>>(), Vec::<&str>::new(), "mounts are left");
        until("no process is left", || processes(&name).is_empty().then_some(())).await;
        let parent = self.config.cgroup_parent.clone();
        until("no cgroup is left", || cgroups_below(&parent).is_empty().then_some(())).await;
        let cgroups = Cgroups::detect().unwrap();
        cgroups.remove(&parent).unwrap();
        assert!(!cgroups.exists(&parent));
    }
}

/// A test that failed leaves nothing running either.
struct Guard {
    tasks_dir: PathBuf,
    cgroup_parent: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Ok(cgroups) = Cgroups::detect() else { return };
        for entry in fs::read_dir(&self.tasks_dir).into_iter().flatten().flatten() {
            let pid = fs::read_to_string(entry.path().join("shim.pid")).unwrap_or_default().trim().parse::<i32>();
            if let Ok(pid) = pid {
                // SAFETY: no memory is involved; the file names a shim of this test.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        let _ = cgroups.kill_all(&self.cgroup_parent);
        let _ = cgroups.remove(&self.cgroup_parent);
    }
}

/// A task of one container that does what the words say: see `probe.c`.
pub fn task(id: &str, words: &str) -> Arc<TaskPlan> {
    task_with(id, json!({}), vec![container("web", words)])
}

pub fn container(name: &str, words: &str) -> Value {
    let command: Vec<&str> = words.split_whitespace().collect();
    json!({ "name": name, "image": IMAGE, "essential": true, "command": command })
}

/// `value` with more members.
pub fn with(mut value: Value, more: Value) -> Value {
    let object = value.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    value
}

pub fn host_config(value: Value) -> Value {
    json!({ "dockerConfig": { "hostConfig": value.to_string() } })
}

pub fn task_with(id: &str, settings: Value, containers: Vec<Value>) -> Arc<TaskPlan> {
    let base = json!({
        "arn": format!("arn:aws:ecs:eu-north-1:123456789012:task/default/{id}"),
        "taskClusterArn": "arn:aws:ecs:eu-north-1:123456789012:cluster/default",
        "desiredStatus": "RUNNING", "family": "probe", "version": "1", "containers": containers,
    });
    let payload: agent_api::payload::Task = serde_json::from_value(with(base, settings)).unwrap();
    let mut drawn = 0;
    let identity = Identity::new(&payload, || {
        drawn += 1;
        format!("{drawn:032x}")
    });
    TaskPlan::new(payload, identity, Duration::from_secs(30)).unwrap().0
}

pub fn run(task: &Arc<TaskPlan>, container: usize) -> Run {
    Run { task: task.clone(), container, number: 0 }
}

pub async fn ended(launched: Launched) -> Exit {
    tokio::time::timeout(PATIENCE, launched.exit).await.expect("the container ends")
}

/// What a server says to who connects.
pub fn ask(ip: impl Into<Ipv4Addr>, port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((ip.into(), port)), Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// A metadata endpoint that repeats the question; its port.
pub fn metadata_endpoint() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut question = [0; 256];
            let length = stream.read(&mut question).unwrap_or(0);
            let question = String::from_utf8_lossy(&question[..length]).into_owned();
            let _ = writeln!(stream, "you asked {}", question.lines().next().unwrap_or_default());
        }
    });
    port
}

/// Looks again until there is something, and gives up when that takes too long.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return found,
            None if Instant::now() > deadline => panic!("{what}: never"),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

/// Shims and runtimes that have this name on their command line.
pub fn processes(name: &str) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(name))
        .collect()
}

pub fn cgroups_below(parent: &str) -> Vec<PathBuf> {
    let roots = ["", "cpu", "memory", "pids", "devices", "freezer", "blkio", "cpuset", "cpuacct", "unified"];
    roots
        .iter()
        .map(|root| Path::new("/sys/fs/cgroup").join(root).join(parent.trim_start_matches('/')))
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())))
        .filter(|path| path.is_dir())
        .collect()
}

/// A program of this workspace: the one that `variable` names, or the debug build, brought up to date.
pub fn program(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // target/debug/deps/<this test>
    let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join(name);
    let sources = ["programs/shim/src", "programs/oci-runtime/src", "crates/shim-api/src"];
    let newest = sources
        .iter()
        .flat_map(|dir| fs::read_dir(root.join(dir)).unwrap())
        .map(|entry| modified(&entry.unwrap().path()));
    if !built.exists() || modified(&built) < newest.max().unwrap() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo).args(["build", "--quiet", "-p", name]).current_dir(root).status().unwrap();
        assert!(status.success());
    }
    built
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// The static program in the image, compiled once.
pub fn probe() -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/world/probe.c");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-probe");
    if !built.exists() || modified(&built) < modified(&source) {
        // Tests run beside each other: each compiles aside, and the last rename wins.
        let aside = built.with_extension(std::process::id().to_string());
        let status = Command::new("cc").args(["-static", "-O1", "-w", "-o"]).arg(&aside).arg(&source).status().unwrap();
        assert!(status.success());
        fs::rename(&aside, &built).unwrap();
    }
    fs::read(built).unwrap()
}
