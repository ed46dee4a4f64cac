//! Services: from nothing to many running tasks, and from one version to the next, against a Docker Swarm service.

use std::time::{Duration, Instant};

use kit::{Docker, Machine, workspace};

/// Tasks that a service is scaled to.
const SCALED: usize = 300;
/// Tasks of the service that gets a new version.
const ROLLED: usize = 50;
const SCALED_WITHIN_SECONDS: u32 = 900;

/// How long it took.
pub struct Figures {
    pub scaled: Duration,
    pub rolled: Duration,
}

/// Until DescribeServices says that all of them run, and until the new version's deployment has completed.
pub fn berth(machine: &Machine) -> Figures {
    let script = format!(
        r#"
def only(name): return ecs.describe_services(services=[name])["services"][0]
def scale(name, count):
    began = time.monotonic()
    ecs.update_service(service=name, desiredCount=count)
    until("all run", lambda: only(name)["runningCount"] == count, {SCALED_WITHIN_SECONDS})
    return time.monotonic() - began
def gone(name):
    ecs.delete_service(service=name, force=True)
    until("all have stopped", lambda: not ecs.describe_clusters()["clusters"][0]["runningTasksCount"], 300)
definition = lambda version: register("scaled", [hello(image=f"hello-world:{{version}}", cpu=1, memory=16, logConfiguration={{"logDriver": "json-file"}})])
definition(1)
ecs.create_service(serviceName="scaled", taskDefinition="scaled", desiredCount=0)
print(scale("scaled", {SCALED}))
gone("scaled")
ecs.create_service(serviceName="rolled", taskDefinition="scaled", desiredCount={ROLLED})
until("it is steady", lambda: only("rolled")["deployments"][0]["rolloutState"] == "COMPLETED", 300)
definition(2)
began = time.monotonic()
ecs.update_service(service="rolled", taskDefinition="scaled")
until("it has rolled", lambda: (d := only("rolled")["deployments"])[0]["rolloutState"] == "COMPLETED" and len(d) == 1, 600)
print(time.monotonic() - began)
gone("rolled")
"#
    );
    let said = machine.python(&script);
    let mut seconds = said.lines().map(|line| Duration::from_secs_f64(line.parse().expect("a number")));
    let mut next = || seconds.next().expect("a time for each");
    Figures { scaled: next(), rolled: next() }
}

/// Until the CLI, which waits for convergence, returns. The networks of Swarm's own are left out, in its favour.
pub fn swarm(machine: &Machine, docker: &Docker) -> Figures {
    for version in ["1", "2"] {
        let layout = workspace().join("target/sample").join(format!("hello-world-{version}"));
        let archive = machine.dir().join(format!("hello-world-{version}.tar"));
        let copy = format!(
            "skopeo --insecure-policy copy oci:{}:hello-world:{version} docker-archive:{}:hello-world:{version}",
            layout.display(),
            archive.display()
        );
        machine.run(&copy).expect("skopeo copies");
        docker.run(machine, &["load", "--input", &archive.display().to_string()]);
    }
    docker.run(machine, &["swarm", "init", "--advertise-addr", "127.0.0.1"]);
    let create = |name: &str, replicas: usize| {
        let replicas = replicas.to_string();
        // Nothing is asked of a registry: the images are here.
        docker.run(
            machine,
            &[
                "service",
                "create",
                "--name",
                name,
                "--replicas",
                &replicas,
                "--network",
                "host",
                "--limit-memory",
                "16m",
                "--no-resolve-image",
                "--env",
                "PORT=0",
                "hello-world:1",
            ],
        );
    };
    let timed = |arguments: &[&str]| {
        let began = Instant::now();
        docker.run(machine, arguments);
        began.elapsed()
    };
    create("scaled", 0);
    let scaled = timed(&["service", "scale", &format!("scaled={SCALED}")]);
    docker.run(machine, &["service", "rm", "scaled"]);
    create("rolled", ROLLED);
    let rolled = timed(&["service", "update", "--no-resolve-image", "--image", "hello-world:2", "rolled"]);
    docker.run(machine, &["service", "rm", "rolled"]);
    docker.run(machine, &["swarm", "leave", "--force"]);
    Figures { scaled, rolled }
}

pub fn print(ours: &Figures, theirs: &Figures) {
    println!("| a service on one machine | Berth, s | Docker Swarm, s | ratio |\n|---|---|---|---|");
    let rows = [
        (format!("0 → {SCALED} running tasks"), ours.scaled, theirs.scaled),
        (format!("version 1 → 2 of {ROLLED} tasks"), ours.rolled, theirs.rolled),
    ];
    for (what, ours, theirs) in rows {
        let (ours, theirs) = (ours.as_secs_f64(), theirs.as_secs_f64());
        println!("| {what} | {ours:.1} | {theirs:.1} | {:.1} |", theirs / ours);
    }
}
