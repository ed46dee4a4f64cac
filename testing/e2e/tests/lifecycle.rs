//! Berth comes and goes; what runs, and what is known, stays.

use kit::{Machine, until};

const SERVICE: &str = r#"
register()
ecs.create_service(serviceName="front", taskDefinition="hello", desiredCount=2)
until("two run", lambda: ecs.describe_services(services=["front"])["services"][0]["runningCount"] == 2)
print(" ".join(ecs.list_tasks(serviceName="front")["taskArns"]))
"#;

/// Its lines never arrive anywhere, and are here as long as the task is.
#[test]
fn what_a_stopped_task_said_can_be_read_after_a_kill() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let task = machine.python(
        r#"
register("mute", [hello(command=["lines", "5"], portMappings=None, logConfiguration={
    "logDriver": "fluentd", "options": {"fluentd-address": "127.0.0.1:9", "fluentd-async": "true"}})])
arn = run("mute")[0]
stopped(arn)
print(arn.rsplit("/", 1)[1])
"#,
    );
    for _ in 0..2 {
        machine.kill();
        machine.start(&["--demo"]);
        let said = machine.person(&format!("logs --node {task}")).unwrap();
        assert!(said.contains("line 0 ") && said.contains("line 4 "), "{said}");
        assert_eq!(machine.unowned(&machine.running()), Vec::<String>::new());
    }
}

#[test]
fn ctrl_c_stops_everything_and_a_start_brings_it_back() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let url = sample_url(&machine.output());
    assert!(machine.run(&format!("curl -sf {url}/")).unwrap().contains("version 1"));
    let before = machine.python(SERVICE);
    let alone = machine.python("print(run()[0])");
    machine.python(&format!("running('{alone}')"));
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());

    machine.start(&["--demo"]);
    assert_eq!(sample_url(&machine.output()), url, "the sample answers where it did");
    machine.run(&format!("curl -sf {url}/healthz")).unwrap();
    let after = machine.python(
        r#"
until("two run", lambda: ecs.describe_services(services=["front"])["services"][0]["runningCount"] == 2)
print(" ".join(ecs.list_tasks(serviceName="front")["taskArns"]))
"#,
    );
    assert_ne!(before, after, "the tasks are new ones");
    let script = format!(
        r#"
t = task("{alone}")
assert (t["lastStatus"], t["stopCode"]) == ("STOPPED", "TerminationNotice"), t
assert t["containers"][0]["exitCode"] == 0, t
assert len(ecs.list_container_instances()["containerInstanceArns"]) == 1, "it is the same container instance"
assert ecs.describe_task_definition(taskDefinition="hello")["taskDefinition"]["revision"] == 1
"#
    );
    machine.python(&script);
}

#[test]
fn tasks_outlive_a_kill_and_are_found_again() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let tasks = machine.python(SERVICE);
    let quits = machine.python(
        r#"
register("quits", [hello(entryPoint=None, logConfiguration={"logDriver": "awslogs", "options": {
    "awslogs-group": "quits", "awslogs-region": "us-east-1", "awslogs-create-group": "true", "awslogs-stream-prefix": "p"}})])
arn = run("quits")[0]
print(arn, port(running(arn)))
"#,
    );
    let (quits, port) = quits.split_once(' ').unwrap();
    machine.kill();
    // Nobody is there but the shims.
    machine.run(&format!("curl -sf http://127.0.0.1:{port}/log?lines=5")).unwrap();
    let _ = machine.run(&format!("curl -s http://127.0.0.1:{port}/exit?code=7"));
    until("the container has exited", || machine.run(&format!("curl -s http://127.0.0.1:{port}/")).err());

    machine.start(&["--demo"]);
    let script = format!(
        r#"
t = stopped("{quits}")
assert (t["containers"][0]["exitCode"], t["stopCode"]) == (7, "EssentialContainerExited"), t
def lines():
    events = logs.filter_log_events(logGroupName="quits")["events"]
    return events if len([e for e in events if "log line" in e["message"] or "line" in e["message"]]) >= 5 else None
until("what it wrote while nobody was there", lines)
for arn in "{tasks}".split():
    assert running(arn)["containers"][0]["networkBindings"], arn
    get(port(task(arn)))
"#
    );
    machine.python(&script);
}

