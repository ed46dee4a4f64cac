//! How tasks are told about.

use api_ecs::NetworkBinding;
use expect_test::{Expect, expect};

use super::*;
use crate::person::paint::Paint;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

fn ago(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(NOW.as_millis() - seconds * 1000))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn task(status: &str) -> Task {
    Task {
        task_arn: some("arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef"),
        cluster_arn: some("arn:aws:ecs:us-east-1:000000000000:cluster/blue"),
        container_instance_arn: some("arn:aws:ecs:us-east-1:000000000000:container-instance/blue/fedcba9876543210"),
        task_definition_arn: some("arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"),
        group: some("service:web"),
        started_by: some("ecs-svc/1"),
        last_status: some(status),
        desired_status: some(if status == "STOPPED" { "STOPPED" } else { "RUNNING" }),
        created_at: ago(300),
        ..Task::default()
    }
}

fn container() -> Container {
    let port = NetworkBinding { host_port: Some(32768), container_port: Some(80), ..NetworkBinding::default() };
    Container {
        name: some("app"),
        image: some("web:1"),
        last_status: some("RUNNING"),
        network_bindings: Some(vec![port]),
        ..Container::default()
    }
}

fn check(task: &Task, instance: Option<&ContainerInstance>, expected: Expect) {
    expected.assert_eq(&story(task, instance, NOW).render(Paint::Plain));
}

