//! How tasks are stopped, and in which order.

use serde_json::json;

use crate::world::{named, text};
use crate::{Bench, Case, Page};

const TIMEOUTS: Page = Page::Parameters("Container timeouts");

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case(
            "stop_task",
            "StopTask: SIGTERM, `UserInitiated` and the reason that was given",
            Page::Guide("Stopping an Amazon ECS task"),
            stop_task,
        ),
        case("stop_timeout", "`stopTimeout`: SIGKILL for what ignores SIGTERM", TIMEOUTS, stop_timeout),
        case(
            "stop_before_start",
            "a task that is stopped before its containers run",
            Page::Guide("Amazon ECS task lifecycle"),
            stop_before_start,
        ),
        case(
            "stop_order",
            "containers stop after those that depend on them, also through others",
            Page::Parameters("Container dependency"),
            stop_order,
        ),
        case(
            "stop_order_of_links",
            "links and `volumesFrom` order the stop as `dependsOn` does",
            Page::Parameters("Container dependency"),
            stop_order_of_links,
        ),
        case(
            "closed_stdio",
            "a container that closes its standard streams goes on",
            Page::Docker("logging"),
            closed_stdio,
        ),
        case(
            "shim_killed",
            "a task whose shim is killed ends with exit code 137, and leaves nothing",
            Page::Guide("Amazon ECS task lifecycle"),
            shim_killed,
        ),
        case(
            "stop_order_across",
            "also through a container that has ended already",
            Page::Parameters("Container dependency"),
            stop_order_across,
        ),
        case(
            "log_flood",
            "a container that prints without end is stopped like any other",
            Page::Docker("logging"),
            log_flood,
        ),
    ]
}

fn stop_task(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({}), &["trap", "6", "say", "ready", "wait"]);
    task.running();
    task.output_when("web", |said| said.contains("ready"));
    task.stop("enough of it");
    let stopped = task.stopped();
    assert_eq!((&stopped["stopCode"], &stopped["stoppedReason"]), (&json!("UserInitiated"), &json!("enough of it")));
    assert_eq!(named(&stopped, "web")["exitCode"], 6);
    task.output_when("web", |said| said.contains("trapped"));
}

fn stop_timeout(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "stopTimeout": 2 }), &["stubborn", "say", "ready", "wait"]);
    task.running();
    task.output_when("web", |said| said.contains("ready"));
    let began = std::time::Instant::now();
    task.stop("");
    assert_eq!(named(&task.stopped(), "web")["exitCode"], 137);
    assert!(began.elapsed().as_millis() >= 2000, "{:?}", began.elapsed());
}

fn stop_before_start(bench: &Bench<'_>) {
    let web = json!({ "name": "web", "command": ["say", "never"], "dependsOn": [{ "containerName": "slow", "condition": "COMPLETE" }] });
    let slow = json!({ "name": "slow", "essential": false, "command": ["trap", "0", "wait"] });
    let task = bench.run(json!({}), json!([slow, web]));
    task.when("has begun", |task| named(task, "slow")["lastStatus"] == "RUNNING");
    task.stop("");
    let stopped = task.stopped();
    assert_eq!((&named(&stopped, "slow")["exitCode"], &named(&stopped, "web")["exitCode"]), (&json!(0), &json!(null)));
}

/// Each writes its name when it ends, as late as it may.
fn in_turn(name: &str) -> Vec<String> {
    let script = ["say", "ready", "trap-and-mark", name];
    script.iter().map(|&word| word.to_owned()).collect()
}

/// Marks in the order in which containers ended.
fn order(bench: &Bench<'_>, depends: &[(&str, serde_json::Value)]) -> String {
    let folder = bench.folder();
    let container = |(name, more): &(&str, serde_json::Value)| {
        let mut container = json!({ "name": name, "command": in_turn(name), "stopTimeout": 20,
            "mountPoints": [{ "sourceVolume": "marks", "containerPath": "/marks" }] });
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        container
    };
    let settings = json!({ "volumes": [{ "name": "marks", "host": { "sourcePath": folder } }] });
    let task = bench.run(settings, depends.iter().map(container).collect());
    task.running();
    for (name, _) in depends {
        task.output_when(name, |said| said.contains("ready"));
    }
    task.stop("");
    let stopped = task.stopped();
    for (name, _) in depends {
        assert_eq!(text(&named(&stopped, name)["lastStatus"]), "STOPPED");
    }
    let said = std::fs::read_to_string(folder.join("order")).expect("they have marked it");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stop_order(bench: &Bench<'_>) {
    let on = |name: &str| json!({ "dependsOn": [{ "containerName": name, "condition": "START" }] });
    let depends = [("base", json!({})), ("middle", on("base")), ("top", on("middle"))];
    assert_eq!(order(bench, &depends), "top middle base");
}

fn stop_order_of_links(bench: &Bench<'_>) {
    let depends = [
        ("base", json!({})),
        ("linked", json!({ "links": ["base"] })),
        ("fed", json!({ "volumesFrom": [{ "sourceContainer": "linked" }] })),
    ];
    assert_eq!(order(bench, &depends), "fed linked base");
}

fn closed_stdio(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({}), &["say", "before", "close-stdio", "await", "/tmp/never"]);
    task.running();
    task.output_when("web", |said| said == "before\n");
    let pid = task.pid("web");
    assert!(std::path::Path::new(&format!("/proc/{pid}/status")).exists());
    task.stop("");
    assert_eq!(named(&task.stopped(), "web")["exitCode"], 137, "it has no handler and is the first of its namespace");
}

fn shim_killed(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({}), &["wait"]);
    task.running();
    let (pid, dir) = (task.pid("web"), bench.world.data_dir.join("node/tasks").join(task.id()));
    let shim = std::fs::read_to_string(dir.join("shim.pid")).expect("it has a shim");
    let killed = std::process::Command::new("kill").args(["-KILL", shim.trim()]).status();
    assert!(killed.expect("kill starts").success());
    let stopped = task.stopped();
    assert_eq!(named(&stopped, "web")["exitCode"], 137, "{stopped}");
    let proc = format!("/proc/{pid}");
    kit::until("its container is gone", || (!std::path::Path::new(&proc).exists()).then_some(()));
}

fn stop_order_across(bench: &Bench<'_>) {
    let folder = bench.folder();
    let on = |name: &str| json!([{ "containerName": name, "condition": "START" }]);
    let marks = json!([{ "sourceVolume": "marks", "containerPath": "/marks" }]);
    let base = json!({ "name": "base", "command": ["trap-and-mark", "base"], "mountPoints": marks });
    let middle = json!({ "name": "middle", "essential": false, "command": ["exit", "0"], "dependsOn": on("base") });
    let top = json!({ "name": "top", "command": ["say", "ready", "trap-and-mark", "top"], "mountPoints": marks, "dependsOn": on("middle") });
    let settings = json!({ "volumes": [{ "name": "marks", "host": { "sourcePath": folder } }] });
    let task = bench.run(settings, json!([base, middle, top]));
    task.running();
    task.output_when("top", |said| said.contains("ready"));
    task.when("has lost the middle", |task| named(task, "middle")["lastStatus"] == "STOPPED");
    task.stop("");
    task.stopped();
    let said = std::fs::read_to_string(folder.join("order")).expect("they have marked it");
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["top", "base"]);
}

fn log_flood(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({}), &["trap", "4", "flood"]);
    task.running();
    task.output_when("web", |said| said.len() > 100_000);
    task.stop("");
    assert_eq!(named(&task.stopped(), "web")["exitCode"], 4);
}
