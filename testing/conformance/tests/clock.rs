//! Somebody sets the clock by hours while tasks run: nobody waits longer or shorter for it. Needs root.

use std::fs;
use std::process::Command;

use kit::Machine;

/// The machine's own clock stays as it is: only Berth's server and agent see another, through a library that stands before libc's.
fn with_a_clock(machine: &mut Machine) {
    let source = kit::workspace().join("testing/conformance/tests/clock.c");
    let (library, moved) = (machine.dir().join("clock.so"), machine.dir().join("moved"));
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(compiled.expect("cc starts").success(), "the library does not compile");
    fs::write(&moved, 0i64.to_ne_bytes()).expect("the folder can be written");
    machine.set("LD_PRELOAD", &library.display().to_string());
    machine.set("CLOCK_MOVED", &moved.display().to_string());
}

#[test]
fn tasks_do_not_mind_who_sets_the_clock() {
    let mut machine = Machine::new();
    with_a_clock(&mut machine);
    machine.start(&[]);
    let layout = conformance::write_image(machine.dir(), &conformance::program());
    machine.person(&format!("image load {}", layout.display())).expect("the image is taken in");
    let marks = machine.dir().join("marks");
    fs::create_dir(&marks).expect("the folder can be made");
    fs::write(marks.join("well"), "").expect("the folder can be written");
    let script = r#"
import os, struct
def move(hours):
    with open(DIR + "/moved", "r+b") as file: file.write(struct.pack("q", int(hours * 3600)))
def probe(family, words, **more):
    settings = {"volumes": more.pop("volumes", [])}
    container = {"name": "web", "image": "probe:1", "memory": 32, "command": words, "logConfiguration": {"logDriver": "json-file"}}
    return ecs.register_task_definition(family=family, containerDefinitions=[container | more], **settings)["taskDefinition"]["taskDefinitionArn"]
def health(arn): return task(arn)["healthStatus"]
def ends(arn):
    began = time.monotonic()
    ecs.stop_task(task=arn)
    stopped(arn)
    return time.monotonic() - began

check = {"command": ["CMD", "/bin/probe", "has", "/marks/well"], "interval": 5, "timeout": 2, "retries": 2}
probe("well", ["trap", "0", "wait"], healthCheck=check, mountPoints=[{"sourceVolume": "marks", "containerPath": "/marks"}],
      volumes=[{"name": "marks", "host": {"sourcePath": DIR + "/marks"}}])
probe("deaf", ["stubborn", "say", "deaf", "wait"], stopTimeout=4)
probe("web", ["trap", "0", "wait"]); probe("web", ["trap", "0", "sleep", "1", "wait"])
ecs.create_service(serviceName="web", taskDefinition="web:1", desiredCount=1)
well, one, two, three = run("well")[0], *run("deaf", count=3)
for arn in (well, one, two, three): running(arn)
until("it is well", lambda: health(well) == "HEALTHY")

move(5)
took = ends(one)
assert 3.5 < took < 30, "forward: killed after %.1f s" % took
assert (task(well)["lastStatus"], health(well)) == ("RUNNING", "HEALTHY")

# A stop that is under way when the clock goes back.
began = time.monotonic()
ecs.stop_task(task=two)
move(-5)
stopped(two)
took = time.monotonic() - began
assert 3.5 < took < 30, "back: killed after %.1f s" % took
took = ends(three)
assert 3.5 < took < 30, "afterwards: killed after %.1f s" % took

# Checks go on, and a deployment finds its tasks proved.
os.unlink(DIR + "/marks/well")
until("it is not well any more", lambda: health(well) == "UNHEALTHY")
ecs.update_service(service="web", taskDefinition="web:2")
def done():
    deployments = ecs.describe_services(services=["web"])["services"][0]["deployments"]
    return len(deployments) == 1 and deployments[0]["rolloutState"] == "COMPLETED"
until("the deployment is through", done)
assert ecs.describe_container_instances(containerInstances=ecs.list_container_instances()["containerInstanceArns"])["containerInstances"][0]["agentConnected"]

# What began before the clock was set is known after a restart, by times that lie ahead.
print(well)
"#;
    let dir = machine.dir().display().to_string();
    let well = machine.python(&format!("DIR = {dir:?}\n{script}"));
    machine.kill();
    fs::write(dir + "/moved", (-9i64 * 3600).to_ne_bytes()).expect("the folder can be written");
    machine.start(&[]);
    machine.python(&format!(
        r#"
well = "{}"
until("it is taken up", lambda: task(well)["lastStatus"] == "RUNNING")
ecs.delete_service(service="web", force=True)
ecs.stop_task(task=well)
stopped(well)
until("all have ended", lambda: not ecs.list_tasks()["taskArns"])
"#,
        well.trim()
    ));
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());
}
