//! What a definition limits is limited, whichever kind of cgroups the machine has. The client is curl, so that this runs on a
//! machine with little else: see `tools/v2-machine`.

use std::fs;
use std::path::{Path, PathBuf};

use kit::{Machine, until};
use serde_json::{Value, json};

const MIB: u64 = 1024 * 1024;

/// One call of the ECS API.
fn ecs(machine: &Machine, operation: &str, input: Value) -> Value {
    let target = format!("X-Amz-Target: AmazonEC2ContainerServiceV20141113.{operation}");
    let scope = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=00";
    let mut curl = machine.client("curl");
    curl.args(["-sS", "-H", &target, "-H", scope, "-H", "Content-Type: application/x-amz-json-1.1"]);
    curl.args(["-d", &input.to_string(), "http://127.0.0.1:4566/"]);
    let output = curl.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let answer: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{operation}: {error}: {said}"));
    assert_eq!(answer["__type"], Value::Null, "{operation}: {answer}");
    answer
}

/// Runs a task of one container, which is the sample with these changes, and waits until it is there.
fn run(machine: &Machine, family: &str, definition: Value, container: Value) -> Value {
    let mut web = json!({
        "name": "web", "image": "hello-world:1", "memory": 64, "essential": true, "portMappings": [{ "containerPort": 80 }],
    });
    web.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let mut register = json!({ "family": family, "containerDefinitions": [web] });
    register.as_object_mut().unwrap().extend(definition.as_object().unwrap().clone());
    ecs(machine, "RegisterTaskDefinition", register);
    let ran = ecs(machine, "RunTask", json!({ "taskDefinition": family }));
    assert_eq!(ran["failures"], json!([]), "{ran}");
    reaches(machine, ran["tasks"][0]["taskArn"].as_str().unwrap(), "RUNNING")
}

fn reaches(machine: &Machine, task: &str, status: &str) -> Value {
    until(&format!("{task} is {status}"), || {
        let task = ecs(machine, "DescribeTasks", json!({ "tasks": [task] }))["tasks"][0].clone();
        (task["lastStatus"] == status).then_some(task)
    })
}

fn arn(task: &Value) -> &str {
    task["taskArn"].as_str().unwrap()
}

fn get(machine: &Machine, task: &Value, path: &str) -> Result<String, String> {
    let port = &task["containers"][0]["networkBindings"][0]["hostPort"];
    machine.run(&format!("curl -sS --max-time 30 http://127.0.0.1:{port}{path}"))
}

/// The container's first process.
fn pid(machine: &Machine, task: &Value) -> String {
    let id = arn(task).rsplit('/').next().unwrap();
    let containers = machine.data_dir().join("node/tasks").join(id).join("containers");
    let container = fs::read_dir(containers).unwrap().next().unwrap().unwrap().path();
    fs::read_to_string(container.join("pid")).unwrap().trim().to_owned()
}

/// The cgroup of a process in the tree of a controller, or in the only one.
fn cgroup(pid: &str, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let root = Path::new("/sys/fs/cgroup");
    let is_v2 = root.join("cgroup.controllers").exists();
    let path = text.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(":/")?;
        (is_v2 && names.is_empty() || names.split(',').any(|name| name == controller)).then_some(path)
    });
    let path = path.unwrap_or_else(|| panic!("no {controller} in {text}"));
    if is_v2 { root.join(path) } else { root.join(controller).join(path) }
}

/// The content of the file that has the first of these names, which v1 has, or else the second, of v2.
fn setting(dir: &Path, names: [&str; 2]) -> String {
    let read = |name: &&str| fs::read_to_string(dir.join(name)).ok();
    let text = names.iter().find_map(read).unwrap_or_else(|| panic!("{names:?} are not in {}", dir.display()));
    text.trim().to_owned()
}

