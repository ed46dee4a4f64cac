//! A blue/green deployment with a pause, and one that goes back, as boto3 and a person see them.

use kit::{Machine, workspace};

const BLUE_GREEN: &str = r#"
check = {"command": ["CMD", "/berth-sample", "check"], "interval": 5, "timeout": 2, "retries": 2}
for version in "12": register(containers=[hello(image="hello-world:" + version, healthCheck=check)])
def service(): return ecs.describe_services(services=["shop"])["services"][0]
def tasks(): return sorted(ecs.list_tasks(serviceName="shop")["taskArns"])
def images(): return sorted(t["containers"][0]["image"] for t in map(task, tasks()) if t["lastStatus"] == "RUNNING")
def newest(): return ecs.describe_service_deployments(serviceDeploymentArns=[service()["currentServiceDeployment"]])["serviceDeployments"][0]
def at(stage): return until("it is at " + stage, lambda: (d := newest())["lifecycleStage"] == stage and d)
def paused(stage): return until("it waits at " + stage, lambda: (d := newest())["lifecycleStage"] == stage
    and [h for h in d["lifecycleHookDetails"] if h["status"] == "AWAITING_ACTION"] and d)
def hook(d): return [h["hookId"] for h in d["lifecycleHookDetails"] if h["status"] == "AWAITING_ACTION"][0]
def done(status): return until("it is " + status, lambda: (d := newest())["status"] == status and d)

configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}
pauses = [{"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"], "timeoutConfiguration": {"timeoutInMinutes": 10, "action": "ROLLBACK"}}]
ecs.create_service(serviceName="shop", taskDefinition="hello:1", desiredCount=2, deploymentConfiguration=configuration)
done("SUCCESSFUL")
blue = tasks()

# Green comes up beside blue, and waits for somebody.
ecs.update_service(service="shop", taskDefinition="hello:2", deploymentConfiguration={"lifecycleHooks": pauses})
d = paused("POST_SCALE_UP")
assert images() == ["hello-world:1"] * 2 + ["hello-world:2"] * 2, images()
assert set(blue) < set(tasks()), (blue, tasks())
assert d["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.0, d
assert d["lifecycleHookDetails"][0]["timeoutAction"] == "ROLLBACK", d
refused("InvalidParameterException", ecs.continue_service_deployment, serviceDeploymentArn=d["serviceDeploymentArn"], hookId="ecs-pause-0")
ecs.continue_service_deployment(serviceDeploymentArn=d["serviceDeploymentArn"], hookId=hook(d))
d = done("SUCCESSFUL")
assert d["lifecycleStage"] == "CLEAN_UP" and d["targetServiceRevision"]["requestedProductionTrafficWeight"] == 100.0, d
assert images() == ["hello-world:2"] * 2, images()
assert [e for e in service()["events"] if "waits at POST_SCALE_UP until its hook" in e["message"]]

# And back from the same place: nobody touched those that serve.
good = tasks()
ecs.update_service(service="shop", taskDefinition="hello:1")
d = paused("POST_SCALE_UP")
ecs.continue_service_deployment(serviceDeploymentArn=d["serviceDeploymentArn"], hookId=hook(d), action="ROLLBACK")
d = done("ROLLBACK_SUCCESSFUL")
assert d["rollback"]["reason"].startswith("ECS deployment lifecycle hook: rolling back to deploymentId"), d
until("green is gone", lambda: tasks() == good)

# Out of the bake, by StopServiceDeployment.
ecs.update_service(service="shop", taskDefinition="hello:1", deploymentConfiguration={"lifecycleHooks": [], "bakeTimeInMinutes": 60})
d = at("BAKE_TIME")
assert len(tasks()) == 4, tasks()
ecs.stop_service_deployment(serviceDeploymentArn=d["serviceDeploymentArn"])
done("ROLLBACK_SUCCESSFUL")
until("green is gone", lambda: tasks() == good)
refused("UnsupportedFeatureException", ecs.update_service, service="shop", deploymentConfiguration={"strategy": "CANARY"})

# Another one, which somebody else looks after.
ecs.update_service(service="shop", taskDefinition="hello:1", deploymentConfiguration={"lifecycleHooks": pauses, "bakeTimeInMinutes": 0})
paused("POST_SCALE_UP")
"#;

const THE_END: &str = r#"
def service(): return ecs.describe_services(services=["shop"])["services"][0]
until("it is deployed", lambda: (s := service())["deployments"][0]["rolloutState"] == "COMPLETED" and len(s["deployments"]) == 1)
ecs.delete_service(service="shop", force=True)
until("it is gone", lambda: service()["status"] == "INACTIVE")
"#;

#[test]
fn a_new_version_comes_up_beside_the_old_one() {
    let mut machine = Machine::up();
    for version in ["1", "2"] {
        let archive = workspace().join(format!("target/sample/hello-world-{version}.tar"));
        machine.person(&format!("image load {}", archive.display())).unwrap();
    }
    machine.python(BLUE_GREEN);
    // Berth dies at the pause, and goes on there.
    machine.kill();
    machine.start(&[]);
    let shown = machine.person("deploy watch shop --once").unwrap();
    assert!(shown.contains("IN_PROGRESS at POST_SCALE_UP, hook ecs-pause-"), "{shown}");
    let said = machine.person("deploy continue shop").unwrap();
    assert!(said.starts_with("shop goes on: ecs-pause-"), "{said}");
    assert!(machine.person("deploy continue shop --rollback").is_err(), "nobody waits any more");
    machine.python(THE_END);
}