#[test]
fn one_that_runs() {
    let task = Task { started_at: ago(200), containers: Some(vec![container()]), ..task("RUNNING") };
    check(
        &task,
        None,
        expect![[r#"
        task 01234567: RUNNING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          instance    fedcba98
          times       created 5m ago, started 3m ago
          container   app (web:1) RUNNING, http://127.0.0.1:32768->80

        Why
          All of its essential containers run.

        Next
          Nothing needs to be done. `berth logs --follow 01234567` shows what it writes.
    "#]],
    );
}

#[test]
fn one_that_is_unhealthy_on_a_lonely_instance() {
    let sick = Container { health_status: some("UNHEALTHY"), ..container() };
    let task = Task { health_status: some("UNHEALTHY"), containers: Some(vec![sick]), ..task("RUNNING") };
    let instance = ContainerInstance {
        container_instance_arn: task.container_instance_arn.clone(),
        agent_connected: Some(false),
        status: some("DRAINING"),
        ..ContainerInstance::default()
    };
    check(
        &task,
        Some(&instance),
        expect![[r#"
        task 01234567: RUNNING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          instance    fedcba98
          health      UNHEALTHY
          times       created 5m ago
          container   app (web:1) RUNNING, UNHEALTHY, http://127.0.0.1:32768->80

        Why
          Container app fails its health check.
          The agent of instance fedcba98 is not connected, so nothing new is known of the task.
          Instance fedcba98 is DRAINING.

        Next
          Run the health check's command in the container by hand; `berth logs 01234567` shows what the program says.
    "#]],
    );
}

#[test]
fn one_that_is_not_ready() {
    let reason = some("Not ready: GET :80/ready answered 503");
    let app = Container { health_status: some("HEALTHY"), reason, ..container() };
    let side = Container { name: some("side"), reason: some("Not ready"), ..container() };
    let task = Task { health_status: some("HEALTHY"), containers: Some(vec![app, side]), ..task("RUNNING") };
    check(
        &task,
        None,
        expect![[r#"
        task 01234567: RUNNING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          instance    fedcba98
          health      HEALTHY
          times       created 5m ago
          container   app (web:1) RUNNING, HEALTHY, http://127.0.0.1:32768->80
          container   side (web:1) RUNNING, http://127.0.0.1:32768->80

        Why
          Container app is not ready: GET :80/ready answered 503.
          Container side is not ready.

        Next
          Wait: a task that is not ready is not replaced, and no deployment relies on it. `berth logs 01234567` shows what it writes.
    "#]],
    );
}

#[test]
fn one_whose_probe_fails() {
    let reason = some("Health probe failed: TCP :80 found nobody who listens");
    let sick = Container { health_status: some("UNHEALTHY"), reason, ..container() };
    let task = Task { health_status: some("UNHEALTHY"), containers: Some(vec![sick]), ..task("RUNNING") };
    check(
        &task,
        None,
        expect![[r#"
        task 01234567: RUNNING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          instance    fedcba98
          health      UNHEALTHY
          times       created 5m ago
          container   app (web:1) RUNNING, UNHEALTHY, http://127.0.0.1:32768->80

        Why
          Container app fails its health probe: TCP :80 found nobody who listens.

        Next
          `berth logs 01234567` shows what the program says.
    "#]],
    );
}

#[test]
fn one_that_ran_out_of_memory() {
    let ended = Container {
        last_status: some("STOPPED"),
        exit_code: Some(137),
        reason: some("OutOfMemoryError: Container killed due to memory usage"),
        ..container()
    };
    let side = Container { name: some("side"), exit_code: Some(143), last_status: some("STOPPED"), ..container() };
    let task = Task {
        group: some("family:web"),
        started_by: some("ci"),
        stop_code: some("EssentialContainerExited"),
        stopped_reason: some("Essential container in task exited"),
        stopped_at: ago(10),
        containers: Some(vec![ended, side]),
        ..task("STOPPED")
    };
    check(
        &task,
        None,
        expect![[r#"
        task 01234567: STOPPED
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          definition  web:3
          started by  ci
          cluster     blue
          instance    fedcba98
          times       created 5m ago, stopped 10s ago
          container   app (web:1) STOPPED, exit code 137
          container   side (web:1) STOPPED, exit code 143

        Why
          Essential container in task exited.
          Container app: exit code 137, killed (SIGKILL). OutOfMemoryError: Container killed due to memory usage.
          Container side: exit code 143, it was asked to end (SIGTERM).

        Next
          Give the container more `memory` in its task definition, or make the program need less. `berth logs 01234567` shows what it wrote last.
    "#]],
    );
}

#[test]
fn one_that_never_started() {
    let reason = "CannotPullContainerError: Error response from daemon: nothing there";
    let ended = Container { last_status: some("STOPPED"), reason: some(reason), ..container() };
    let task = Task {
        stop_code: some("TaskFailedToStart"),
        stopped_reason: some(reason),
        stopped_at: ago(10),
        containers: Some(vec![ended]),
        ..task("STOPPED")
    };
    check(
        &task,
        None,
        expect![[r#"
            task 01234567: STOPPED
              arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
              service     web
              definition  web:3
              cluster     blue
              instance    fedcba98
              times       created 5m ago, stopped 10s ago
              container   app (web:1) STOPPED

            Why
              CannotPullContainerError: Error response from daemon: nothing there.

            Next
              Check the name and tag of web:1. `berth image ls` shows what this node has; `docker save web:1 -o FILE` and `berth image load FILE` bring it without a registry.
        "#]],
    );
}

#[test]
fn one_that_is_on_its_way() {
    let pulling = Task { pull_started_at: ago(7), ..task("PENDING") };
    check(
        &pulling,
        None,
        expect![[r#"
        task 01234567: PENDING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          instance    fedcba98
          times       created 5m ago

        Why
          It has been pulling its images for 7s.

        Next
          Wait; `berth image load` brings an image without a registry, if the network is slow.
    "#]],
    );
    let unplaced = Task { container_instance_arn: None, ..task("PROVISIONING") };
    check(
        &unplaced,
        None,
        expect![[r#"
        task 01234567: PROVISIONING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          times       created 5m ago

        Why
          It has waited for 5m for a place to run.

        Next
          `berth top` shows the instances and what is free on them.
    "#]],
    );
    let waiting = Task { capacity_provider_name: some("fleet"), ..unplaced };
    check(
        &waiting,
        None,
        expect![[r#"
        task 01234567: PROVISIONING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          times       created 5m ago

        Why
          Capacity provider fleet had no room for it 5m ago. Its managed scaling is on, so the task waits for an instance, for half an hour at most.

        Next
          Start an instance of the provider's Auto Scaling group: `berth agent` with the attribute berth.auto-scaling-group.
    "#]],
    );
    let stopping = Task {
        desired_status: some("STOPPED"),
        stopping_at: ago(3),
        stopped_reason: some("Task stopped by user"),
        ..task("RUNNING")
    };
    check(
        &stopping,
        None,
        expect![[r#"
        task 01234567: RUNNING
          arn         arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef0123456789abcdef
          service     web
          definition  web:3
          cluster     blue
          instance    fedcba98
          times       created 5m ago, stopping 3s ago

        Why
          Task stopped by user.
          It has been asked to end 3s ago, and has until its `stopTimeout`.

        Next
          Wait; a container that does not end on SIGTERM is killed when its time is over.
    "#]],
    );
}
