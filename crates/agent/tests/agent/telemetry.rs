//! What goes up on TCS.

use std::time::{Duration, Instant};

use agent_api::tcs::{ContainerHealth, FromAgent, HealthStatus, PublishMetrics};
use serde_json::json;

use crate::control_plane::{State, Telemetry};
use crate::payloads::{arn, task, task_of, web, with};
use crate::rig::Rig;
use crate::websockets::Outgoing;

/// When the next message would be due anyway.
const PUBLISH_EVERY: Duration = Duration::from_secs(20);

fn metrics(state: &State) -> impl Iterator<Item = (&Telemetry, &PublishMetrics)> {
    state.telemetry.iter().filter_map(|telemetry| match &telemetry.message {
        FromAgent::PublishMetrics(metrics) => Some((telemetry, metrics)),
        _ => None,
    })
}

#[tokio::test]
async fn metrics_are_signed_and_begin_at_once() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let first =
        rig.control.until("metrics", |state| metrics(state).next().map(|(frame, idle)| (frame.clone(), idle.clone())));
    let (frame, idle) = first.await;
    assert_eq!(frame.header_names, ["Authorization", "Host", "X-Amz-Date"]);
    assert!(idle.metadata.idle && idle.metadata.fin && idle.task_metrics.is_empty(), "{idle:?}");
    rig.control.deliver(vec![task("t1")]);
    rig.control.reported("t1", 1).await;

    // Each connection begins with a sample and a message, so two more bring figures.
    let figures =
        |state: &State| metrics(state).find(|(_, metrics)| !metrics.metadata.idle).map(|(_, metrics)| metrics.clone());
    let mut opened = 1;
    let busy = loop {
        if let Some(busy) = figures(&rig.control.lock()) {
            break busy;
        }
        rig.control.end_tcs(Outgoing::Close(1000));
        opened += 1;
        rig.control.until("the next TCS connection", |state| (state.tcs_opened >= opened).then_some(())).await;
        let count = opened;
        rig.control.until("its metrics", |state| (metrics(state).count() >= count).then_some(())).await;
    };
    let [task] = &busy.task_metrics[..] else { panic!("{busy:?}") };
    assert_eq!((task.task_arn.as_str(), task.task_definition_family.as_str()), (arn("t1").as_str(), "fam"));
    let web = &task.container_metrics[0];
    assert_eq!(web.container_name, "web");
    assert_eq!(web.memory_stats_set.unwrap().max, 64.0);
    assert!(rig.control.lock().telemetry.iter().all(|frame| frame.signed), "every frame is signed");
}

#[tokio::test]
async fn a_change_of_health_is_told_at_once() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let healthcheck =
        json!({"Healthcheck": {"Test": ["CMD", "true"], "Interval": 20_000_000, "Retries": 1}}).to_string();
    let checked = with(web(), json!({"healthCheckType": "docker", "dockerConfig": {"config": healthcheck}}));
    let plain = json!({"name": "plain", "image": "shop:1"});
    let began = Instant::now();
    rig.control.deliver(vec![task_of("t1", json!([checked, plain]))]);
    let told = async |status: HealthStatus| {
        let find = |state: &State| {
            let health = state.telemetry.iter().filter_map(|telemetry| match &telemetry.message {
                FromAgent::PublishHealth(health) => Some(health.clone()),
                _ => None,
            });
            health.into_iter().find(|health| health.tasks[0].containers[0].health_status == status)
        };
        rig.control.until(&format!("{status:?}"), find).await
    };
    let healthy = told(HealthStatus::Healthy).await;
    assert_eq!(
        (healthy.tasks.len(), healthy.tasks[0].containers.len()),
        (1, 1),
        "a container without a check is absent"
    );
    assert_eq!(healthy.tasks[0].containers[0].container_name, "web");
    assert!(healthy.tasks[0].containers[0].status_since.is_some());
    rig.machine.fail_health_checks();
    told(HealthStatus::Unhealthy).await;
    assert!(began.elapsed() < PUBLISH_EVERY, "it did not wait for its turn");
    assert_eq!(rig.machine.count("stop t1 web"), 0, "what to do about it is the control plane's decision");
}

#[tokio::test]
async fn probes_are_told_with_what_they_heard() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let probe = |port: u16| json!({"ask": {"tcp": {"port": port}}, "interval": 1, "timeout": 2, "retries": 1, "startPeriod": 0});
    let probed = |probes: serde_json::Value| json!({"berth": {"probes": probes}});
    let both = with(web(), probed(json!({"health": probe(80), "ready": probe(81)})));
    let ready = with(json!({"name": "side", "image": "shop:1"}), probed(json!({"ready": probe(82)})));
    rig.control.deliver(vec![task_of("t1", json!([both, ready]))]);
    let told = async |what: &str, wanted: &dyn Fn(&[ContainerHealth]) -> bool| {
        let find = |state: &State| {
            let health = state.telemetry.iter().filter_map(|telemetry| match &telemetry.message {
                FromAgent::PublishHealth(health) => Some(health.tasks[0].containers.clone()),
                _ => None,
            });
            health.into_iter().find(|health| wanted(health))
        };
        rig.control.until(what, find).await
    };
    let is_ready = |one: &ContainerHealth| one.berth.as_ref().is_some_and(|probed| probed.ready == Some(true));
    let well = told("all are ready", &|all| all.len() == 2 && all.iter().all(is_ready)).await;
    assert_eq!(well[1].health_status, HealthStatus::Unknown, "nobody asks for its health");
    rig.machine.fail_health_checks();
    let sick = |one: &ContainerHealth| one.berth.as_ref().is_some_and(|probed| !probed.ready_says.is_empty());
    let sick = told("none is", &|all| all.iter().all(sick) && all[0].health_status == HealthStatus::Unhealthy).await;
    let said = |one: &ContainerHealth| one.berth.clone().unwrap();
    assert_eq!(said(&sick[0]).health_says, "Health fails");
    assert_eq!((said(&sick[1]).ready, said(&sick[1]).ready_says.as_str()), (Some(false), "Readiness fails"));
    assert_eq!(rig.machine.count("stop t1 web"), 0);
}
