//! A host of its own: a network namespace, a data directory, and the `berth` that runs there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::leaks::Node;
use crate::until;

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package lies two levels down").to_owned()
}

/// The program under test.
///
/// # Panics
///
/// When it was not built.
pub fn berth() -> PathBuf {
    let named = std::env::var_os("BERTH_BIN").map(PathBuf::from);
    let path = named.unwrap_or_else(|| workspace().join("target/release/berth"));
    assert!(path.exists(), "{} is not there: run `make build` first", path.display());
    path
}

pub struct Machine {
    namespace: String,
    dir: TempDir,
    berth: Option<Child>,
    /// It was ended with a Ctrl-C, so nothing may be left of it.
    left_well: bool,
    /// Processes besides `berth up`, ended with the machine.
    others: Vec<Child>,
    /// What `berth` finds in its environment.
    environment: Vec<(String, String)>,
}

impl Machine {
    /// A host with a loopback and nothing else.
    pub fn new() -> Machine {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("berth-e2e-{}-{number}", std::process::id());
        let dir = tempfile::Builder::new().prefix("berth-e2e-").tempdir().expect("a folder for the test");
        ip(&["netns", "add", &namespace]);
        let machine =
            Machine { namespace, dir, berth: None, left_well: false, others: Vec::new(), environment: Vec::new() };
        let up = machine.command("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs");
        assert!(up.success(), "the loopback does not come up");
        machine
    }

    /// A host with `berth up`, ready.
    pub fn up() -> Machine {
        let mut machine = Machine::new();
        machine.start(&[]);
        machine
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A program on this host. Only the network is another: it sees the same files.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace)).arg("--").arg(program);
        command.env("BERTH_DATA_DIR", self.data_dir()).stdin(Stdio::null());
        command
    }

    /// `berth` with arguments, on this host.
    pub fn berth(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&berth().display().to_string());
        command.args(arguments).envs(self.environment.iter().cloned());
        command
    }

    /// Gives every later `berth` a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts `berth up` and waits until it says that it is ready.
    pub fn start(&mut self, arguments: &[&str]) {
        assert!(self.berth.is_none(), "it runs already");
        let output = File::create(self.output_path()).expect("the folder can be written");
        let errors = output.try_clone().expect("a file can be shared");
        let mut command = self.berth(&["up"]);
        command.args(arguments).stdout(output).stderr(errors);
        self.berth = Some(command.spawn().expect("berth starts"));
        until("berth up is ready", || {
            let output = self.output();
            if let Some(status) = self.berth.as_mut().and_then(|berth| berth.try_wait().ok()?) {
                panic!("berth up ended with {status}:\n{output}");
            }
            output.contains("Ctrl-C stops Berth").then_some(())
        });
    }

    fn output_path(&self) -> PathBuf {
        self.dir.path().join("up.log")
    }

    /// What `berth up` has printed.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_path()).unwrap_or_default()
    }

    /// The process of `berth up`.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn process(&self) -> u32 {
        self.berth.as_ref().expect("it runs").id()
    }

    /// Ctrl-C, and the wait for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.end("-INT")
    }

    /// As a power cut takes it: no handler runs.
    pub fn kill(&mut self) {
        self.end("-KILL");
    }

    fn end(&mut self, signal: &str) -> ExitStatus {
        let mut berth = self.berth.take().expect("it runs");
        self.left_well = signal == "-INT";
        send(signal, berth.id());
        let mut ended = None;
        until("berth up ends", || {
            ended = berth.try_wait().expect("it is a child of ours");
            ended.map(|_| ())
        });
        ended.expect("it has just ended")
    }

    /// Starts another program, which ends with the machine.
    pub fn spawn(&mut self, mut command: Command) -> u32 {
        let child = command.spawn().expect("the program starts");
        let id = child.id();
        self.others.push(child);
        id
    }

    /// Everything of this host on the real machine.
    pub fn leaks(&self) -> Vec<String> {
        self.data_dirs().iter().flat_map(|data_dir| self.node(data_dir).leaks()).collect()
    }

    /// What of this host's nodes belongs to none of these tasks, by their ids.
    pub fn unowned(&self, live: &BTreeSet<String>) -> Vec<String> {
        self.data_dirs().iter().flat_map(|data_dir| self.node(data_dir).unowned(live)).collect()
    }

    /// The tasks that have processes.
    pub fn running(&self) -> BTreeSet<String> {
        self.data_dirs().iter().flat_map(|data_dir| self.node(data_dir).running()).collect()
    }

    /// Calls of the OCI runtime that execute one more program in a container of this host.
    pub fn executions(&self) -> Vec<String> {
        self.data_dirs().iter().flat_map(|data_dir| self.node(data_dir).executions()).collect()
    }

    fn node<'a>(&'a self, data_dir: &'a Path) -> Node<'a> {
        Node { data_dir, namespace: &self.namespace }
    }

    /// Those of all nodes that were started on this host.
    fn data_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.join("lock").exists()).collect()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.berth.is_some() {
            self.stop();
        }
        // An agent that leaves lets its tasks run, on purpose.
        let is_alone = self.others.is_empty();
        let left = if self.left_well && is_alone { self.leaks() } else { Vec::new() };
        for child in &mut self.others {
            send("-TERM", child.id());
            let _ = child.wait();
        }
        // A kill -9 leaves tasks behind on purpose: the test that did it starts Berth again, or they end here.
        self.data_dirs().iter().for_each(|data_dir| self.node(data_dir).end());
        ip(&["netns", "delete", &self.namespace]);
        if std::thread::panicking() {
            eprintln!("berth up said:\n{}", self.output());
        } else {
            assert!(left.is_empty(), "something is left: {left:#?}");
        }
    }
}

fn send(signal: &str, process: u32) {
    let _ = Command::new("kill").args([signal, &process.to_string()]).stderr(Stdio::null()).status();
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).status().expect("ip runs");
    assert!(done.success(), "ip {} failed", arguments.join(" "));
}
