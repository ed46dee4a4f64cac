//! How tasks begin, and how they end by themselves.

use std::fs;

use serde_json::json;

use crate::world::{host_port, named, text};
use crate::{Bench, Case, Page};

const LIFECYCLE: Page = Page::Guide("Amazon ECS task lifecycle");
const DEPENDENCY: Page = Page::Parameters("Container dependency");
const HEALTH: Page = Page::Api("HealthCheck");
const RESTART: Page = Page::Guide("Restart individual containers in Amazon ECS tasks with container restart policies");
const ERRORS: Page = Page::Guide("Amazon ECS stopped tasks error messages");
const OVERRIDE: Page = Page::Api("ContainerOverride");

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case(
            "task_runs",
            "a task goes from PROVISIONING to RUNNING and tells its containers' ids and image digests",
            LIFECYCLE,
            task_runs,
        ),
        case(
            "essential_exits",
            "an essential container that ends stops the others and the task",
            Page::Parameters("essential"),
            essential_exits,
        ),
        case(
            "non_essential_exits",
            "one that is not essential ends alone",
            Page::Parameters("essential"),
            non_essential_exits,
        ),
        case(
            "exit_code_of_signal",
            "a program that a signal ended has exit code 128 and the signal's number",
            LIFECYCLE,
            exit_code_of_signal,
        ),
        case("cannot_pull", "`CannotPullContainerError` for an image that is not there", ERRORS, cannot_pull),
        case(
            "cannot_start",
            "`CannotStartContainerError` for a program that is not there, and `TaskFailedToStart`",
            ERRORS,
            cannot_start,
        ),
        case("out_of_memory", "`OutOfMemoryError: Container killed due to memory usage`", ERRORS, out_of_memory),
        case("depends_on_start", "`dependsOn` `START`", DEPENDENCY, depends_on_start),
        case("depends_on_complete", "`dependsOn` `COMPLETE`, whatever the exit code", DEPENDENCY, depends_on_complete),
        case("depends_on_success", "`dependsOn` `SUCCESS`", DEPENDENCY, depends_on_success),
        case(
            "depends_on_success_fails",
            "a failure where `SUCCESS` is waited for stops the task",
            DEPENDENCY,
            depends_on_success_fails,
        ),
        case("depends_on_healthy", "`dependsOn` `HEALTHY`", DEPENDENCY, depends_on_healthy),
        case(
            "start_timeout",
            "`startTimeout`: those who wait give up",
            Page::Parameters("Container timeouts"),
            start_timeout,
        ),
        case("health_command", "health check with `CMD`: container and task become HEALTHY", HEALTH, health_command),
        case("health_shell", "health check with `CMD-SHELL`", HEALTH, health_shell),
        case(
            "health_fails",
            "a health check that fails `retries` times makes container and task UNHEALTHY",
            HEALTH,
            health_fails,
        ),
        case("health_start_period", "failures within `startPeriod` do not count", HEALTH, health_start_period),
        case("restart_policy", "`restartPolicy` starts a container again, with its files", RESTART, restart_policy),
        case("restart_ignored_code", "`ignoredExitCodes` end it for good", RESTART, restart_ignored_code),
        case(
            "restart_attempt_period",
            "a container that ran for less than `restartAttemptPeriod` is not started again",
            RESTART,
            restart_attempt_period,
        ),
        case("override_command", "RunTask overrides `command`", OVERRIDE, override_command),
        case("override_environment", "RunTask overrides `environment`, and adds to it", OVERRIDE, override_environment),
        case(
            "override_sizes",
            "RunTask overrides `cpu`, `memory` and `memoryReservation` of a container",
            OVERRIDE,
            override_sizes,
        ),
        case(
            "override_task_size",
            "RunTask overrides the task's `cpu` and `memory`",
            Page::Api("TaskOverride"),
            override_task_size,
        ),
    ]
}

fn task_runs(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "portMappings": [{ "containerPort": 80 }] }), &["serve", "80", "hello"]);
    let shown = task.running();
    let web = named(&shown, "web");
    assert_eq!((&shown["desiredStatus"], &web["lastStatus"]), (&json!("RUNNING"), &json!("RUNNING")));
    assert_eq!(text(&web["runtimeId"]).len(), 64, "{web}");
    assert!(text(&web["imageDigest"]).starts_with("sha256:"), "{web}");
    assert!(shown["startedAt"].is_number() && shown["createdAt"].is_number(), "{shown}");
    assert!(host_port(&shown, "web", 80) > 0);
}

