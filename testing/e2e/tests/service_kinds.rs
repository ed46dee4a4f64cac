//! Daemons, task sets, protected tasks and capacity providers, as boto3 sees them.

use kit::Machine;

const DAEMON: &str = r#"
register()
# Nobody but ours is on the instance.
for other in ecs.list_services()["serviceArns"]: ecs.delete_service(service=other, force=True)
instance = ecs.list_container_instances()["containerInstanceArns"][0]
def state(status): ecs.update_container_instances_state(containerInstances=[instance], status=status)
def service(name): return ecs.describe_services(services=[name])["services"][0]
def tasks(name): return ecs.list_tasks(serviceName=name)["taskArns"]
def steady(name): return until(name + " is steady", lambda: (s := service(name))["events"]
    and "has reached a steady state" in s["events"][0]["message"] and s)

ecs.create_service(serviceName="collector", taskDefinition="hello", schedulingStrategy="DAEMON")
s = steady("collector")
assert (s["desiredCount"], s["runningCount"], s["schedulingStrategy"]) == (1, 1, "DAEMON"), s
first = tasks("collector")
assert ecs.list_services(schedulingStrategy="DAEMON")["serviceArns"] == [s["serviceArn"]]

# A task that dies is replaced, and so is one of an older deployment; its successor comes when it has gone.
ecs.stop_task(task=first[0])
second = until("a new task", lambda: [t for t in tasks("collector") if t not in first and task(t)["lastStatus"] == "RUNNING"])
ecs.update_service(service="collector", forceNewDeployment=True)
until("it is deployed", lambda: len(d := service("collector")["deployments"]) == 1 and d[0]["rolloutState"] == "COMPLETED")
third = tasks("collector")
assert third != second, third
assert stopped(second[0])["stoppedAt"] <= task(third[0])["createdAt"]
assert task(second[0])["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")

# While the instance drains, the daemon leaves last.
alone = run()[0]
running(alone)
state("DRAINING")
until("it is not wanted there", lambda: service("collector")["desiredCount"] == 0)
assert task(third[0])["desiredStatus"] == "RUNNING"
ecs.stop_task(task=alone)
assert stopped(third[0])["stopCode"] == "ServiceSchedulerInitiated"
assert stopped(third[0])["stoppedAt"] >= stopped(alone)["stoppedAt"]
state("ACTIVE")
until("it is back", lambda: service("collector")["runningCount"] == 1)
message = refused("InvalidParameterException", ecs.update_service, service="collector", desiredCount=2)
assert message.startswith("The daemon scheduling strategy does not support a desired count"), message
last = tasks("collector")
ecs.delete_service(service="collector")
stopped(last[0])
until("it is gone", lambda: service("collector")["status"] == "INACTIVE")

# All that has stopped can still be found.
over = ecs.list_tasks(desiredStatus="STOPPED")["taskArns"]
assert {first[0], second[0], third[0], last[0], alone} <= set(over), over
"#;

const TASK_SETS: &str = r#"
register(); register()
def sets(): return ecs.describe_task_sets(cluster="default", service="shop")["taskSets"]
def live(s): return [t for t in ecs.list_tasks(serviceName="shop")["taskArns"] if task(t)["startedBy"] == s["id"]]
def scale(s, percent):
    s = ecs.update_task_set(cluster="default", service="shop", taskSet=s["id"], scale={"value": percent, "unit": "PERCENT"})["taskSet"]
    return until("it is stable", lambda: next((x for x in sets() if x["id"] == s["id"] and x["stabilityStatus"] == "STEADY_STATE"), None))
ecs.create_service(serviceName="shop", desiredCount=3, deploymentController={"type": "EXTERNAL"})
def create(revision, **more): return ecs.create_task_set(cluster="default", service="shop", taskDefinition=f"hello:{revision}", **more)["taskSet"]
blue, green = create(1, externalId="blue"), create(2)
assert scale(blue, 100)["runningCount"] == 3
ecs.update_service_primary_task_set(cluster="default", service="shop", primaryTaskSet=blue["taskSetArn"])
assert scale(green, 33.4)["runningCount"] == 2, "rounded up"
s = ecs.describe_services(services=["shop"])["services"][0]
assert [x["status"] for x in s["taskSets"]] == ["PRIMARY", "ACTIVE"], s
assert s["taskDefinition"].endswith("hello:1") and s["runningCount"] == 5, s

