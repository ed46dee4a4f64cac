//! What a task survives: its control plane away, its agent killed and replaced. Needs root.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use conformance::world::{World, named};
use kit::{Machine, until};
use serde_json::json;

const INSIDE: &str = "CONFORMANCE_ROBUSTNESS";
const NAME: &str = "tasks_outlive_server_and_agent";

/// Server and agent are processes of their own here; the client says which of them goes and comes by files in this folder.
#[test]
fn tasks_outlive_server_and_agent() {
    match std::env::var_os(INSIDE) {
        Some(dir) => client(&PathBuf::from(dir)),
        None => machine(),
    }
}

fn machine() {
    let mut machine = Machine::new();
    let dir = machine.dir().to_owned();
    let program = conformance::program();
    let layout = conformance::write_image(&dir, &program);
    let mut server = start_server(&mut machine);
    create_cluster(&machine);
    let mut agent = start_agent(&mut machine, &kit::berth());
    until("the node takes an image", || machine.person(&format!("image load {}", layout.display())).ok());
    let mut client = machine.command(&std::env::current_exe().expect("this program").display().to_string());
    client.args(["--exact", NAME, "--nocapture"]).env(INSIDE, &dir);
    let mut client = client.spawn().expect("this program starts");
    let status = loop {
        if dir.join("kill-server").exists() {
            kill(server);
            done(&dir, "kill-server");
        }
        if dir.join("start-server").exists() {
            server = start_server(&mut machine);
            done(&dir, "start-server");
        }
        if dir.join("replace-agent").exists() {
            kill(agent);
            // Another program at another place, as after an upgrade.
            let newer = dir.join("berth-newer");
            std::fs::copy(kit::berth(), &newer).expect("the folder can be written");
            agent = start_agent(&mut machine, &newer);
            done(&dir, "replace-agent");
        }
        if let Some(status) = client.try_wait().expect("it is a child of ours") {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(status.success());
    kill(agent);
}

fn start_server(machine: &mut Machine) -> u32 {
    let dir = machine.dir().join("server").display().to_string();
    let mut server = machine.berth(&["server", "--data-dir", &dir, "--listen", "127.0.0.1:4566"]);
    server.stdout(Stdio::null()).stderr(Stdio::null());
    let id = machine.spawn(server);
    until("the server answers", || machine.run("curl -s http://127.0.0.1:4566/").ok());
    id
}

/// By curl: this runs on machines with little else.
fn create_cluster(machine: &Machine) {
    let mut curl = machine.client("curl");
    curl.args(["-sSf", "-H", "X-Amz-Target: AmazonEC2ContainerServiceV20141113.CreateCluster"]);
    curl.args(["-H", "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=00"]);
    curl.args([
        "-H",
        "Content-Type: application/x-amz-json-1.1",
        "-d",
        r#"{"clusterName":"default"}"#,
        "http://127.0.0.1:4566/",
    ]);
    assert!(curl.output().expect("curl runs").status.success(), "the cluster is made");
}

fn start_agent(machine: &mut Machine, berth: &Path) -> u32 {
    let dir = machine.data_dir().display().to_string();
    let mut agent = machine.command(&berth.display().to_string());
    agent.args(["agent", "--data-dir", &dir]).stdout(Stdio::null()).stderr(Stdio::null());
    machine.spawn(agent)
}

fn kill(process: u32) {
    let _ = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status();
}

fn done(dir: &Path, what: &str) {
    std::fs::remove_file(dir.join(what)).expect("it was asked for");
}

fn ask(dir: &Path, what: &str) {
    std::fs::write(dir.join(what), "").expect("the folder can be written");
    until(&format!("{what} is done"), || (!dir.join(what).exists()).then_some(()));
}

fn client(dir: &Path) {
    let world = World::new("http://127.0.0.1:4566", dir.join("data"), dir.join("shared"));
    let bench = world.bench("outlives");
    let folder = bench.folder();
    let go = |name: &str| std::fs::write(folder.join(name), "").expect("the folder can be written");
    let run = |words: &[&str]| {
        let mounts = json!([{ "sourceVolume": "marks", "containerPath": "/marks" }]);
        let containers = json!([{ "name": "web", "command": words, "mountPoints": mounts }]);
        let settings = json!({ "volumes": [{ "name": "marks", "host": { "sourcePath": folder } }] });
        let definition = bench.register(settings, containers).expect("it is registered");
        until("an instance is there", || bench.try_start(&definition))
    };
    let stays = run(&["trap", "0", "wait"]);
    stays.running();
    let (quits, later) = (run(&["await", "/marks/one", "exit", "3"]), run(&["await", "/marks/two", "exit", "4"]));
    quits.running();
    later.running();
    let first = stays.pid("web");
    let dirs = [("one", quits.container_dir("web")), ("two", later.container_dir("web"))];

    // The server is away while one ends after the other.
    ask(dir, "kill-server");
    for (name, dir) in &dirs {
        go(name);
        until("it has ended", || dir.join("exit.json").exists().then_some(()));
    }
    ask(dir, "start-server");
    let (quits, later) = (quits.stopped(), later.stopped());
    assert_eq!((&named(&quits, "web")["exitCode"], &named(&later, "web")["exitCode"]), (&json!(3), &json!(4)));
    let ended = |task: &serde_json::Value| task["executionStoppedAt"].as_f64().expect("it is told");
    assert!(ended(&quits) < ended(&later), "as it was, and in order");
    assert_eq!(stays.running()["lastStatus"], "RUNNING");

    // The agent is killed, and a newer one takes its tasks up.
    let during = run(&["await", "/marks/three", "exit", "5"]);
    during.running();
    ask(dir, "replace-agent");
    go("three");
    assert_eq!(named(&during.stopped(), "web")["exitCode"], 5);
    assert_eq!(stays.pid("web"), first, "nobody touched it");
    let fresh = run(&["exit", "6"]);
    assert_eq!(named(&fresh.stopped(), "web")["exitCode"], 6);
    stays.stop("that is all");
    assert_eq!(named(&stays.stopped(), "web")["exitCode"], 0);
}
