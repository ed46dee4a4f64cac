//! Beside a Docker engine on the same host: neither eats the other's packets, and docker pushes what ECS runs.

use kit::{Docker, Machine, until, workspace};

#[test]
fn a_docker_engine_is_a_good_neighbour() {
    let mut machine = Machine::new();
    let docker = Docker::start(&machine);
    machine.start(&["--demo"]);
    machine.python(
        r#"
register()
for arn in run(count=2): get(port(running(arn)))
"#,
    );

    // The engine's own form of an archive, which every version of it reads.
    let archive = machine.dir().join("hello.tar");
    let layout = workspace().join("target/sample/hello-world-2");
    let from = format!("oci:{}:hello-world:2", layout.display());
    machine
        .run(&format!("skopeo --insecure-policy copy {from} docker-archive:{}:hello-world:2", archive.display()))
        .unwrap();
    docker.run(&machine, &["load", "--input", &archive.display().to_string()]);

    // What docker has built is pushed to Berth, and runs there; docker pulls it back.
    docker.run(&machine, &["tag", "hello-world:2", "127.0.0.1:4566/by-docker:2"]);
    docker.run(&machine, &["push", "127.0.0.1:4566/by-docker:2"]);
    machine.python(
        r#"
register("by-docker", [hello(image="127.0.0.1:4566/by-docker:2")])
assert "version 2" in get(port(running(run("by-docker")[0])))
"#,
    );
    docker.run(&machine, &["rmi", "127.0.0.1:4566/by-docker:2"]);
    docker.run(&machine, &["pull", "127.0.0.1:4566/by-docker:2"]);

    // `docker save` is an archive like any other.
    let saved = machine.dir().join("saved.tar");
    docker.run(&machine, &["tag", "hello-world:2", "from-docker:1"]);
    docker.run(&machine, &["save", "--output", &saved.display().to_string(), "from-docker:1"]);
    let loaded = machine.person(&format!("image load {}", saved.display())).unwrap();
    assert!(loaded.contains("from-docker:1"), "{loaded}");
    machine.python(
        r#"
register("saved", [hello(image="from-docker:1")])
assert "version 2" in get(port(running(run("saved")[0])))
"#,
    );

    // A container of the engine and a task of ours, side by side, each with a port.
    let container = docker.run(&machine, &["run", "--detach", "--publish", "18080:80", "hello-world:2"]);
    until("the engine's container answers", || machine.run("curl -sf http://127.0.0.1:18080/").ok());
    machine.python("for a in ecs.list_tasks(family='hello')['taskArns']: get(port(task(a)))");
    // The port of the engine's container is taken, and a task that wants it says so.
    machine.python(
        r#"
register("wants", [hello(portMappings=[{"containerPort": 80, "hostPort": 18080}])])
reason = stopped(run("wants")[0])["stoppedReason"]
assert "port is already allocated" in reason, reason
"#,
    );
    docker.run(&machine, &["rm", "--force", &container]);
    machine.stop();
}