#[test]
fn a_tasks_cgroups_have_its_limits_and_go_with_it() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let container = json!({ "cpu": 512, "memory": 48, "memoryReservation": 32, "linuxParameters": { "maxSwap": 16 } });
    let task = run(&machine, "limited", json!({ "cpu": "512", "memory": "96" }), container);
    assert!(get(&machine, &task, "/").unwrap().contains("version 1"));

    let pid = pid(&machine, &task);
    let (memory, cpu) = (cgroup(&pid, "memory"), cgroup(&pid, "cpu"));
    let memory_of = |dir: &Path| setting(dir, ["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(memory_of(&memory), (48 * MIB).to_string());
    assert_eq!(memory_of(memory.parent().unwrap()), (96 * MIB).to_string());
    assert_eq!(setting(&memory, ["memory.soft_limit_in_bytes", "memory.low"]), (32 * MIB).to_string());
    // On v1 of both together, and on v2 of the swap alone; neither is there on a kernel without swap.
    if let Ok(both) = fs::read_to_string(memory.join("memory.memsw.limit_in_bytes")) {
        assert_eq!(both.trim(), (64 * MIB).to_string());
    } else if let Ok(swap) = fs::read_to_string(memory.join("memory.swap.max")) {
        assert_eq!(swap.trim(), (16 * MIB).to_string());
    }
    let share = setting(&cpu, ["cpu.shares", "cpu.weight"]);
    // The kernel's scale of v2 goes from 1 to 10,000; runtimes map 512 differently.
    assert!(share == "512" || (1..=100).contains(&share.parse::<u32>().unwrap()), "{share}");
    let quota = setting(cpu.parent().unwrap(), ["cpu.cfs_quota_us", "cpu.max"]);
    assert_eq!(quota.split(' ').next(), Some("50000"), "half a vCPU of 100 ms");

    let mib = until("its use is shown", || {
        let shown = machine.person("top --once").unwrap();
        // TASK NAME STATUS HEALTH CPU% MiB
        let line = shown.lines().find(|line| line.contains("limited"))?.to_owned();
        let figure = |column| line.split_whitespace().nth(column)?.parse::<f64>().ok();
        figure(4).and(figure(5))
    });
    assert!((0.0..48.0).contains(&mib), "{mib} MiB");

    ecs(&machine, "StopTask", json!({ "task": arn(&task) }));
    let stopped = reaches(&machine, arn(&task), "STOPPED");
    assert_eq!(stopped["containers"][0]["exitCode"], 0, "the sample ends by itself at SIGTERM: {stopped}");
    until("the cgroups go", || (!memory.parent()?.exists() && !cpu.parent()?.exists()).then_some(()));
    assert!(machine.stop().success());
}

#[test]
fn ends_are_told_as_they_were() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let task = run(&machine, "quits", json!({}), json!({}));
    let _ = get(&machine, &task, "/exit?code=7");
    let stopped = reaches(&machine, arn(&task), "STOPPED");
    assert_eq!(
        (&stopped["containers"][0]["exitCode"], &stopped["stopCode"]),
        (&json!(7), &json!("EssentialContainerExited"))
    );

    let task = run(&machine, "eats", json!({}), json!({ "memory": 24 }));
    let _ = get(&machine, &task, "/eat?mb=64");
    let stopped = reaches(&machine, arn(&task), "STOPPED");
    let container = &stopped["containers"][0];
    assert_eq!(container["exitCode"], 137, "{stopped}");
    assert_eq!(container["reason"], "OutOfMemoryError: Container killed due to memory usage", "{stopped}");

    // It finishes the requests under way, and this one takes longer than it is given.
    let task = run(&machine, "slow", json!({}), json!({ "stopTimeout": 2 }));
    let port = &task["containers"][0]["networkBindings"][0]["hostPort"];
    let mut request = machine.client("curl");
    request.args(["-s", &format!("http://127.0.0.1:{port}/slow?ms=50000")]);
    machine.spawn(request);
    let pid = pid(&machine, &task);
    until("the request is there", || {
        let output = machine.run(&format!("nsenter --net=/proc/{pid}/ns/net cat /proc/self/net/tcp")).unwrap();
        // State 1 is an established connection.
        output.lines().any(|line| line.split_whitespace().nth(3) == Some("01")).then_some(())
    });
    ecs(&machine, "StopTask", json!({ "task": arn(&task), "reason": "enough" }));
    let stopped = reaches(&machine, arn(&task), "STOPPED");
    assert_eq!(stopped["containers"][0]["exitCode"], 137, "SIGKILL follows SIGTERM: {stopped}");
    assert_eq!(stopped["stoppedReason"], "enough");
}

#[test]
fn a_restarted_berth_finds_tasks_and_their_limits() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let stays = run(&machine, "stays", json!({}), json!({ "memory": 40 }));
    let quits = run(&machine, "quits", json!({}), json!({}));
    let first = pid(&machine, &stays);
    machine.kill();
    assert!(get(&machine, &stays, "/").unwrap().contains("version 1"), "nobody is there but the shim");
    let _ = get(&machine, &quits, "/exit?code=9");
    machine.start(&["--demo"]);
    assert_eq!(reaches(&machine, arn(&quits), "STOPPED")["containers"][0]["exitCode"], 9);
    reaches(&machine, arn(&stays), "RUNNING");
    assert_eq!(pid(&machine, &stays), first);
    let memory = cgroup(&first, "memory");
    assert_eq!(setting(&memory, ["memory.limit_in_bytes", "memory.max"]), (40 * MIB).to_string());
    ecs(&machine, "StopTask", json!({ "task": arn(&stays) }));
    assert_eq!(reaches(&machine, arn(&stays), "STOPPED")["containers"][0]["exitCode"], 0);
    assert!(machine.stop().success());
}
