//! The life of a task, as its agent reports it and as users see it.

mod world;

use std::time::Duration;

use api_ecs::*;
use world::{World, container, failures, refused, text, texts};

/// `lastStatus` and `desiredStatus`, as they are described.
async fn statuses(world: &World, task: &str) -> (String, String) {
    let shown = world.describe(task).await;
    (shown.last_status.unwrap(), shown.desired_status.unwrap())
}

fn pair(last: &str, desired: &str) -> (String, String) {
    (last.into(), desired.into())
}

async fn stop(world: &World, task: &str, reason: Option<&str>) -> Result<Task, Error> {
    let input = StopTaskRequest { task: text(task), reason: reason.map(str::to_owned), ..Default::default() };
    Ok(world.ecs.stop_task(&world.caller, input).await?.task.unwrap())
}

#[tokio::test]
async fn from_pending_to_stopped_by_a_user() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    assert_eq!(statuses(&world, &task).await, pair("PENDING", "RUNNING"));
    world.wait(Duration::from_secs(1));
    world
        .report(&task, "RUNNING", |container| {
            container.network_bindings = Some(vec![NetworkBinding {
                bind_ip: text("0.0.0.0"),
                container_port: Some(80),
                host_port: Some(32768),
                protocol: text("tcp"),
                ..Default::default()
            }]);
        })
        .await;
    assert_eq!(statuses(&world, &task).await, pair("RUNNING", "RUNNING"));
    let shown = world.describe(&task).await;
    assert_eq!((shown.started_at, shown.connectivity.as_deref()), (Some(world.now()), Some("CONNECTED")));
    let app = &shown.containers.unwrap()[0];
    assert_eq!((app.last_status.as_deref(), app.runtime_id.as_deref()), (Some("RUNNING"), Some("7fc71def126c")));
    assert_eq!(app.network_bindings.as_ref().unwrap()[0].host_port, Some(32768));

    world.wait(Duration::from_secs(1));
    let shown = stop(&world, &task, None).await.unwrap();
    assert_eq!(shown.desired_status, text("STOPPED"));
    assert_eq!(
        (shown.stop_code.as_deref(), shown.stopped_reason.as_deref()),
        (Some("UserInitiated"), Some("Task stopped by user"))
    );
    assert_eq!((shown.stopping_at, shown.stopped_at), (Some(world.now()), None));
    assert_eq!(statuses(&world, &task).await, pair("STOPPING", "STOPPED"));
    let version = shown.version;
    let again = stop(&world, &task, Some("again")).await.unwrap();
    assert_eq!(
        (again.stopped_reason.as_deref(), again.version),
        (Some("Task stopped by user"), version),
        "the first wins"
    );

    world.wait(Duration::from_secs(1));
    world.report(&task, "STOPPED", |container| container.exit_code = Some(143)).await;
    let shown = world.describe(&task).await;
    assert_eq!((shown.last_status, shown.desired_status), (text("STOPPED"), text("STOPPED")));
    assert_eq!(
        (shown.stop_code.as_deref(), shown.stopped_reason.as_deref()),
        (Some("UserInitiated"), Some("Task stopped by user"))
    );
    assert_eq!((shown.stopped_at, shown.execution_stopped_at), (Some(world.now()), Some(world.now())));
    assert_eq!(shown.containers.unwrap()[0].exit_code, Some(143));
    let after = stop(&world, &task, Some("too late")).await.unwrap();
    assert_eq!(
        after.stopped_reason.as_deref(),
        Some("Task stopped by user"),
        "a stopped task can be stopped, and stays as it is"
    );
}

#[tokio::test]
async fn a_reason_that_is_given_is_shown() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    refused(
        stop(&world, &task, Some(&"x".repeat(1025))).await,
        "InvalidParameterException",
        "Reason length must be at most 1024.",
    );
    assert_eq!(stop(&world, &task, Some("too expensive")).await.unwrap().stopped_reason, text("too expensive"));
    refused(
        stop(&world, "0123456789abcdef0123456789abcdef", None).await,
        "InvalidParameterException",
        "The referenced task was not found.",
    );
}

#[tokio::test]
async fn a_task_that_is_stopped_before_it_runs() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    stop(&world, &task, None).await.unwrap();
    assert_eq!(statuses(&world, &task).await, pair("PENDING", "STOPPED"));
    // The agent had it started already.
    world.report(&task, "RUNNING", |_| {}).await;
    assert_eq!(statuses(&world, &task).await, pair("STOPPING", "STOPPED"));
    world.report(&task, "STOPPED", |_| {}).await;
    let shown = world.describe(&task).await;
    assert_eq!((shown.last_status, shown.stop_code), (text("STOPPED"), text("UserInitiated")));
}

#[tokio::test]
async fn an_essential_container_exits() {
    let (world, _) = World::ready().await;
    for runs_first in [true, false] {
        let task = world.one().await;
        if runs_first {
            world.report(&task, "RUNNING", |container| container.exit_code = Some(9)).await;
            let early = world.describe(&task).await.containers.unwrap().remove(0);
            assert_eq!(early.exit_code, None, "a code in a RUNNING report is ignored");
        }
        world.report(&task, "STOPPED", |container| container.exit_code = Some(3)).await;
        let shown = world.describe(&task).await;
        assert_eq!(shown.stop_code, text("EssentialContainerExited"));
        assert_eq!(shown.stopped_reason, text("Essential container in task exited"));
        assert_eq!(shown.containers.unwrap()[0].exit_code, Some(3));
    }
}

