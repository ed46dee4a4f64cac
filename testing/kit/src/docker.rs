//! A Docker engine on a test's host: a peer to be measured against, and a neighbour to get along with.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use crate::{Machine, until};

/// An engine of its own, with everything it keeps below the test's folder. Ends when it is dropped.
pub struct Docker {
    socket: String,
    engine: Child,
}

impl Docker {
    /// Starts an engine and waits until it answers.
    pub fn start(machine: &Machine) -> Docker {
        let dir = machine.dir().join("docker");
        fs::create_dir_all(&dir).expect("the folder can be made");
        let log = File::create(dir.join("dockerd.log")).expect("the folder can be written");
        let socket = format!("unix://{}", dir.join("docker.sock").display());
        let engine = machine
            .command("dockerd")
            .args(["--host", &socket, "--insecure-registry", "127.0.0.1:4566"])
            .arg(format!("--data-root={}", dir.join("data").display()))
            .arg(format!("--exec-root={}", dir.join("exec").display()))
            .arg(format!("--pidfile={}", dir.join("pid").display()))
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("dockerd starts");
        let docker = Docker { socket, engine };
        until("the Docker engine answers", || {
            docker.command(machine, &["version"]).output().ok()?.status.success().then_some(())
        });
        docker
    }

    /// The docker CLI against this engine.
    pub fn command(&self, machine: &Machine, arguments: &[&str]) -> Command {
        let mut command = machine.client("docker");
        command.args(["--host", &self.socket]).args(arguments).stdin(Stdio::null());
        command
    }

    /// What the CLI printed.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn run(&self, machine: &Machine, arguments: &[&str]) -> String {
        let output = self.command(machine, arguments).output().expect("docker runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "docker {}: {}", arguments.join(" "), text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.engine.id().to_string()]).status();
        let _ = self.engine.wait();
    }
}