fn essential_exits(bench: &Bench<'_>) {
    let main = json!({ "name": "main", "command": ["sleep", "200", "exit", "3"] });
    let side = json!({ "name": "side", "essential": false, "command": ["trap", "5", "wait"] });
    let task = bench.run(json!({}), json!([main, side]));
    let stopped = task.stopped();
    assert_eq!(stopped["stopCode"], "EssentialContainerExited");
    assert_eq!(stopped["stoppedReason"], "Essential container in task exited");
    assert_eq!(named(&stopped, "main")["exitCode"], 3);
    assert_eq!(named(&stopped, "side")["exitCode"], 5, "it was told by SIGTERM: {stopped}");
}

fn non_essential_exits(bench: &Bench<'_>) {
    let main = json!({ "name": "main", "command": ["wait"] });
    let side = json!({ "name": "side", "essential": false, "command": ["exit", "4"] });
    let task = bench.run(json!({}), json!([main, side]));
    let shown = task.when("has one container left", |task| named(task, "side")["lastStatus"] == "STOPPED");
    assert_eq!((&shown["desiredStatus"], &named(&shown, "side")["exitCode"]), (&json!("RUNNING"), &json!(4)));
    assert_eq!(named(&task.running(), "main")["lastStatus"], "RUNNING");
}

fn exit_code_of_signal(bench: &Bench<'_>) {
    let stopped = bench.does(json!({}), json!({}), &["crash"]).stopped();
    assert_eq!(named(&stopped, "web")["exitCode"], 139, "{stopped}");
}

fn cannot_pull(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "image": "127.0.0.1:4566/nothing/here:1" }), &[]);
    let stopped = task.stopped();
    assert_eq!(stopped["stopCode"], "TaskFailedToStart");
    assert!(text(&stopped["stoppedReason"]).starts_with("CannotPullContainerError: "), "{stopped}");
    assert!(text(&named(&stopped, "web")["reason"]).starts_with("CannotPullContainerError: "), "{stopped}");
    assert_eq!(named(&stopped, "web")["exitCode"], json!(null));
}

fn cannot_start(bench: &Bench<'_>) {
    let stopped = bench.does(json!({}), json!({ "entryPoint": ["nope"] }), &[]).stopped();
    assert_eq!(stopped["stopCode"], "TaskFailedToStart");
    let reason = text(&stopped["stoppedReason"]);
    assert!(reason.starts_with("CannotStartContainerError: Error response from daemon: "), "{reason}");
    assert!(reason.contains("exec: \"nope\": executable file not found in $PATH"), "{reason}");
}

fn out_of_memory(bench: &Bench<'_>) {
    let more = json!({ "memory": 16, "linuxParameters": { "maxSwap": 0 } });
    let stopped = bench.does(json!({}), more, &["eat", "200"]).stopped();
    let web = named(&stopped, "web");
    assert_eq!(web["reason"], "OutOfMemoryError: Container killed due to memory usage", "{stopped}");
    assert_eq!((&web["exitCode"], &stopped["stopCode"]), (&json!(137), &json!("EssentialContainerExited")));
}

/// Two containers with a folder in common, in which each leaves its mark.
fn marking(first: serde_json::Value, second: serde_json::Value) -> (serde_json::Value, serde_json::Value) {
    let shares = |mut container: serde_json::Value| {
        container["mountPoints"] = json!([{ "sourceVolume": "marks", "containerPath": "/marks" }]);
        container
    };
    (json!({ "volumes": [{ "name": "marks" }] }), json!([shares(first), shares(second)]))
}

fn depends_on_start(bench: &Bench<'_>) {
    let db = json!({ "name": "db", "command": ["put", "/marks/db", "here", "wait"] });
    let on = json!([{ "containerName": "db", "condition": "START" }]);
    let web = json!({ "name": "web", "command": ["await", "/marks/db", "cat", "/marks/db"], "dependsOn": on });
    let (settings, containers) = marking(web, db);
    let task = bench.run(settings, containers);
    assert_eq!(task.stopped()["stopCode"], "EssentialContainerExited");
    assert_eq!(task.output("web"), "here\n");
}

fn depends_on_complete(bench: &Bench<'_>) {
    let setup = json!({ "name": "setup", "essential": false, "command": ["sleep", "300", "put", "/marks/done", "it is", "exit", "9"] });
    let on = json!([{ "containerName": "setup", "condition": "COMPLETE" }]);
    let web = json!({ "name": "web", "command": ["cat", "/marks/done"], "dependsOn": on });
    let (settings, containers) = marking(setup, web);
    let task = bench.run(settings, containers);
    let stopped = task.stopped();
    assert_eq!((&named(&stopped, "setup")["exitCode"], &named(&stopped, "web")["exitCode"]), (&json!(9), &json!(0)));
    assert_eq!(task.output("web"), "it is\n");
}

