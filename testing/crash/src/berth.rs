//! The processes under test: started, killed, started again.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kit::Machine;

use crate::plan::Dice;

/// One `berth up`, or a server and an agent in processes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Up,
    Split,
}

/// What a process says when it can be used.
const READY: [(&str, &str); 3] = [
    ("up", "Ctrl-C stops Berth"),
    ("server", "The control plane answers"),
    ("agent", "This machine is container instance"),
];

/// The end of what berth said is shown with a failure.
const SAID_BYTES: usize = 4000;

struct Process {
    command: &'static str,
    child: Child,
    output: PathBuf,
}

impl Process {
    fn has_died(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn is_ready(&self) -> bool {
        let words = READY.iter().find(|(command, _)| *command == self.command).map_or("", |(_, words)| words);
        fs::read_to_string(&self.output).is_ok_and(|text| text.contains(words))
    }

    fn kill(mut self) {
        // SIGKILL; one that has died already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Berth<'m> {
    machine: &'m Machine,
    shape: Shape,
    server: Option<Process>,
    agent: Option<Process>,
}

impl<'m> Berth<'m> {
    pub fn new(machine: &'m Machine, shape: Shape) -> Berth<'m> {
        Berth { machine, shape, server: None, agent: None }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// A server that is alone has no cluster for its agent yet.
    pub fn start_first(&mut self, patience: Duration) -> anyhow::Result<()> {
        if self.shape == Shape::Split {
            self.server = Some(self.spawn("server", &self.machine.data_dir(), "")?);
            self.until_ready(patience)?;
            self.machine.aws("ecs create-cluster --cluster-name default").map_err(anyhow::Error::msg)?;
        }
        self.start("")?;
        self.until_ready(patience)
    }

    /// Starts what does not run.
    pub fn start(&mut self, fail_at: &str) -> anyhow::Result<()> {
        if self.server.as_mut().is_none_or(Process::has_died) {
            self.kill_server();
            let command = if self.shape == Shape::Up { "up" } else { "server" };
            self.server = Some(self.spawn(command, &self.machine.data_dir(), fail_at)?);
        }
        if self.shape == Shape::Split && self.agent.as_mut().is_none_or(Process::has_died) {
            self.kill_agent();
            self.agent = Some(self.spawn("agent", &self.node_dir(), fail_at)?);
        }
        Ok(())
    }

    fn spawn(&self, name: &'static str, data_dir: &Path, fail_at: &str) -> anyhow::Result<Process> {
        let output = self.machine.dir().join(format!("{name}.log"));
        let file = File::create(&output).context("failed to make a log")?;
        let mut command = self.machine.berth(&[name, "--data-dir"]);
        command.arg(data_dir).env("BERTH_FAIL", fail_at).stdout(file.try_clone()?).stderr(file);
        // The shortest, so that tasks are forgotten while things die.
        command.env("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1m");
        let child = command.spawn().with_context(|| format!("failed to start berth {name}"))?;
        Ok(Process { command: name, child, output })
    }

    /// The data directory of the node.
    pub fn node_dir(&self) -> PathBuf {
        match self.shape {
            Shape::Up => self.machine.data_dir(),
            Shape::Split => self.machine.dir().join("node-data"),
        }
    }

    pub fn until_ready(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let processes = [self.server.as_mut(), self.agent.as_mut()];
            let mut ready = true;
            for process in processes.into_iter().flatten() {
                ensure!(!process.has_died(), "berth {} ended by itself", process.command);
                ready &= process.is_ready();
            }
            if ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("berth is not ready within {} s", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a fail point, and not for ever: the process may never come there.
    pub fn until_one_died(&mut self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        while Instant::now() < deadline {
            if [self.server.as_mut(), self.agent.as_mut()].into_iter().flatten().any(|process| process.has_died()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn load_image(&self, layout: &Path) -> anyhow::Result<()> {
        let data_dir = self.node_dir();
        let line = format!("image load --data-dir {} {}", data_dir.display(), layout.display());
        self.machine.person(&line).map(drop).map_err(anyhow::Error::msg)
    }

    pub fn kill_server(&mut self) {
        self.server.take().into_iter().for_each(Process::kill);
    }

    pub fn kill_agent(&mut self) {
        self.agent.take().into_iter().for_each(Process::kill);
    }

    pub fn kill_all(&mut self) {
        self.kill_server();
        self.kill_agent();
    }

    /// Kills some of the shims, and tells whose they were.
    pub fn kill_shims(&self, dice: &mut Dice, percent: u64) -> Vec<String> {
        let tasks = fs::read_dir(self.node_dir().join("node/tasks")).into_iter().flatten().flatten();
        let mut tasks: Vec<PathBuf> = tasks.map(|task| task.path()).collect();
        tasks.sort();
        let mut killed = Vec::new();
        for task in tasks {
            let pid = fs::read_to_string(task.join("shim.pid")).unwrap_or_default();
            let Ok(pid) = pid.trim().parse::<u32>() else { continue };
            // The number may be somebody else's by now.
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let id = task.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if String::from_utf8_lossy(&line).contains(&id) && dice.percent(percent) {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
                killed.push(id);
            }
        }
        killed
    }

    /// What the node keeps of the tasks that a text names by their ids: for whoever has to find out.
    pub fn kept_of(&self, text: &str) -> String {
        let node = self.node_dir().join("node");
        let mut ids: Vec<&str> = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 32).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut kept = String::new();
        for id in ids {
            let state = fs::read_to_string(node.join(format!("state/tasks/{id}.state"))).unwrap_or_default();
            let containers =
                fs::read_dir(node.join("tasks").join(id).join("containers")).into_iter().flatten().flatten();
            let files = containers.map(|container| {
                let files = fs::read_dir(container.path()).into_iter().flatten().flatten();
                files.map(|file| file.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
            });
            let files = files.collect::<Vec<_>>();
            let processes = kit::processes(id).into_iter().map(|(_, line)| line).collect::<Vec<_>>();
            let _ = writeln!(kept, "{id}: {state}\n  its containers' files: {files:?}\n  its processes: {processes:?}");
        }
        kept
    }

    /// The end of what they said.
    pub fn said(&self) -> String {
        let processes = [self.server.as_ref(), self.agent.as_ref()].into_iter().flatten();
        let texts = processes.map(|process| {
            let text = fs::read_to_string(&process.output).unwrap_or_default();
            let from = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= SAID_BYTES).unwrap_or(0);
            format!("[{}] {}", process.command, &text[from..])
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Berth<'_> {
    fn drop(&mut self) {
        self.kill_all();
    }
}
