//! The aws CLI and boto3, unmodified.

mod world;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, Gateway};
use world::World;

const PATIENCE: Duration = Duration::from_secs(60);

/// Serves ECS on a port of its own and gives its URL. There is one instance in `default`, and the definition `web:1`.
async fn serve() -> String {
    let (world, _) = World::ready().await;
    let router: Arc<dyn shape::Service> = Arc::new(api_ecs::Router(Arc::new(world.ecs)));
    let gateway = Arc::new(Gateway::new(vec![router], AuthMode::Open));
    let app = axum::Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// Runs a client with nothing of this machine's AWS configuration. Gives standard output, or standard error if it failed.
async fn run(program: &str, url: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "123456789012")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

const BOTO: &str = r#"
import boto3
from botocore.config import Config
ecs = boto3.client("ecs", config=Config(retries={"max_attempts": 0}))

def refused(code, message, call, **arguments):
    try:
        call(**arguments)
    except getattr(ecs.exceptions, code) as e:
        assert e.response["Error"]["Message"] == message, e
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400, e
        return e.response
    raise SystemExit(f"{code} was not raised for {arguments}")

refused("ClusterNotFoundException", "Cluster not found.", ecs.list_tasks, cluster="nowhere")
refused("InvalidParameterException", "Tasks cannot be empty.", ecs.describe_tasks, tasks=[])
refused("ClientException", "TaskDefinition not found.", ecs.run_task, taskDefinition="nope")
refused("ServiceNotFoundException", "Service not found.", ecs.update_service, service="nope", desiredCount=1)
refused("InvalidParameterException", "Invalid token.", ecs.list_tasks, nextToken="nonsense")
refused("ClientException", "Container list cannot be empty.", ecs.register_task_definition, family="f", containerDefinitions=[])
refused("UnsupportedFeatureException", "The launch type FARGATE is not supported by this version of Berth.",
        ecs.run_task, taskDefinition="web", launchType="FARGATE")
ecs.create_cluster(clusterName="empty")
refused("InvalidParameterException", "No Container Instances were found in your cluster.",
        ecs.run_task, cluster="empty", taskDefinition="web")

ecs.register_task_definition(family="large", containerDefinitions=[
    {"name": "app", "image": "hello:1", "memory": 1 << 20, "portMappings": [{"containerPort": 80}]}])
answer = ecs.run_task(taskDefinition="large")
assert [f["reason"] for f in answer["failures"]] == ["RESOURCE:MEMORY"] and answer["tasks"] == [], answer

first = ecs.run_task(taskDefinition="web", count=2, clientToken="abc")["tasks"]
again = ecs.run_task(taskDefinition="web", count=2, clientToken="abc")["tasks"]
assert [t["taskArn"] for t in first] == [t["taskArn"] for t in again]
conflict = refused("ConflictException", "The RunTask request could not be processed due to conflicts. The provided clientToken is "
                   "already in use with a different RunTask request.", ecs.run_task, taskDefinition="web", count=3, clientToken="abc")
assert sorted(conflict["resourceIds"]) == sorted(t["taskArn"] for t in first), conflict

ecs.create_service(serviceName="s", taskDefinition="web", desiredCount=1)
refused("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.", ecs.delete_service, service="s")
refused("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.", ecs.delete_cluster, cluster="default")
pages = ecs.get_paginator("list_tasks").paginate(PaginationConfig={"PageSize": 1})
listed = [arn for page in pages for arn in page["taskArns"]]
assert sorted(listed) == sorted(t["taskArn"] for t in first), listed
described = ecs.describe_tasks(tasks=listed + ["nope"], include=["TAGS"])
assert len(described["tasks"]) == 2 and described["failures"][0]["reason"] == "MISSING", described
stopped = ecs.stop_task(task=listed[0], reason="too expensive")["task"]
assert (stopped["desiredStatus"], stopped["stoppedReason"]) == ("STOPPED", "too expensive"), stopped

[instance] = ecs.list_container_instances()["containerInstanceArns"]
stack = {"name": "stack", "value": "prod", "targetType": "container-instance", "targetId": instance.split("/")[-1]}
assert ecs.put_attributes(attributes=[stack])["attributes"] == [{"name": "stack", "value": "prod", "targetId": instance}]
named = lambda: ecs.list_attributes(targetType="container-instance", attributeName="stack")["attributes"]
assert [one["value"] for one in named()] == ["prod"], named()
on = lambda value: [{"type": "memberOf", "expression": f"attribute:stack == {value}"}]
assert len(ecs.run_task(taskDefinition="web", placementConstraints=on("prod"))["tasks"]) == 1
assert ecs.run_task(taskDefinition="web", placementConstraints=on("test"))["tasks"] == []
[why] = ecs.run_task(taskDefinition="web", placementConstraints=on("test"))["failures"]
assert (why["arn"], why["reason"]) == (instance, "MemberOf placement constraint unsatisfied."), why
found = lambda query: ecs.list_container_instances(filter=query)["containerInstanceArns"]
assert found("attribute:stack =~ p.*d and registeredAt > 2018-06-18 and not (task:group == service:none)") == [instance]
assert found("attribute:stack not_in [prod, test] or agentVersion >= 1.0") == []
refused("InvalidParameterException", "Invalid expression: stack == prod: 'stack' is no subject of the cluster query language",
        ecs.list_container_instances, filter="stack == prod")
refused("InvalidParameterException", "distinctInstance expression should not be specified.", ecs.run_task, taskDefinition="web",
        placementConstraints=[{"type": "distinctInstance", "expression": "attribute:stack exists"}])
ecs.delete_attributes(attributes=[{"name": "stack", "targetId": instance}])
assert named() == [], named()
refused("TargetNotFoundException", "The specified target nope was not found.", ecs.put_attributes,
        attributes=[dict(stack, targetId="nope")])
ecs.put_attributes(attributes=[stack])
refused("AttributeLimitExceededException", f"{instance} would have more than 10 custom attributes.", ecs.put_attributes,
        attributes=[dict(stack, name=f"a{n}") for n in range(10)])
refused("MissingVersionException", f"The agent version of container instance {instance} is not known.",
        ecs.update_container_agent, containerInstance=instance)
shown = ecs.describe_container_instances(containerInstances=[instance], include=["CONTAINER_INSTANCE_HEALTH"])
assert shown["containerInstances"][0]["healthStatus"] == {"overallStatus": "INSUFFICIENT_DATA", "details": []}, shown
# Availability zone rebalancing: on by default where it can be, and refused where it cannot.
def zones(name): return ecs.describe_services(services=[name])["services"][0]["availabilityZoneRebalancing"]
made = ecs.create_service(serviceName="zones", taskDefinition="web", desiredCount=0)["service"]
assert made["availabilityZoneRebalancing"] == zones("zones") == "ENABLED", made
changed = ecs.update_service(service="zones", availabilityZoneRebalancing="DISABLED")["service"]
assert changed["availabilityZoneRebalancing"] == zones("zones") == "DISABLED", changed
ecs.update_service(service="zones", deploymentConfiguration={"maximumPercent": 100, "minimumHealthyPercent": 0})
refused("InvalidParameterException", "AvailabilityZoneRebalancing does not support maximumPercent <= 100",
    ecs.update_service, service="zones", availabilityZoneRebalancing="ENABLED")
ecs.update_service(service="zones", deploymentConfiguration={"maximumPercent": 200}, availabilityZoneRebalancing="ENABLED")
assert zones("zones") == "ENABLED"
made = ecs.create_service(serviceName="packed", taskDefinition="web", desiredCount=0,
    placementStrategy=[{"type": "binpack", "field": "memory"}])["service"]
assert made["availabilityZoneRebalancing"] == "DISABLED", made
made = ecs.create_service(serviceName="everywhere", taskDefinition="web", schedulingStrategy="DAEMON")["service"]
assert made["availabilityZoneRebalancing"] == "DISABLED", made

print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_raises_the_right_exceptions() {
    let url = serve().await;
    assert_eq!(run("/usr/bin/env", &url, &["python3", "-c", BOTO]).await, Ok("done".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cli_shows_what_ecs_says() {
    let url = serve().await;
    let aws = async |line: &str| {
        // Debian's version of the CLI is older than AWS_ENDPOINT_URL.
        run(
            "/usr/bin/aws",
            &url,
            &[&["--endpoint-url", &url, "ecs"], &line.split(' ').collect::<Vec<_>>()[..]].concat(),
        )
        .await
    };
    let clusters = aws("list-clusters --output text --query clusterArns").await;
    assert_eq!(clusters, Ok("arn:aws:ecs:us-east-1:123456789012:cluster/default".into()));
    for (line, answer) in [
        (
            "run-task --task-definition nope",
            "An error occurred (ClientException) when calling the RunTask operation: TaskDefinition not found.",
        ),
        (
            "list-tasks --cluster nowhere",
            "An error occurred (ClusterNotFoundException) when calling the ListTasks operation: Cluster not found.",
        ),
        (
            "stop-task --task 0123456789abcdef0123456789abcdef",
            "An error occurred (InvalidParameterException) when calling the StopTask operation: The referenced task was not \
             found.",
        ),
    ] {
        let error = aws(line).await.unwrap_err();
        assert!(error.ends_with(answer), "{error}");
    }
}