fn depends_on_success(bench: &Bench<'_>) {
    let setup =
        json!({ "name": "setup", "essential": false, "command": ["sleep", "300", "put", "/marks/done", "it is"] });
    let on = json!([{ "containerName": "setup", "condition": "SUCCESS" }]);
    let web = json!({ "name": "web", "command": ["cat", "/marks/done"], "dependsOn": on });
    let (settings, containers) = marking(setup, web);
    let task = bench.run(settings, containers);
    task.stopped();
    assert_eq!(task.output("web"), "it is\n");
}

fn depends_on_success_fails(bench: &Bench<'_>) {
    let setup = json!({ "name": "setup", "essential": false, "command": ["exit", "7"] });
    let on = json!([{ "containerName": "setup", "condition": "SUCCESS" }]);
    let web = json!({ "name": "web", "command": ["say", "never"], "dependsOn": on });
    let stopped = bench.run(json!({}), json!([setup, web])).stopped();
    assert_eq!(stopped["stopCode"], "TaskFailedToStart", "{stopped}");
    assert_eq!(named(&stopped, "setup")["exitCode"], 7);
    let web = named(&stopped, "web");
    assert_eq!(web["exitCode"], json!(null));
    assert!(text(&web["reason"]).contains("did not exit successfully"), "{web}");
}

fn depends_on_healthy(bench: &Bench<'_>) {
    let check =
        json!({ "command": ["CMD", "/bin/probe", "has", "/marks/ready"], "interval": 5, "timeout": 2, "retries": 3 });
    let db = json!({ "name": "db", "healthCheck": check, "command": ["sleep", "500", "put", "/marks/ready", "yes", "wait"] });
    let on = json!([{ "containerName": "db", "condition": "HEALTHY" }]);
    let web = json!({ "name": "web", "command": ["cat", "/marks/ready"], "dependsOn": on });
    let (settings, containers) = marking(db, web);
    let task = bench.run(settings, containers);
    task.stopped();
    assert_eq!(task.output("web"), "yes\n");
}

fn start_timeout(bench: &Bench<'_>) {
    let db = json!({ "name": "db", "essential": false, "startTimeout": 2, "command": ["wait"] });
    let on = json!([{ "containerName": "db", "condition": "COMPLETE" }]);
    let web = json!({ "name": "web", "command": ["say", "never"], "dependsOn": on });
    let stopped = bench.run(json!({}), json!([db, web])).stopped();
    assert_eq!(stopped["stopCode"], "TaskFailedToStart", "{stopped}");
    assert!(text(&named(&stopped, "web")["reason"]).contains("timed out"), "{stopped}");
}

fn health_command(bench: &Bench<'_>) {
    let check = json!({ "command": ["CMD", "/bin/probe", "has", "/etc/passwd"], "interval": 5 });
    let task = bench.does(json!({}), json!({ "healthCheck": check }), &["wait"]);
    let shown = task.when("is HEALTHY", |task| task["healthStatus"] == "HEALTHY");
    assert_eq!(named(&shown, "web")["healthStatus"], "HEALTHY");
}

fn health_shell(bench: &Bench<'_>) {
    let check = json!({ "command": ["CMD-SHELL", "has /etc/passwd"], "interval": 5 });
    let task = bench.does(json!({}), json!({ "healthCheck": check }), &["wait"]);
    task.when("is HEALTHY", |task| named(task, "web")["healthStatus"] == "HEALTHY");
}

fn health_fails(bench: &Bench<'_>) {
    let check =
        json!({ "command": ["CMD", "/bin/probe", "has", "/nothing"], "interval": 5, "timeout": 2, "retries": 1 });
    let task = bench.does(json!({}), json!({ "healthCheck": check }), &["wait"]);
    let shown = task.when("is UNHEALTHY", |task| task["healthStatus"] == "UNHEALTHY");
    assert_eq!((&named(&shown, "web")["healthStatus"], &shown["lastStatus"]), (&json!("UNHEALTHY"), &json!("RUNNING")));
}

fn health_start_period(bench: &Bench<'_>) {
    // It becomes well after six seconds, and one failure that counts would have made it UNHEALTHY by then.
    let check = json!({ "command": ["CMD", "/bin/probe", "has", "/tmp/well"], "interval": 5, "timeout": 2, "retries": 1, "startPeriod": 60 });
    let task =
        bench.does(json!({}), json!({ "healthCheck": check }), &["sleep", "6000", "put", "/tmp/well", "now", "wait"]);
    task.when("is HEALTHY and never was otherwise", |task| {
        assert_ne!(task["healthStatus"], "UNHEALTHY", "{task}");
        task["healthStatus"] == "HEALTHY"
    });
}

