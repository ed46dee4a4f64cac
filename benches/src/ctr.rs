//! The other peer: containerd's own client, `ctr run --detach`, whose return means that the container runs. It makes no network.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use kit::{Docker, Machine, workspace};

use crate::figures::{Times, in_flight};

const IMAGE: &str = "docker.io/library/hello-world:1";

/// The containerd that the Docker engine has started for itself.
pub struct Bench<'a> {
    machine: &'a Machine,
    socket: PathBuf,
    launched: AtomicUsize,
}

impl<'a> Bench<'a> {
    /// Gives containerd the sample's image, unpacked.
    pub fn new(machine: &'a Machine, _engine: &'a Docker) -> Bench<'a> {
        let socket = machine.dir().join("docker/exec/containerd/containerd.sock");
        let bench = Bench { machine, socket, launched: AtomicUsize::new(0) };
        let archive = machine.dir().join("hello-world.oci.tar");
        let copy = format!(
            "skopeo --insecure-policy copy oci:{}:hello-world:1 oci-archive:{}:1",
            workspace().join("target/sample/hello-world-1").display(),
            archive.display()
        );
        machine.run(&copy).expect("skopeo copies");
        let archive = archive.display().to_string();
        bench.run(&["images", "import", "--base-name", "docker.io/library/hello-world", &archive]);
        bench.launch();
        bench
    }

    pub fn launches(&self, count: usize, together: usize) -> (Times, f64) {
        let began = Instant::now();
        let times = in_flight(count, together, || {
            let one = Instant::now();
            self.launch();
            one.elapsed()
        });
        (Times::new(times), count as f64 / began.elapsed().as_secs_f64())
    }

    fn launch(&self) {
        let name = format!("bench-{}", self.launched.fetch_add(1, Relaxed));
        self.run(&["run", "--detach", "--null-io", "--memory-limit", "16777216", IMAGE, &name]);
    }

    /// Removes every container.
    pub fn clear(&self) {
        for name in self.run(&["containers", "list", "--quiet"]).split_whitespace() {
            self.run(&["tasks", "delete", "--force", name]);
            self.run(&["containers", "delete", name]);
        }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command: Command = self.machine.client("ctr");
        command.arg("--address").arg(&self.socket).args(["--namespace", "bench"]).args(arguments);
        let output = command.output().expect("ctr runs");
        assert!(output.status.success(), "ctr {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
