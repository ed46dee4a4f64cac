//! A service from one version to the next, and back from one that does not start, as boto3 sees it.

use kit::{Machine, workspace};

const ROLLING: &str = r#"
register(); register(containers=[hello(image="hello-world:2")]); register(containers=[hello(entryPoint=["/nothing"])])
def service(): return ecs.describe_services(services=["shop"])["services"][0]
def tasks(): return sorted(ecs.list_tasks(serviceName="shop")["taskArns"])
def steady(): return until("it is steady", lambda: (s := service())["deployments"][0]["rolloutState"] == "COMPLETED"
    and len(s["deployments"]) == 1 and s["runningCount"] == 3 and s)
def history(): return ecs.list_service_deployments(service="shop")["serviceDeployments"]
def described(arn): return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]
def said(s, words): return [e["message"] for e in s["events"] if words in e["message"]]

breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
ecs.create_service(serviceName="shop", taskDefinition="hello:1", desiredCount=3, deploymentConfiguration=breaker)
steady()

# Version 2, task by task: never fewer than three that run, never more than six that live.
ecs.update_service(service="shop", taskDefinition="hello:2")
arn = service()["currentServiceDeployment"]
while described(arn)["status"] in ("PENDING", "IN_PROGRESS"):
    s = service()
    assert s["runningCount"] >= 3 and s["runningCount"] + s["pendingCount"] <= 6, s
steady()
for t in map(task, tasks()):
    assert t["containers"][0]["image"] == "hello-world:2", t
    assert get(port(t)), t
d = described(arn)
assert d["status"] == "SUCCESSFUL" and d["targetServiceRevision"]["runningTaskCount"] == 3, d
revision = ecs.describe_service_revisions(serviceRevisionArns=[d["targetServiceRevision"]["arn"]])["serviceRevisions"][0]
assert revision["taskDefinition"].endswith("hello:2"), revision
assert revision["containerImages"][0]["image"] == "hello-world:2", revision

# A program that is not there: back to version 2, whose tasks were never touched.
good = tasks()
ecs.update_service(service="shop", taskDefinition="hello:3")
arn = service()["currentServiceDeployment"]
d = until("it is rolled back", lambda: (d := described(arn))["status"] == "ROLLBACK_SUCCESSFUL" and d)
assert d["deploymentCircuitBreaker"]["status"] == "TRIGGERED", d
assert d["rollback"]["serviceRevisionArn"] == revision["serviceRevisionArn"], d
s = steady()
assert s["taskDefinition"].endswith("hello:2") and tasks() == good, s
assert said(s, "deployment failed: tasks failed to start."), s["events"]
assert said(s, "the first 3 tasks failed alike: CannotStartContainerError"), s["events"]
assert said(s, "rolling back to (deployment ecs-svc/"), s["events"]

# One that a user stops.
ecs.update_service(service="shop", taskDefinition="hello:1")
arn = service()["currentServiceDeployment"]
assert ecs.stop_service_deployment(serviceDeploymentArn=arn)["serviceDeploymentArn"] == arn
until("it is rolled back", lambda: described(arn)["status"] == "ROLLBACK_SUCCESSFUL")
assert tasks() == good
refused("ConflictException", ecs.stop_service_deployment, serviceDeploymentArn=arn)
refused("ServiceDeploymentNotFoundException", ecs.stop_service_deployment, serviceDeploymentArn=arn + "0")
assert [d["status"] for d in history()] == ["ROLLBACK_SUCCESSFUL", "ROLLBACK_SUCCESSFUL", "SUCCESSFUL", "SUCCESSFUL"]
ecs.delete_service(service="shop", force=True)
until("it is gone", lambda: service()["status"] == "INACTIVE")
"#;

#[test]
fn from_one_version_to_the_next_and_back_from_a_broken_one() {
    let machine = Machine::up();
    for version in ["1", "2"] {
        let archive = workspace().join(format!("target/sample/hello-world-{version}.tar"));
        machine.person(&format!("image load {}", archive.display())).unwrap();
    }
    machine.python(ROLLING);
}
