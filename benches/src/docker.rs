//! The peer: `docker run -d -p`, whose return means that the container runs.

use std::time::{Duration, Instant, SystemTime};

use kit::{Docker, Machine, workspace};

use crate::figures::{Launches, Times, in_flight};
use crate::first_line;

pub struct Bench<'a> {
    machine: &'a Machine,
    docker: &'a Docker,
}

impl<'a> Bench<'a> {
    /// Gives the engine the sample's image, in the one form that every version of it reads.
    pub fn new(machine: &'a Machine, docker: &'a Docker) -> Bench<'a> {
        let layout = workspace().join("target/sample/hello-world-1");
        let archive = machine.dir().join("hello-world.tar");
        let copy = format!(
            "skopeo --insecure-policy copy oci:{}:hello-world:1 docker-archive:{}:hello-world:1",
            layout.display(),
            archive.display()
        );
        machine.run(&copy).expect("skopeo copies");
        docker.run(machine, &["load", "--input", &archive.display().to_string()]);
        let bench = Bench { machine, docker };
        bench.launch();
        bench
    }

    pub fn launches(&self, count: usize, together: usize) -> Launches {
        let began = Instant::now();
        let times = in_flight(count, together, || {
            let (called, one) = (SystemTime::now(), Instant::now());
            (self.launch(), called, one.elapsed())
        });
        let per_second = count as f64 / began.elapsed().as_secs_f64();
        let first_lines = times.iter().map(|(container, called, _)| self.first_line(container, *called)).collect();
        let times = times.into_iter().map(|(_, _, time)| time).collect();
        Launches { times: Times::new(times), first_lines: Times::new(first_lines), per_second }
    }

    /// The container's id.
    fn launch(&self) -> String {
        self.docker.run(self.machine, &["run", "-d", "-p", "80", "--memory", "16m", "hello-world:1"])
    }

    fn first_line(&self, container: &str, called: SystemTime) -> Duration {
        let log = self.docker.run(self.machine, &["logs", "--timestamps", container]);
        first_line::since(called, log.split_whitespace().next().unwrap_or_default())
    }

    /// Removes every container.
    pub fn clear(&self) {
        let all = self.docker.run(self.machine, &["ps", "-aq"]);
        let ids: Vec<&str> = all.split_whitespace().collect();
        if !ids.is_empty() {
            self.docker.run(self.machine, &[&["rm", "-f"][..], &ids].concat());
        }
    }
}