# What is protected stays when its set is scaled in.
kept = live(blue)[0]
answer = ecs.update_task_protection(cluster="default", tasks=[kept, "nobody"], protectionEnabled=True, expiresInMinutes=5)
assert answer["protectedTasks"][0]["protectionEnabled"] and answer["failures"][0]["reason"] == "MISSING", answer
ecs.update_task_set(cluster="default", service="shop", taskSet=blue["id"], scale={"value": 0, "unit": "PERCENT"})
until("the others have left", lambda: live(blue) == [kept])
assert task(kept)["desiredStatus"] == "RUNNING"
ecs.update_task_protection(cluster="default", tasks=[kept], protectionEnabled=False)
stopped(kept)
alone = run("hello:1")[0]
answer = ecs.update_task_protection(cluster="default", tasks=[alone], protectionEnabled=True)
assert answer["failures"] == [{"arn": alone, "reason": "TASK_NOT_VALID"}], answer
ecs.stop_task(task=alone)

ecs.update_service_primary_task_set(cluster="default", service="shop", primaryTaskSet=green["id"])
ecs.delete_task_set(cluster="default", service="shop", taskSet=blue["id"])
until("blue is gone", lambda: [x["id"] for x in sets()] == [green["id"]])
refused("TaskSetNotFoundException", ecs.delete_task_set, cluster="default", service="shop", taskSet=blue["id"])
refused("InvalidParameterException", ecs.delete_service, service="shop")
ecs.delete_service(service="shop", force=True)
until("it is gone", lambda: ecs.describe_services(services=["shop"])["services"][0]["status"] == "INACTIVE")
"#;

const CAPACITY: &str = r#"
register()
instance = ecs.list_container_instances()["containerInstanceArns"][0]
arn = "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:1:autoScalingGroupName/fleet"
made = ecs.create_capacity_provider(name="fleet-provider", autoScalingGroupProvider={"autoScalingGroupArn": arn})["capacityProvider"]
ecs.create_capacity_provider(name="empty", autoScalingGroupProvider={"autoScalingGroupArn": "nobody"})
ecs.put_cluster_capacity_providers(cluster="default", capacityProviders=["fleet-provider", "empty", "FARGATE"],
    defaultCapacityProviderStrategy=[{"capacityProvider": "fleet-provider", "weight": 1}])
answer = ecs.run_task(taskDefinition="hello")
assert answer["failures"][0]["reason"] == "ATTRIBUTE", "no instance is of the group"
ecs.put_attributes(attributes=[{"name": "berth.auto-scaling-group", "value": "fleet", "targetId": instance}])
shown = ecs.describe_container_instances(containerInstances=[instance])["containerInstances"][0]
assert shown["capacityProviderName"] == "fleet-provider", shown
t = running(run()[0])
assert (t["capacityProviderName"], t["launchType"]) == ("fleet-provider", "EC2"), t
answer = ecs.run_task(taskDefinition="hello", count=3, capacityProviderStrategy=[
    {"capacityProvider": "fleet-provider", "base": 1, "weight": 1}, {"capacityProvider": "empty", "weight": 1}])
assert len(answer["tasks"]) == 2 and answer["failures"], answer
ecs.create_service(serviceName="by-strategy", taskDefinition="hello", desiredCount=1)
s = until("it runs", lambda: (s := ecs.describe_services(services=["by-strategy"])["services"][0])["runningCount"] == 1 and s)
assert s["capacityProviderStrategy"][0]["capacityProvider"] == "fleet-provider" and "launchType" not in s, s
names = [p["name"] for p in ecs.describe_capacity_providers()["capacityProviders"]]
assert names == ["FARGATE", "FARGATE_SPOT", "empty", "fleet-provider"], names
refused("UnsupportedFeatureException", ecs.run_task, taskDefinition="hello", launchType="FARGATE")
refused("ResourceInUseException", ecs.put_cluster_capacity_providers, cluster="default", capacityProviders=[], defaultCapacityProviderStrategy=[])
refused("InvalidParameterException", ecs.delete_capacity_provider, capacityProvider="empty")

