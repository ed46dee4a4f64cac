//! What a user can get wrong on the way to a running task, and what ECS answers.

use kit::Machine;

#[test]
fn every_mistake_has_its_answer() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(
        r#"
e = ecs.exceptions
assert refused("ClusterNotFoundException", ecs.run_task, cluster="nope", taskDefinition="x") == "Cluster not found."
assert refused("ClusterNotFoundException", ecs.list_tasks, cluster="nope") == "Cluster not found."
assert ecs.describe_clusters(clusters=["nope"])["failures"][0]["reason"] == "MISSING"
assert refused("ClientException", ecs.run_task, taskDefinition="nope") == "TaskDefinition not found."
refused("InvalidParameterException", ecs.stop_task, task="0" * 32)

register()
arn = ecs.register_task_definition(family="old", containerDefinitions=[hello()])["taskDefinition"]["taskDefinitionArn"]
ecs.deregister_task_definition(taskDefinition=arn)
assert "inactive" in refused("InvalidParameterException", ecs.run_task, taskDefinition=arn).lower()

def reasons(containers, **more):
    register("big", containers, **more)
    answer = ecs.run_task(taskDefinition="big")
    assert not answer["tasks"], answer
    return sorted({f["reason"] for f in answer["failures"]})
assert reasons([hello(memory=4000000)]) == ["RESOURCE:MEMORY"]
assert reasons([hello(cpu=10240)]) == ["RESOURCE:CPU"]
register("static", [hello(portMappings=[{"containerPort": 80, "hostPort": 18080}])])
first = run("static")[0]
running(first)
again = ecs.run_task(taskDefinition="static")
assert [f["reason"] for f in again["failures"]] == ["RESOURCE:PORTS"], again

refused("InvalidParameterException", ecs.create_cluster, clusterName="x" * 256)
refused("InvalidParameterException", ecs.create_service, serviceName="no spaces", taskDefinition="hello", desiredCount=1)
refused("ClientException", ecs.register_task_definition, family="f" * 256, containerDefinitions=[hello()])
big = [hello(environment=[{"name": "A", "value": "x" * 70000}])]
assert "65536" in refused("ClientException", ecs.register_task_definition, family="f", containerDefinitions=big)
refused("ClientException", ecs.register_task_definition, family="f", containerDefinitions=[])
refused("InvalidParameterException", ecs.run_task, taskDefinition="hello", count=11)
assert "FARGATE" in refused("UnsupportedFeatureException", ecs.run_task, taskDefinition="hello", launchType="FARGATE")

# On the wire, past the client's own checks.
def raw(body, target="ListClusters", content="application/x-amz-json-1.1"):
    request = urllib.request.Request("http://127.0.0.1:4566/", data=body, headers={
        "X-Amz-Target": "AmazonEC2ContainerServiceV20141113." + target, "Content-Type": content})
    try:
        return urllib.request.urlopen(request).status, {}
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
import urllib.error
assert raw(b"{}")[0] == 200
assert raw(b"{")[1]["__type"].endswith("SerializationException")
assert raw(b'{"maxResults":"ten"}')[1]["__type"].endswith("SerializationException")
status, answer = raw(b"{}", target="NoSuchOperation")
assert status == 400 and answer["__type"].endswith("UnknownOperationException"), answer
"#,
    );
    // The aws CLI says what ECS says.
    let unknown = machine.aws("ecs list-services --cluster nope").unwrap_err();
    assert!(unknown.contains("ClusterNotFoundException") && unknown.contains("Cluster not found."), "{unknown}");
}

#[test]
fn a_container_that_cannot_start_says_why() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(
        r#"
def why(**changes):
    register("bad", [hello(**changes)])
    t = stopped(run("bad")[0])
    assert t["stopCode"] == "TaskFailedToStart", t
    return t["stoppedReason"]
reason = why(command=["x"], entryPoint=["/no/such/program"])
assert reason.startswith("CannotStartContainerError") and "/no/such/program" in reason, reason
for image, words in [
    ("127.0.0.1:4566/nobody/nothing:1", "not found"),
    ("000000000000.dkr.ecr.us-east-1.amazonaws.com/nothing:1", "not found"),
    ("127.0.0.1:1/unreachable:1", "connection refused"),
    ("UPPER/case:1", "invalid reference format"),
]:
    reason = why(image=image)
    assert reason.startswith("CannotPullContainerError"), reason
    assert words in reason, (words, reason)
reason = why(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "/no/group", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}})
assert "The specified log group does not exist" in reason, reason

# It ran, and then it ended: other words, and the exit code.
register("ends", [hello()])
arn = run("ends")[0]
p = port(running(arn))
try: get(p, "/exit?code=3")
except Exception: pass
t = stopped(arn)
assert (t["stopCode"], t["containers"][0]["exitCode"]) == ("EssentialContainerExited", 3), t
assert t["stoppedReason"] == "Essential container in task exited", t
arn = run("ends")[0]
p = port(running(arn))
try: get(p, "/eat?mb=200")
except Exception: pass
t = stopped(arn)
assert t["containers"][0]["exitCode"] == 137, t
assert t["containers"][0]["reason"].startswith("OutOfMemoryError: Container killed due to memory usage"), t
"#,
    );
}