#[tokio::test]
async fn a_task_that_never_ran_and_nobody_says_why() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    world.report(&task, "STOPPED", |_| {}).await;
    let shown = world.describe(&task).await;
    assert_eq!(shown.stop_code, text("TaskFailedToStart"));
    assert_eq!(shown.stopped_reason, text("Task failed to start"));
}

#[tokio::test]
async fn a_task_fails_to_start() {
    let (world, _) = World::ready().await;
    let side = ContainerDefinition { essential: Some(false), ..container("init") };
    world.define_with("web", |input| input.container_definitions = Some(vec![side, container("app")])).await.unwrap();
    let task = world.one().await;
    let cause = "CannotPullContainerError: pull access denied for hello";
    let change = |name: &str, exit_code: Option<i32>, reason: Option<&str>| ContainerStateChange {
        container_name: text(name),
        status: text("STOPPED"),
        exit_code,
        reason: reason.map(str::to_owned),
        ..Default::default()
    };
    let input = SubmitTaskStateChangeRequest {
        task: text(&task),
        status: text("STOPPED"),
        containers: Some(vec![change("init", Some(0), None), change("app", None, Some(cause))]),
        ..Default::default()
    };
    world.ecs.submit_task_state_change(&world.caller, input).await.unwrap();
    let shown = world.describe(&task).await;
    assert_eq!(shown.stop_code, text("TaskFailedToStart"), "what ran was not essential");
    assert_eq!(shown.stopped_reason, text(cause));
    assert_eq!(shown.containers.unwrap()[1].reason, text(cause));
}

#[tokio::test]
async fn reports_repeat_and_come_late() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    world.report(&task, "RUNNING", |_| {}).await;
    let version = world.describe(&task).await.version;
    world.report(&task, "RUNNING", |_| {}).await;
    assert_eq!(world.describe(&task).await.version, version, "a repeat changes nothing");
    world.report(&task, "STOPPED", |container| container.exit_code = Some(0)).await;
    let stopped = world.describe(&task).await;
    world.report(&task, "RUNNING", |container| container.exit_code = Some(7)).await;
    world.report(&task, "STOPPED", |container| container.exit_code = Some(7)).await;
    assert_eq!(world.describe(&task).await, stopped, "nothing moves backwards");
}

#[tokio::test]
async fn reports_about_what_nobody_knows_are_acknowledged() {
    let (world, _) = World::ready().await;
    let (ecs, caller) = (&world.ecs, &world.caller);
    let unknown = "arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef0123456789abcdef";
    for (cluster, task) in [
        ("default", unknown),
        ("nowhere", unknown),
        ("arn:aws:ecs:eu-west-1:123456789012:cluster/default", unknown),
        ("arn:nonsense", unknown),
        ("default", "arn:nonsense"),
        ("", ""),
    ] {
        let input = SubmitTaskStateChangeRequest {
            cluster: text(cluster),
            task: text(task),
            status: text("STOPPED"),
            ..Default::default()
        };
        let answer = ecs.submit_task_state_change(caller, input).await.unwrap();
        assert_eq!(answer.acknowledgment, text("ACK"), "{cluster} {task}");
        let input = SubmitContainerStateChangeRequest {
            cluster: text(cluster),
            task: text(task),
            status: text("STOPPED"),
            ..Default::default()
        };
        let answer = ecs.submit_container_state_change(caller, input).await.unwrap();
        assert_eq!(answer.acknowledgment, text("ACK"));
        let input = SubmitAttachmentStateChangesRequest { cluster: text(cluster), attachments: Some(vec![]) };
        let answer = ecs.submit_attachment_state_changes(caller, input).await.unwrap();
        assert_eq!(answer.acknowledgment, text("ACK"));
    }
}

#[tokio::test]
async fn what_is_missing_is_a_failure() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    let id = task.rsplit('/').next().unwrap();
    let foreign = "arn:aws:ecs:us-east-1:123456789012:task/other/0123";
    let input = DescribeTasksRequest { tasks: texts(&[&task, id, "nope", foreign]), ..Default::default() };
    let answer = world.ecs.describe_tasks(&world.caller, input).await.unwrap();
    assert_eq!(answer.tasks.unwrap().len(), 2, "by ARN and by id");
    let missing = "arn:aws:ecs:us-east-1:123456789012:task/default/nope";
    assert_eq!(failures(answer.failures), [(missing.into(), "MISSING".into()), (foreign.into(), "MISSING".into())]);
    let describe = |tasks| DescribeTasksRequest { tasks, ..Default::default() };
    let none = world.ecs.describe_tasks(&world.caller, describe(None)).await;
    refused(none, "InvalidParameterException", "Tasks cannot be empty.");
    let many = world.ecs.describe_tasks(&world.caller, describe(Some(vec![task; 101]))).await;
    refused(many, "InvalidParameterException", "Tasks cannot have more than 100 elements.");
}
