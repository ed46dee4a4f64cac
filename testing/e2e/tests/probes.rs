//! Health and readiness that the agent asks for itself, of an image without a shell.

use kit::{Machine, workspace};

const PROBED: &str = r#"
import urllib.error
def labels(**more): return {f"berth.{k.replace('__', '.').replace('_', '-')}": v for k, v in more.items()}
def define(**more): return register(family="probed", containers=[hello(dockerLabels=labels(**more))])
refused("ClientException", define, health__http="http://127.0.0.1/")
sick = dict(health__http="80/healthz", health__interval="5", health__retries="1")
def service(): return ecs.describe_services(services=["shop"])["services"][0]
def tasks(): return ecs.list_tasks(serviceName="shop")["taskArns"]
def turn(arn, sick):
    try: get(port(task(arn)), f"/healthz?sick={sick}")
    except urllib.error.HTTPError as error: assert error.code == 503 and sick, error
def is_steady():
    s = service()
    return len(s["deployments"]) == 1 and s["deployments"][0]["rolloutState"] == "COMPLETED" and s["runningCount"] == 1

# Health: a sick task is replaced.
made = define(**sick)
assert made["containerDefinitions"][0]["dockerLabels"] == labels(**sick) and "healthCheck" not in made["containerDefinitions"][0], made
ecs.create_service(serviceName="shop", taskDefinition="probed", desiredCount=1)
until("it is steady", is_steady)
[first] = tasks()
t = until("it is HEALTHY", lambda: (t := task(first))["healthStatus"] == "HEALTHY" and t)
assert "reason" not in t["containers"][0], t
turn(first, 1)
t = until("it is UNHEALTHY", lambda: (t := task(first))["healthStatus"] == "UNHEALTHY" and t)
assert t["containers"][0]["reason"] == "Health probe failed: GET :80/healthz answered 503", t
t = stopped(first)
assert t["stoppedReason"] == "Task failed container health checks" and "GET :80/healthz answered 503" in t["containers"][0]["reason"], t
until("it is steady again", lambda: is_steady() and tasks() != [first])

# Readiness: one that is not ready stays, and one that becomes ready takes over.
define(ready__http="80/healthz", ready__interval="5", ready__retries="1")
ecs.update_service(service="shop", taskDefinition="probed")
until("the new one took over", lambda: is_steady() and all(task(a)["taskDefinitionArn"].endswith(":2") for a in tasks()))
[second] = tasks()
turn(second, 1)
reason = "Not ready: GET :80/healthz answered 503"
t = until("it is not ready", lambda: (t := task(second))["containers"][0].get("reason") == reason and t)
assert (t["lastStatus"], t["desiredStatus"], t["healthStatus"]) == ("RUNNING", "RUNNING", "UNKNOWN"), t

# A port where nobody listens: the deployment waits, and the old task stays.
define(ready__tcp="81", ready__interval="5")
turn(second, 0)
until("it is ready", lambda: "reason" not in task(second)["containers"][0])
ecs.update_service(service="shop", taskDefinition="probed")
def waits():
    others = [t for t in map(task, tasks()) if t["taskArn"] != second]
    return others and others[0]["containers"][0].get("reason") == "Not ready: TCP :81 found nobody who listens" and others[0]["taskArn"]
third = until("the new one is not ready", waits)
assert sorted(tasks()) == sorted([second, third]) and service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
print(third)
"#;

#[test]
fn a_sick_task_is_replaced_and_one_that_is_not_ready_is_waited_for() {
    let machine = Machine::up();
    let archive = workspace().join("target/sample/hello-world-1.tar");
    machine.person(&format!("image load {}", archive.display())).unwrap();
    let task = machine.python(PROBED);
    let waits = "Container web is not ready: TCP :81 found nobody who listens.";
    for target in [task.trim().rsplit('/').next().unwrap(), "shop"] {
        let story = machine.person(&format!("explain {target}")).unwrap();
        assert!(story.contains(waits), "{story}");
    }
    let table = machine.person("ps").unwrap();
    assert!(table.contains("Not ready: TCP :81 found nobody who listens"), "{table}");
    machine.python(r#"ecs.delete_service(service="shop", force=True); until("it is gone", lambda: ecs.describe_services(services=["shop"])["services"][0]["status"] == "INACTIVE")"#);
}