#[test]
fn a_second_one_says_so_and_changes_nothing() {
    let mut machine = Machine::new();
    machine.start(&[]);
    let refused = machine.person("up").unwrap_err();
    assert!(refused.contains("already running") && refused.contains("nothing was changed"), "{refused}");
    assert_eq!(refused.lines().count(), 1, "one clear sentence: {refused}");
    let other = machine.dir().join("other");
    let taken = machine.person(&format!("up --data-dir {}", other.display())).unwrap_err();
    assert!(taken.contains("port 4566") && taken.contains("--listen"), "{taken}");
    machine.python("assert ecs.list_clusters()['clusterArns']");
}

#[test]
fn what_is_missing_is_said_in_one_sentence() {
    let machine = Machine::new();
    let berth = kit::berth();
    let up = format!("{} up --data-dir {}", berth.display(), machine.dir().join("d").display());
    let unprivileged = machine.run(&format!("setpriv --reuid 65534 --clear-groups {up}")).unwrap_err();
    assert!(unprivileged.contains("root"), "{unprivileged}");
    let open = machine.person("up --listen 0.0.0.0:4566").unwrap_err();
    assert!(open.contains("--auth iam"), "{open}");
    let iam = machine.person("up --auth iam").unwrap_err();
    assert!(iam.contains("not available"), "{iam}");
    let store = machine.person("server --store etcd:127.0.0.1:2379").unwrap_err();
    assert!(store.contains("not available"), "{store}");
    let nobody = machine.person("ps").unwrap_err();
    assert!(nobody.contains("make up") && nobody.lines().count() == 1, "{nobody}");
}

#[test]
fn a_node_joins_another_cluster() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(
        r#"
ecs.create_cluster(clusterName="other")
assert ecs.list_container_instances(cluster="other")["containerInstanceArns"] == []
register()
message = refused("InvalidParameterException", ecs.run_task, cluster="other", taskDefinition="hello")
assert message == "No Container Instances were found in your cluster.", message
"#,
    );
    let data = machine.dir().join("data-of-other");
    let mut agent = machine.berth(&["agent", "--cluster", "other", "--data-dir"]);
    agent.arg(&data).arg("--attribute").arg("rack=7");
    machine.spawn(agent);
    let archive = kit::workspace().join("target/sample/hello-world-1.tar");
    until("the node takes images", || {
        machine.person(&format!("image load --data-dir {} {}", data.display(), archive.display())).ok()
    });
    machine.python(
        r#"
until("it has joined", lambda: ecs.list_container_instances(cluster="other")["containerInstanceArns"])
def placed():
    answer = ecs.run_task(cluster="other", taskDefinition="hello",
                          placementConstraints=[{"type": "memberOf", "expression": "attribute:rack == 7"}])
    return answer["tasks"] and answer["tasks"][0]["taskArn"]
arn = until("it takes a task", placed)
def up():
    t = ecs.describe_tasks(cluster="other", tasks=[arn])["tasks"][0]
    return t["lastStatus"] == "RUNNING" and t
t = until("it runs there", up)
assert "hello" in get(port(t)).lower() or get(port(t)), t
ecs.stop_task(cluster="other", task=arn)
until("it stops", lambda: ecs.describe_tasks(cluster="other", tasks=[arn])["tasks"][0]["lastStatus"] == "STOPPED")
"#,
    );
}

fn sample_url(output: &str) -> String {
    let line =
        output.lines().find(|line| line.trim_start().starts_with("Sample")).expect("the summary names the sample");
    line.split_whitespace().nth(1).unwrap().to_owned()
}
