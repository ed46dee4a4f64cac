//! A container fills the disk that its node lives on: the node and all other tasks go on. Needs root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kit::{Machine, until};

/// A small file system of its own, in a file.
struct Disk(PathBuf);

impl Disk {
    fn mount(image: &Path, at: &Path, megabytes: u64) -> Disk {
        let file = std::fs::File::create(image).expect("the folder can be written");
        file.set_len(megabytes << 20).expect("the file system has sparse files");
        std::fs::create_dir(at).expect("the folder can be made");
        do_it(Command::new("mkfs.ext4").arg("-q").arg(image));
        do_it(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at));
        Disk(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn do_it(command: &mut Command) {
    let done = command.status().expect("it is installed");
    assert!(done.success(), "{command:?} failed");
}

#[test]
fn a_container_that_fills_the_disk_ends_alone() {
    // Declared first, so that a test that fails ends its tasks before their disk goes.
    let disk;
    let mut machine = Machine::new();
    let data = machine.data_dir();
    disk = Disk::mount(&machine.dir().join("disk.img"), &data, 300);
    let server = machine.dir().join("server").display().to_string();
    let mut server = machine.berth(&["server", "--data-dir", &server]);
    server.stdout(Stdio::null());
    machine.spawn(server);
    until("the server answers", || machine.run("curl -fs http://127.0.0.1:4566/_berth/health").ok());
    machine.python("ecs.create_cluster(clusterName='default')");
    let log = std::fs::File::create(machine.dir().join("agent.log")).expect("the folder can be written");
    let mut agent = machine.berth(&["agent"]);
    agent.stdout(Stdio::null()).stderr(log);
    let agent = machine.spawn(agent);
    let layout = conformance::write_image(machine.dir(), &conformance::program());
    until("the node takes an image", || machine.person(&format!("image load {}", layout.display())).ok());
    machine.python(
        r#"
def probe(family, words, **more):
    container = {"name": "web", "image": "probe:1", "memory": 64, "command": words, "logConfiguration": {"logDriver": "json-file"}}
    return ecs.register_task_definition(family=family, containerDefinitions=[container | more])
probe("stays", ["trap", "7", "wait"])
probe("fills", ["say", "begins", "fill", "/big", "wait"], stopTimeout=2)
until("it has joined", lambda: ecs.list_container_instances()["containerInstanceArns"])
instance = ecs.list_container_instances()["containerInstanceArns"][0]
def placed(family):
    answer = ecs.run_task(taskDefinition=family)
    return answer["tasks"] and answer["tasks"][0]["taskArn"]
stays, other = until("it takes a task", lambda: placed("stays")), until("another", lambda: placed("stays"))
for arn in (stays, other): running(arn)
fills = placed("fills")
running(fills)
def described(): return ecs.describe_container_instances(containerInstances=[instance])["containerInstances"][0]
def pressed(): return "berth.disk-pressure" in [a["name"] for a in described()["attributes"]]
until("the instance says that its disk is full", pressed)
failures = ecs.run_task(taskDefinition="stays")["failures"]
assert [f["reason"] for f in failures] == ["ATTRIBUTE"], failures
assert described()["agentConnected"]
# What runs is known to run, what ends is known to end, whatever can be written.
assert [task(arn)["lastStatus"] for arn in (stays, other)] == ["RUNNING"] * 2
ecs.stop_task(task=other)
assert stopped(other)["containers"][0]["exitCode"] == 7, task(other)
ecs.stop_task(task=fills)
assert stopped(fills)["containers"][0]["exitCode"] in (137, 143), task(fills)
until("there is room again", lambda: not pressed(), 120)
fresh = until("it takes tasks again", lambda: placed("stays"))
running(fresh)
for arn in (stays, fresh):
    ecs.stop_task(task=arn)
    assert stopped(arn)["containers"][0]["exitCode"] == 7, task(arn)
"#,
    );
    until("nothing is left of the tasks", || machine.unowned(&Default::default()).is_empty().then_some(()));
    let said = std::fs::read_to_string(machine.dir().join("agent.log")).expect("it is there");
    assert!(said.contains("the disk is nearly full"), "{said}");
    do_it(Command::new("kill").args(["-TERM", &agent.to_string()]));
    drop(disk);
}
