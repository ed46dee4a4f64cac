//! The main job, as a new user does it: from `make up` to a service that heals, with the aws CLI.

use kit::{Machine, until, workspace};

#[test]
fn from_a_definition_to_a_service_that_heals() {
    let machine = Machine::up();
    let aws = |line: &str| machine.aws(line).unwrap();
    assert!(aws("ecs list-clusters").contains(":cluster/default"));
    let definition = workspace().join("examples/hello-world/task-definition.json");
    aws(&format!("ecs register-task-definition --cli-input-json file://{}", definition.display()));
    load_sample(&machine);

    let run = "ecs run-task --cluster default --task-definition hello-world --count 3";
    let tasks = aws(&format!("{run} --query tasks[].taskArn --output text"));
    assert_eq!(tasks.split_whitespace().count(), 3);
    let tasks = tasks.split_whitespace().collect::<Vec<_>>().join(" ");
    aws(&format!("ecs wait tasks-running --cluster default --tasks {tasks}"));
    let bindings = "tasks[].containers[].networkBindings[].hostPort --output text";
    let ports = aws(&format!("ecs describe-tasks --cluster default --tasks {tasks} --query {bindings}"));
    let mut ports: Vec<&str> = ports.split_whitespace().collect();
    assert_eq!(ports.len(), 3);
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 3, "each task has a port of its own");
    let answers: Vec<String> =
        ports.iter().map(|port| machine.run(&format!("curl -sf http://127.0.0.1:{port}/")).unwrap()).collect();
    for task in tasks.split(' ') {
        let id = task.rsplit('/').next().unwrap();
        assert!(answers.iter().any(|answer| answer.contains(id)), "{id} says who it is: {answers:?}");
    }

    machine.run(&format!("curl -sf http://127.0.0.1:{}/log?lines=3", ports[0])).unwrap();
    let tail = until("the log can be read", || {
        let tail = aws("logs tail /ecs/hello-world");
        (tail.lines().count() >= 6).then_some(tail)
    });
    assert!(tail.lines().all(|line| line.contains(" web/web/")), "a line names its stream: {tail}");

    let first = tasks.split(' ').next().unwrap();
    aws(&format!("ecs stop-task --cluster default --task {first}"));
    aws(&format!("ecs wait tasks-stopped --cluster default --tasks {first}"));
    let fields = "tasks[].[lastStatus,stopCode,stoppedReason,containers[0].exitCode] --output text";
    let stopped = aws(&format!("ecs describe-tasks --cluster default --tasks {first} --query {fields}"));
    assert_eq!(stopped, "STOPPED\tUserInitiated\tTask stopped by user\t0");

    aws("ecs create-service --cluster default --service-name web --task-definition hello-world --desired-count 3");
    aws("ecs wait services-stable --cluster default --services web");
    let list = "ecs list-tasks --cluster default --service-name web --query taskArns --output text";
    let before: Vec<String> = aws(list).split_whitespace().map(str::to_owned).collect();
    assert_eq!(before.len(), 3);
    let victim = before[0].rsplit('/').next().unwrap();
    kill_container_of(&machine, victim);
    until("a replacement runs", || {
        let now = aws(list);
        let gone = !now.contains(victim);
        (gone && now.split_whitespace().count() == 3).then_some(())
    });
    let reason = "tasks[].[stopCode,stoppedReason,containers[0].exitCode] --output text";
    let killed = aws(&format!("ecs describe-tasks --cluster default --tasks {victim} --query {reason}"));
    assert_eq!(killed, "EssentialContainerExited\tEssential container in task exited\t137");

    let shown = machine.person("ps").unwrap();
    assert!(shown.contains("web") && shown.contains("http://127.0.0.1:"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours when piped: {shown}");
    let logs = machine.person("logs web").unwrap();
    assert!(!logs.is_empty());
    let top = machine.person("top --once").unwrap();
    assert!(top.contains("web"), "{top}");
}

fn load_sample(machine: &Machine) {
    for version in ["1", "2"] {
        let archive = workspace().join(format!("target/sample/hello-world-{version}.tar"));
        machine.person(&format!("image load {}", archive.display())).unwrap();
    }
}

/// The first process of the task's container, as `kill -9` by hand would take it.
fn kill_container_of(machine: &Machine, task: &str) {
    let containers = machine.data_dir().join("node/tasks").join(task).join("containers");
    let container = std::fs::read_dir(containers).unwrap().next().unwrap().unwrap().path();
    let pid = std::fs::read_to_string(container.join("pid")).unwrap();
    machine.run(&format!("kill -9 {}", pid.trim())).unwrap();
}