fn restart_policy(bench: &Bench<'_>) {
    // The first run leaves a mark and fails after the least time that counts.
    let policy = json!({ "enabled": true, "restartAttemptPeriod": 60 });
    let refused = bench.refused(
        json!({}),
        json!([{ "name": "web", "restartPolicy": { "enabled": true, "restartAttemptPeriod": 5 } }]),
    );
    assert!(refused.is_of_the_client(), "{refused:?}");
    let helper = json!({ "name": "helper", "essential": false, "restartPolicy": policy,
        "command": ["put", "/tmp/runs", "run", "sleep", "61000", "exit", "1"] });
    let task = bench.run(json!({}), json!([{ "name": "web", "command": ["wait"] }, helper]));
    task.running();
    let again = task.run_dir("helper", 1).join("upper/tmp/runs");
    let began = std::time::Instant::now();
    while !fs::read_to_string(&again).is_ok_and(|runs| runs.lines().count() == 2) {
        assert!(began.elapsed().as_secs() < 120, "it is not started again: {}", task.describe());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(began.elapsed().as_secs() >= 60, "once in the first run and once in the second: its files are still there");
    assert_eq!(named(&task.running(), "helper")["lastStatus"], "RUNNING");
}

fn restart_ignored_code(bench: &Bench<'_>) {
    let policy = json!({ "enabled": true, "ignoredExitCodes": [0, 42], "restartAttemptPeriod": 60 });
    let stopped = bench.does(json!({}), json!({ "restartPolicy": policy }), &["exit", "42"]).stopped();
    assert_eq!(named(&stopped, "web")["exitCode"], 42);
}

fn restart_attempt_period(bench: &Bench<'_>) {
    let stopped = bench.does(json!({}), json!({ "restartPolicy": { "enabled": true } }), &["exit", "1"]).stopped();
    assert_eq!(named(&stopped, "web")["exitCode"], 1, "it ran for less than the 300 s of the default");
}

fn override_command(bench: &Bench<'_>) {
    let overrides = json!({ "containerOverrides": [{ "name": "web", "command": ["say", "overridden"] }] });
    let task = bench.run_with(json!({}), json!([{ "name": "web", "command": ["say", "defined"] }]), overrides);
    let stopped = task.stopped();
    assert_eq!(task.output("web"), "overridden\n");
    assert_eq!(stopped["overrides"]["containerOverrides"][0]["command"], json!(["say", "overridden"]));
}

fn override_environment(bench: &Bench<'_>) {
    let overrides = json!({ "containerOverrides": [{ "name": "web", "environment": [
        { "name": "B", "value": "overridden" }, { "name": "C", "value": "new" },
    ] }] });
    let defined = json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }]);
    let web = json!({ "name": "web", "environment": defined, "command": ["env", "A", "env", "B", "env", "C"] });
    let task = bench.run_with(json!({}), json!([web]), overrides);
    task.stopped();
    assert_eq!(task.output("web"), "A=1\nB=overridden\nC=new\n");
}

fn override_sizes(bench: &Bench<'_>) {
    let changed = json!({ "name": "web", "cpu": 128, "memory": 48, "memoryReservation": 24 });
    let web = json!({ "name": "web", "cpu": 64, "memory": 64, "command": ["wait"] });
    let task = bench.run_with(json!({}), json!([web]), json!({ "containerOverrides": [changed] }));
    task.running();
    let memory = |names| task.cgroup("web", "memory", names).unwrap();
    assert_eq!(memory(["memory.limit_in_bytes", "memory.max"]), (48 << 20).to_string());
    assert_eq!(memory(["memory.soft_limit_in_bytes", "memory.low"]), (24 << 20).to_string());
    let shares = task.cgroup("web", "cpu", ["cpu.shares", "cpu.weight"]).unwrap();
    assert!(["128", "5"].contains(&shares.as_str()), "{shares}");
}

fn override_task_size(bench: &Bench<'_>) {
    let web = json!({ "name": "web", "command": ["wait"] });
    let settings = json!({ "cpu": "512", "memory": "128" });
    let task = bench.run_with(settings, json!([web]), json!({ "cpu": "256", "memory": "96" }));
    let shown = task.running();
    assert_eq!((&shown["cpu"], &shown["memory"]), (&json!("256"), &json!("96")));
    let limit = task.task_cgroup("web", "memory", ["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(limit.unwrap(), (96 << 20).to_string());
    let quota = task.task_cgroup("web", "cpu", ["cpu.cfs_quota_us", "cpu.max"]).unwrap();
    assert_eq!(quota.split(' ').next(), Some("25000"));
}
