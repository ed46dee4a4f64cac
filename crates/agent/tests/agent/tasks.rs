//! From a payload to a report.

use agent_api::attachment::AttachTaskNetworkInterfaces;
use agent_api::extras::{Prepull, PrepullImage};
use agent_api::payload::Task;
use agent_api::session::Event;
use agent_api::{FromAgent, Heartbeat, ManifestTask, ToAgent, UpdateMessage};
use serde_json::json;
use task_engine::{Failure, FailureKind};

use crate::payloads::{CLUSTER, INSTANCE, arn, payload, stop, task, task_of, web, with};
use crate::rig::Rig;

#[tokio::test]
async fn a_task_runs_and_ends_by_itself() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.control.deliver(vec![task("t1")]);
    assert_eq!(rig.control.reported("t1", 1).await, ["RUNNING [web RUNNING 80->32768/tcp]"]);
    rig.control.until("the acknowledgement", |state| state.acked("connection-0-2").then_some(())).await;
    assert!(rig.control.lock().outstanding().is_empty());
    rig.machine.exit("t1", "web", 3);
    let reports = rig.control.reported("t1", 2).await;
    assert_eq!(reports[1], "STOPPED (Essential container in task exited) [web STOPPED 3 80->32768/tcp]");
    {
        let state = rig.control.lock();
        let [running, stopped] = &state.reports[..] else { panic!("{:#?}", state.reports) };
        assert_eq!(running.cluster.as_deref(), Some("default"));
        let web = &running.containers.as_ref().unwrap()[0];
        assert_eq!((web.runtime_id.as_deref(), web.image_digest.as_deref()), (Some("t1-web-0"), Some("sha256:5e1f")));
        assert!(stopped.execution_stopped_at.is_some());
    }
    rig.machine.called("release t1").await;
    let steps: Vec<String> = rig.machine.calls().into_iter().filter(|call| !call.starts_with("usage")).collect();
    let has = |step: &str| steps.iter().any(|known| known == step);
    assert!(has("prepare t1") && has("pull t1 web") && has("start t1 web 0"), "{steps:?}");
    assert_eq!(steps.last().map(String::as_str), Some("release t1"));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.machine.fail_pull("gone", Failure::new(FailureKind::Pull, "shop:9 not found"));
    rig.machine.fail_start("broken", Failure::new(FailureKind::Start, "exec: \"x\": not found"));
    let container = |name: &str| json!([{"name": name, "image": "shop:9", "essential": true}]);
    rig.control.deliver(vec![task_of("t1", container("gone")), task_of("t2", container("broken"))]);
    let gone = "STOPPED [gone STOPPED CannotPullContainerError: shop:9 not found]";
    assert_eq!(rig.control.reported("t1", 1).await, [gone]);
    let broken = "STOPPED [broken STOPPED CannotStartContainerError: exec: \"x\": not found]";
    assert_eq!(rig.control.reported("t2", 1).await, [broken]);
}

#[tokio::test]
async fn a_stop_is_asked_for_and_then_enforced() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.machine.deafen("deaf");
    rig.control
        .deliver(vec![task("t1"), task_of("t2", json!([with(web(), json!({"name": "deaf", "stopTimeout": 1}))]))]);
    rig.control.reported("t1", 1).await;
    rig.control.reported("t2", 1).await;
    rig.control.deliver(vec![stop("t1"), stop("t2")]);
    assert!(rig.control.reported("t1", 2).await[1].starts_with("STOPPED [web STOPPED 143"));
    assert_eq!((rig.machine.count("stop t1 web"), rig.machine.count("kill t1 web")), (1, 0));
    assert!(rig.control.reported("t2", 2).await[1].starts_with("STOPPED [deaf STOPPED 137"));
    assert_eq!((rig.machine.count("stop t2 deaf"), rig.machine.count("kill t2 deaf")), (1, 1));
}

#[tokio::test]
async fn a_task_that_nobody_knows_is_stopped() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.control.send(&payload("p1", vec![stop("t9")]));
    let unknown = "STOPPED (TaskStateError: Agent could not progress task's state to stopped) []";
    assert_eq!(rig.control.reported("t9", 1).await, [unknown]);
    rig.control.acked("p1").await;
}