# Tasks wait for an instance of a provider whose managed scaling is on.
ecs.create_capacity_provider(name="later", autoScalingGroupProvider={
    "autoScalingGroupArn": "later", "managedScaling": {"status": "ENABLED"}})
ecs.put_cluster_capacity_providers(cluster="default", capacityProviders=["fleet-provider", "empty", "later"],
    defaultCapacityProviderStrategy=[{"capacityProvider": "later", "weight": 1}])
waiting, given_up = run()[0], run()[0]
t = task(waiting)
assert t["lastStatus"] == "PROVISIONING" and "containerInstanceArn" not in t and t["capacityProviderName"] == "later", t
assert ecs.stop_task(task=given_up)["task"]["lastStatus"] == "STOPPED"
ecs.put_attributes(attributes=[{"name": "berth.auto-scaling-group", "value": "later", "targetId": instance}])
assert running(waiting)["containerInstanceArn"] == instance

# A managed daemon of that provider: it runs on the instance, is replaced by its next revision, and leaves.
def define(memory): return ecs.register_daemon_task_definition(family="collector", containerDefinitions=[
    {"name": "web", "image": "hello-world:1", "memory": memory}])["daemonTaskDefinitionArn"]
provider = ecs.describe_capacity_providers(capacityProviders=["later"])["capacityProviders"][0]["capacityProviderArn"]
made = ecs.create_daemon(daemonName="collector", daemonTaskDefinitionArn=define(64), capacityProviderArns=[provider])
def deployment(arn): return ecs.describe_daemon_deployments(daemonDeploymentArns=[arn])["daemonDeployments"][0]
def through(arn): return until("it is deployed", lambda: (d := deployment(arn))["status"] == "SUCCESSFUL" and d)
def of_daemon(): return ecs.list_tasks(daemonName="collector")["taskArns"]
assert through(made["deploymentArn"])["targetDaemonRevision"]["totalRunningInstanceCount"] == 1
first = of_daemon()
assert task(first[0])["group"] == "daemon:collector" and task(first[0])["capacityProviderName"] == "later", task(first[0])
updated = ecs.update_daemon(daemonArn=made["daemonArn"], daemonTaskDefinitionArn=define(96), capacityProviderArns=[provider])
through(updated["deploymentArn"])
stopped(first[0])
daemon = ecs.describe_daemon(daemonArn=made["daemonArn"])["daemon"]
assert [r["totalRunningCount"] for r in daemon["currentRevisions"]] == [1], daemon
ecs.stop_task(task=of_daemon()[0])
until("it is started again", lambda: [t for t in of_daemon() if task(t)["lastStatus"] == "RUNNING"])
assert len(ecs.list_daemon_deployments(daemonArn=made["daemonArn"])["daemonDeployments"]) == 2
last = of_daemon()[0]
ecs.delete_daemon(daemonArn=made["daemonArn"])
stopped(last)
until("it is gone", lambda: not ecs.list_daemons()["daemonSummariesList"])

settings = ecs.get_paginator("list_account_settings").paginate(effectiveSettings=True).build_full_result()["settings"]
assert {s["name"]: s["value"] for s in settings}["taskLongArnFormat"] == "enabled" and len(settings) == 11, settings
ecs.put_account_setting_default(name="containerInsights", value="enabled")
made = ecs.create_cluster(clusterName="new")["cluster"]
assert made["settings"] == [{"name": "containerInsights", "value": "enabled"}], made
"#;

#[test]
fn a_daemon_from_its_creation_to_its_end() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(DAEMON);
}

#[test]
fn blue_and_green_task_sets() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(TASK_SETS);
}

#[test]
fn capacity_providers_and_account_settings() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(CAPACITY);
}
