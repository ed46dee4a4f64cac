//! A machine for one test: a directory, a cgroup, an image with one program, and a check that nothing is left behind.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use runtime::{
    Cgroups, ContainerId, ContainerRuntime as _, ContainerSpec, ContainerState, Exit, Limits, LogPosition, LogReader,
    Runtime, RuntimeConfig, Task, TaskId, exam,
};

pub struct World {
    pub dir: tempfile::TempDir,
    pub config: RuntimeConfig,
    pub runtime: Runtime,
}

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl World {
    pub fn new() -> World {
        World::with_oci(program("berth-oci", "BERTH_OCI"))
    }

    pub fn with_oci(oci: PathBuf) -> World {
        let dir = tempfile::Builder::new().prefix("berth-runtime-").tempdir().unwrap();
        let layer = dir.path().join("layer");
        fs::create_dir_all(layer.join("bin")).unwrap();
        fs::create_dir_all(layer.join("etc")).unwrap();
        fs::write(layer.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n").unwrap();
        fs::copy(probe(), layer.join("bin/probe")).unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let config = RuntimeConfig {
            shim: program("berth-shim", "BERTH_SHIM"),
            oci,
            tasks_dir: dir.path().join("tasks"),
            cgroup_parent: format!("/{name}"),
            state_dir: None,
        };
        let runtime = Runtime::new(config.clone()).unwrap();
        World { dir, config, runtime }
    }

    pub fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    /// A container that does what the words say: see `probe.c`.
    pub fn spec(&self, id: &str, words: &str) -> ContainerSpec {
        spec(&self.layer(), id, words)
    }

    pub async fn task(&self, id: &str) -> Arc<dyn Task> {
        self.runtime.open_task(&task_id(id), &Limits::default()).await.unwrap()
    }

    pub async fn log(&self, task: &dyn Task, container: &str) -> Vec<String> {
        let mut reader = LogReader::open(task.container_dir(&id(container)), LogPosition::default());
        let mut lines = Vec::new();
        while let Some(line) = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap() {
            lines.push(String::from_utf8_lossy(&line.text).into_owned());
        }
        lines
    }

    /// Closes every task and looks whether anything of this test is still on the machine.
    pub async fn leave(self) {
        for task in self.runtime.recover().await.unwrap() {
            for status in task.status() {
                task.kill(&status.id, libc::SIGKILL).await.unwrap();
                exam::wait_for_end(&*task, &status.id).await;
                task.remove(&status.id).await.unwrap();
            }
            task.close().await.unwrap();
        }
        let name = self.dir.path().to_str().unwrap();
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(name), "a mount is left");
        // A shim says goodbye a moment before it is gone.
        until("no process is left", || self.processes().is_empty().then_some(()));
        assert_eq!(fs::read_dir(&self.config.tasks_dir).unwrap().count(), 0, "directories are left");
        let cgroups = Cgroups::detect().unwrap();
        let parent = &self.config.cgroup_parent;
        assert!(self.task_cgroups().is_empty(), "cgroups are left: {:?}", self.task_cgroups());
        cgroups.remove(parent).unwrap();
        assert!(!cgroups.exists(parent));
    }

    /// Shims and runtimes that have this world's directory on their command line.
    pub fn processes(&self) -> Vec<String> {
        let name = self.dir.path().to_str().unwrap();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(name))
            .collect()
    }

    /// A container's.
    pub fn cgroup(&self, task: &str, container: &str) -> String {
        Cgroups::detect().unwrap().container_path(&self.config.cgroup_parent, &task_id(task), &id(container))
    }

    /// The processes in a cgroup.
    pub fn pids(&self, cgroup: &str) -> Vec<String> {
        let roots =
            ["", "pids"].map(|root| Path::new("/sys/fs/cgroup").join(root).join(cgroup.trim_start_matches('/')));
        let text = roots.iter().find_map(|dir| fs::read_to_string(dir.join("cgroup.procs")).ok()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn task_cgroups(&self) -> Vec<PathBuf> {
        let roots = ["", "cpu", "memory", "pids", "devices", "freezer", "blkio", "cpuset", "cpuacct", "unified"];
        roots
            .iter()
            .map(|root| Path::new("/sys/fs/cgroup").join(root).join(self.config.cgroup_parent.trim_start_matches('/')))
            .filter_map(|parent| fs::read_dir(parent).ok())
            .flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())))
            .filter(|path| path.is_dir())
            .collect()
    }

    pub fn shim_pid(&self, task: &str) -> i32 {
        let path = self.config.tasks_dir.join(task).join("shim.pid");
        until("the shim writes its id", || fs::read_to_string(&path).ok()?.trim().parse().ok())
    }
}

impl Drop for World {
    /// A test that failed leaves nothing running either.
    fn drop(&mut self) {
        let Ok(cgroups) = Cgroups::detect() else { return };
        for entry in fs::read_dir(&self.config.tasks_dir).into_iter().flatten().flatten() {
            if let Ok(pid) = fs::read_to_string(entry.path().join("shim.pid")).unwrap_or_default().trim().parse::<i32>()
            {
                // SAFETY: no memory is involved; the file names a shim of this test.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        let _ = cgroups.kill_all(&self.config.cgroup_parent);
        let _ = cgroups.remove(&self.config.cgroup_parent);
    }
}

pub fn spec(layer: &Path, container: &str, words: &str) -> ContainerSpec {
    let args = std::iter::once("probe").chain(words.split_whitespace()).map(str::to_owned).collect();
    ContainerSpec::new(id(container), vec![layer.to_owned()], args)
}

pub fn id(name: &str) -> ContainerId {
    name.parse().unwrap()
}

pub fn task_id(name: &str) -> TaskId {
    name.parse().unwrap()
}

/// How a container ended, when it has.
pub async fn exit(task: &dyn Task, container: &str) -> Exit {
    match exam::wait_for_end(task, &id(container)).await {
        ContainerState::Exited(exit) => exit,
        other => panic!("{container}: {other:?}"),
    }
}

/// Looks again until there is something, and gives up when that takes too long.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return found,
            None if Instant::now() > deadline => panic!("{what}: never"),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
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

/// The static program in every image, compiled once.
fn probe() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/world/probe.c");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probe");
    if !built.exists() || modified(&built) < modified(&source) {
        // Tests run beside each other: each compiles aside, and the last rename wins.
        let aside = built.with_extension(std::process::id().to_string());
        let status = Command::new("cc").args(["-static", "-O1", "-w", "-o"]).arg(&aside).arg(&source).status().unwrap();
        assert!(status.success());
        fs::rename(&aside, &built).unwrap();
    }
    built
}