#[tokio::test]
async fn a_repeated_payload_starts_nothing_and_is_acknowledged() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.control.send(&payload("p1", vec![task("t1")]));
    rig.control.acked("p1").await;
    rig.control.reported("t1", 1).await;
    rig.control.send(&payload("p2", vec![task("t1")]));
    rig.control.acked("p2").await;
    assert_eq!((rig.machine.count("start t1 web 0"), rig.control.report_count("t1")), (1, 1));

    // Who asks for a task that has ended did not hear of its end.
    rig.machine.exit("t1", "web", 3);
    let end = rig.control.reported("t1", 2).await.pop();
    for (message_id, count, asked) in [("p3", 3, task("t1")), ("p4", 4, stop("t1"))] {
        repeat_until_told(&rig, message_id, asked, count).await;
        assert_eq!(rig.control.reported("t1", count).await.last(), end.as_ref());
    }
    assert_eq!(rig.machine.count("start t1 web 0"), 1);
}

/// The task's end is told again only once its first report was answered, which the script cannot see.
async fn repeat_until_told(rig: &Rig, message_id: &str, asked: Task, count: usize) {
    let mut tries = 0;
    while rig.control.report_count("t1") < count {
        tries += 1;
        let message_id = format!("{message_id}-{tries}");
        rig.control.send(&payload(&message_id, vec![asked.clone()]));
        rig.control.acked(&message_id).await;
        assert!(tries < 1000, "the end is not told again");
    }
}

#[tokio::test]
async fn a_manifest_stops_what_should_not_be_here() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.control.deliver(vec![task("keep"), task("stray"), task("late")]);
    for id in ["keep", "stray", "late"] {
        rig.control.reported(id, 1).await;
    }
    let entry = |id: &str, status: &str| ManifestTask {
        task_arn: arn(id),
        task_cluster_arn: CLUSTER.to_owned(),
        desired_status: status.to_owned(),
    };
    rig.control.step(Event::Manifest(vec![entry("keep", "RUNNING")]));
    let find = |state: &crate::control_plane::State| state.verifications.first().cloned();
    let (message_id, candidates) = rig.control.until("the verification", find).await;
    assert_eq!(candidates, [entry("late", "STOPPED"), entry("stray", "STOPPED")]);
    assert!(rig.control.lock().acked(&message_id));
    // One of them was placed while the manifest was on its way: only the other is confirmed.
    rig.control.step(Event::ConfirmStops { message_id: message_id.clone(), tasks: vec![entry("stray", "STOPPED")] });
    assert!(rig.control.reported("stray", 2).await[1].starts_with("STOPPED"));
    // A confirmation works once.
    rig.control.step(Event::ConfirmStops { message_id, tasks: vec![entry("keep", "STOPPED")] });
    rig.control.send(&ToAgent::Heartbeat(Heartbeat { message_id: Some("after".to_owned()), healthy: true }));
    heartbeat_acked(&rig, Some("after")).await;
    assert_eq!((rig.machine.count("stop keep web"), rig.machine.count("stop late web")), (0, 0));
}

async fn heartbeat_acked(rig: &Rig, message_id: Option<&str>) {
    let is_it = |message: &FromAgent| matches!(message, FromAgent::HeartbeatAck(ack) if ack.message_id.as_deref() == message_id);
    rig.control.received("the heartbeat's acknowledgement", is_it).await;
}

#[tokio::test]
async fn heartbeats_are_acknowledged_as_they_came() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    heartbeat_acked(&rig, Some("connection-0-1")).await;
    rig.control.send(&ToAgent::Heartbeat(Heartbeat::default()));
    heartbeat_acked(&rig, None).await;
}

#[tokio::test]
async fn a_task_that_cannot_be_built_is_reported_and_not_acknowledged() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let nameless = Task { arn: "arn:aws:ecs:us-east-1:123456789012:task/default/".to_owned(), ..task("t0") };
    let awsvpc = Task { network_mode: Some("awsvpc".to_owned()), ..task("t1") };
    let broken = task_of("t2", json!([with(web(), json!({"dockerConfig": {"hostConfig": "{\"CapAdd\":"}}))]));
    let empty = task_of("t3", json!([]));
    rig.control.send(&payload("bad", vec![nameless, awsvpc, broken, empty, task("good")]));
    for (id, words) in [
        ("", "does not end in an id"),
        ("t1", "network mode awsvpc"),
        ("t2", "docker settings"),
        ("t3", "no containers"),
    ] {
        let report = &rig.control.reported(id, 1).await[0];
        let start = "STOPPED (UnrecogniedTaskError: Error loading task";
        assert!(report.starts_with(start) && report.contains(words), "{report}");
    }
    rig.control.reported("good", 1).await;
    rig.control.send(&payload("fine", vec![task("later")]));
    rig.control.acked("fine").await;
    assert!(!rig.control.lock().acked("bad"));
}

