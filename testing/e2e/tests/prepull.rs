//! A deployment's image is on its way to every instance that will need it, before the tasks are.

use std::process::Stdio;

use kit::{Machine, until, workspace};

fn push(machine: &Machine, number: u32) {
    let from = format!(
        "oci:{}:hello-world:{number}",
        workspace().join(format!("target/sample/hello-world-{number}")).display()
    );
    let to = format!("docker://127.0.0.1:4566/web:{number}");
    machine.run(&format!("skopeo --insecure-policy copy --dest-tls-verify=false {from} {to}")).unwrap();
}

/// A server, and two nodes beside it whose images are their own.
fn two_nodes() -> Machine {
    let mut machine = Machine::new();
    let server = machine.dir().join("server").display().to_string();
    let mut server = machine.berth(&["server", "--data-dir", &server]);
    server.stdout(Stdio::null());
    machine.spawn(server);
    until("the server answers", || machine.run("curl -fs http://127.0.0.1:4566/_berth/health").ok());
    machine.python("ecs.create_cluster(clusterName='default')");
    for name in ["one", "two"] {
        let dir = machine.dir().join(name).display().to_string();
        let mut agent = machine.berth(&["agent", "--data-dir", &dir]);
        agent.stdout(Stdio::null());
        machine.spawn(agent);
    }
    (1..=2).for_each(|number| push(&machine, number));
    machine
}

#[test]
fn an_image_is_on_the_second_instance_before_its_task_is() {
    let machine = two_nodes();
    let script = r#"
import os, subprocess
def images(node):
    return subprocess.run([BERTH, "image", "ls", "--data-dir", DIR + "/" + node], capture_output=True, text=True).stdout
def tasks(revision):
    arns = ecs.list_tasks(serviceName="web")["taskArns"]
    found = ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
    return [t for t in found if t["taskDefinitionArn"].endswith(":%d" % revision)]
until("both have joined", lambda: ecs.describe_clusters()["clusters"][0]["registeredContainerInstancesCount"] == 2)
for version in (1, 2):
    register("web", [hello(image="127.0.0.1:4566/web:%d" % version, memory=16)])
def created():
    try: return ecs.create_service(serviceName="web", taskDefinition="web:1", desiredCount=2, placementConstraints=[{"type": "distinctInstance"}],
        deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 100})
    except ecs.exceptions.InvalidParameterException: return None
until("the service is there", created)
until("both run", lambda: [t["lastStatus"] for t in tasks(1)] == ["RUNNING"] * 2)
assert "web:2" not in images("one") + images("two")

ecs.update_service(service="web", taskDefinition="web:2")
until("both nodes have the new image", lambda: all("127.0.0.1:4566/web:2" in images(node) for node in ("one", "two")))
# A step waits until its tasks have proved themselves, which is far away.
early = tasks(2)
assert len(early) <= 1, early
def done():
    deployments = ecs.describe_services(services=["web"])["services"][0]["deployments"]
    return len(deployments) == 1 and deployments[0]["rolloutState"] == "COMPLETED"
until("the deployment is through", done, 120)
new = sorted(tasks(2), key=lambda t: t["createdAt"])
assert len({t["containerInstanceArn"] for t in new}) == 2, new
assert "pullStartedAt" not in new[1], "it was there already: %s" % new[1]
ecs.delete_service(service="web", force=True)
until("all have ended", lambda: not ecs.list_tasks()["taskArns"])
"#;
    let berth = kit::berth().display().to_string();
    let dir = machine.dir().display().to_string();
    machine.python(&format!("BERTH, DIR = {berth:?}, {dir:?}\n{script}"));
}

#[test]
fn an_image_that_does_not_come_is_said_in_the_events() {
    let machine = two_nodes();
    machine.python(
        r#"
until("both have joined", lambda: ecs.describe_clusters()["clusters"][0]["registeredContainerInstancesCount"] == 2)
for version in (1, 9):
    register("web", [hello(image="127.0.0.1:4566/web:%d" % version, memory=16)])
ecs.create_service(serviceName="web", taskDefinition="web:1", desiredCount=2, placementConstraints=[{"type": "distinctInstance"}])
def steady(): return ecs.describe_services(services=["web"])["services"][0]["deployments"][0]["rolloutState"] == "COMPLETED"
until("both run", steady, 60)
ecs.update_service(service="web", taskDefinition="web:2")
"#,
    );
    let said = until("the events say so", || {
        let events = machine.person("events web").ok()?;
        events.contains("could not be pulled in advance").then_some(events)
    });
    assert!(
        said.contains("the image 127.0.0.1:4566/web:9 could not be pulled in advance on (container-instance "),
        "{said}"
    );
    assert!(said.contains("manifest unknown"), "{said}");
    assert_eq!(said.matches("could not be pulled in advance").count(), 1, "both fail alike: {said}");
    machine.python("ecs.delete_service(service='web', force=True)\nuntil('all have ended', lambda: not ecs.list_tasks()['taskArns'])");
}