#[tokio::test]
async fn what_is_no_message_is_dropped_in_silence() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.control.send(&payload("", vec![task("t1")]));
    let fraction = payload("fraction", vec![task("t1")]).encode().replace("\"seqNum\":1", "\"seqNum\":1.0");
    for text in [fraction, "{".to_owned(), r#"{"type":"NewMessage","message":{"messageId":"new"}}"#.to_owned()] {
        rig.control.send_text(text);
    }
    rig.control.send(&payload("p1", vec![task("t2")]));
    rig.control.acked("p1").await;
    rig.control.reported("t2", 1).await;
    assert_eq!(rig.machine.count("start t1 web 0"), 0);
    assert_eq!(rig.control.lock().acs.len(), 1, "the connection stays");
}

#[tokio::test]
async fn updates_are_refused_and_attachments_acknowledged() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let (cluster_arn, container_instance_arn) = (CLUSTER.to_owned(), INSTANCE.to_owned());
    let update = UpdateMessage { message_id: "u1".to_owned(), cluster_arn, container_instance_arn, update_info: None };
    rig.control.send(&ToAgent::PerformUpdate(update));
    let nack = rig.control.received("the refusal", |message| matches!(message, FromAgent::Nack(_))).await;
    let FromAgent::Nack(nack) = nack else { unreachable!() };
    assert_eq!((nack.message_id.as_str(), nack.reason.as_str()), ("u1", "Updates are disabled"));
    let attach = AttachTaskNetworkInterfaces { message_id: "a1".to_owned(), ..AttachTaskNetworkInterfaces::default() };
    rig.control.send(&ToAgent::AttachTaskNetworkInterfaces(attach));
    rig.control.acked("a1").await;
}

#[tokio::test]
async fn a_restart_policy_restarts_without_a_word() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let policy = json!({"restartPolicy": {"enabled": true, "ignoredExitCodes": [0], "restartAttemptPeriod": 0}});
    rig.control.deliver(vec![task_of("t1", json!([with(web(), policy)]))]);
    rig.control.reported("t1", 1).await;
    rig.machine.exit("t1", "web", 1);
    rig.machine.called("start t1 web 1").await;
    rig.machine.exit("t1", "web", 1);
    rig.machine.called("start t1 web 2").await;
    rig.machine.exit("t1", "web", 0);
    let reports = rig.control.reported("t1", 2).await;
    assert!(reports[1].starts_with("STOPPED (Essential container in task exited) [web STOPPED 0"), "{reports:?}");
}

#[tokio::test]
async fn a_shutdown_stops_and_reports_every_task() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    rig.machine.deafen("deaf");
    rig.control.deliver(vec![task("t1"), task_of("t2", json!([with(web(), json!({"name": "deaf"}))]))]);
    rig.control.reported("t1", 1).await;
    rig.control.reported("t2", 1).await;
    agent.stop_tasks_and_shutdown().await;
    assert!(rig.control.reported("t1", 2).await[1].starts_with("STOPPED [web STOPPED 143"));
    assert!(rig.control.reported("t2", 2).await[1].starts_with("STOPPED [deaf STOPPED 137"));
    assert_eq!((rig.machine.count("release t1"), rig.machine.count("release t2")), (1, 1));
    rig.control
        .until("both sockets' end", |state| (state.acs_closed == 1 && state.tcs_closed == 1).then_some(()))
        .await;
}

#[tokio::test]
async fn images_are_pulled_in_advance_and_a_failure_harms_nobody() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let failure = Failure::new(FailureKind::Pull, "no such image");
    rig.machine.fail_pull("gone:1", failure);
    let image = |image: &str, digest: Option<&str>| PrepullImage {
        image: image.to_owned(),
        digest: digest.map(str::to_owned),
        registry_authentication: None,
    };
    let images = vec![image("gone:1", None), image("web:2", Some("sha256:5e1f"))];
    rig.control.send(&ToAgent::Prepull(Prepull { deployment: "ecs-svc/1".to_owned(), images }));
    rig.machine.called("prepull gone:1 -").await;
    rig.machine.called("prepull web:2 sha256:5e1f").await;
    // Whoever asked hears of the one that did not come.
    let failed = |state: &crate::control_plane::State| {
        state.from_agent.iter().find_map(|message| match message {
            FromAgent::PrepullFailed(failed) => Some(failed.clone()),
            _ => None,
        })
    };
    let failed = rig.control.until("the failure is told", failed).await;
    assert_eq!((failed.deployment.as_str(), failed.image.as_str()), ("ecs-svc/1", "gone:1"));
    assert!(failed.reason.starts_with("CannotPullContainerError: "), "{failed:?}");
    rig.control.deliver(vec![task("t1")]);
    assert_eq!(rig.control.reported("t1", 1).await, ["RUNNING [web RUNNING 80->32768/tcp]"]);
}
