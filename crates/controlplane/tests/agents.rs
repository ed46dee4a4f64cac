//! The agents' side of a control plane: what a scripted agent is told, and what becomes of what it says.

mod agent;

use std::sync::Arc;

use agent::{Agent, plane, until};
use agent_api::payload::DesiredStatus;
use agent_api::{FromAgent, HeartbeatAck, TaskStopVerification, ToAgent};
use api_ecs::operations::*;
use api_ecs::*;
use serde_json::{Value, json};
use store::MemoryEngine;

#[tokio::test]
async fn a_task_goes_down_and_its_state_comes_up() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    plane.definition(ContainerDefinition::default()).await;
    let mut agent = plane.connect(&instance).await;
    assert!(matches!(agent.next().await, ToAgent::Heartbeat(_)), "the first thing is a heartbeat");
    agent.send(&FromAgent::HeartbeatAck(HeartbeatAck::default())).await;
    plane.until_connected(&instance, true).await;
    let described = plane.described_instance(&instance).await.version_info.unwrap();
    assert_eq!(described.agent_version.as_deref(), Some("1.105.1"));
    assert_eq!(described.docker_version.as_deref(), Some("DockerVersion: 20.10"));

    let task = plane.run_task().await;
    let payload = agent.payload().await;
    assert_eq!((payload.tasks.len(), payload.tasks[0].arn.as_str()), (1, task.as_str()));
    assert_eq!(payload.container_instance_arn, instance);
    assert_eq!(payload.tasks[0].containers[0].image, "i");
    agent.ack(&payload).await;
    plane.submit(&task, "RUNNING", None).await;
    assert_eq!(plane.task(&task).await.last_status.as_deref(), Some("RUNNING"));

    plane.stop_task(&task).await;
    let stop = agent.payload().await;
    assert_eq!((stop.tasks[0].arn.as_str(), stop.tasks[0].desired_status), (task.as_str(), DesiredStatus::Stopped));
    assert!(stop.seq_num > payload.seq_num);
    plane.submit(&task, "STOPPED", Some(143)).await;
    let stopped = plane.task(&task).await;
    assert_eq!(stopped.last_status.as_deref(), Some("STOPPED"));
    assert_eq!(stopped.stop_code.as_deref(), Some("UserInitiated"));
    assert_eq!(stopped.containers.unwrap()[0].exit_code, Some(143));
}

#[tokio::test]
async fn a_reconnected_agent_is_told_again_what_it_has_not_done() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    plane.definition(ContainerDefinition::default()).await;
    let mut agent = plane.connect(&instance).await;
    plane.until_connected(&instance, true).await;
    // One after another, so that each has a payload of its own.
    let mut tasks = Vec::new();
    for acks in [true, true, false] {
        tasks.push(plane.run_task().await);
        let payload = agent.payload().await;
        if acks {
            agent.ack(&payload).await;
        }
    }
    let [running, acked, lost] = tasks.try_into().unwrap();
    plane.submit(&running, "RUNNING", None).await;
    drop(agent);
    plane.until_connected(&instance, false).await;

    // A task that was acknowledged but has not started is as lost as one that never arrived.
    let mut again = plane.connect(&instance).await;
    let payload = again.payload().await;
    let mut arns: Vec<&str> = payload.tasks.iter().map(|task| task.arn.as_str()).collect();
    let mut expected = [acked.as_str(), lost.as_str()];
    arns.sort();
    expected.sort();
    assert_eq!(arns, expected);
    let manifest = again.manifest().await;
    assert_eq!(manifest.tasks.len(), 3);
    assert!(manifest.timeline > payload.seq_num.unwrap());
}

#[tokio::test]
async fn a_newer_connection_replaces_an_older_one() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    plane.definition(ContainerDefinition::default()).await;
    let mut old = plane.connect(&instance).await;
    old.manifest().await;
    let mut new = plane.connect(&instance).await;
    new.manifest().await;
    let mut code = old.text().await;
    while code.is_ok() {
        code = old.text().await;
    }
    assert_eq!(code, Err(1008), "two that share an identity do not push each other out without end");
    plane.until_connected(&instance, true).await;
    let task = plane.run_task().await;
    assert_eq!(new.payload().await.tasks[0].arn, task);
}

#[tokio::test]
async fn only_strangers_are_confirmed_to_stop() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    plane.definition(ContainerDefinition::default()).await;
    let mut agent = plane.connect(&instance).await;
    let manifest = agent.manifest().await;
    plane.until_connected(&instance, true).await;
    // It was placed after the manifest was written.
    let task = plane.run_task().await;
    let stranger = other(&task);
    let candidate = |arn: &str| agent_api::ManifestTask {
        task_arn: arn.to_owned(),
        task_cluster_arn: manifest.cluster_arn.clone(),
        desired_status: "STOPPED".to_owned(),
    };
    let stop_candidates = vec![candidate(&task), candidate(&stranger)];
    let message_id = manifest.message_id.clone();
    agent.send(&FromAgent::TaskStopVerification(TaskStopVerification { message_id, stop_candidates })).await;
    let confirmed = loop {
        if let ToAgent::TaskStopVerificationAck(ack) = agent.next().await {
            break ack;
        }
    };
    assert_eq!(confirmed.message_id, manifest.message_id);
    let arns: Vec<&str> = confirmed.stop_tasks.iter().map(|task| task.task_arn.as_str()).collect();
    assert_eq!(arns, [stranger]);
}

#[tokio::test]
async fn a_deregistered_instance_loses_its_connection_and_gets_no_other() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    let mut agent = plane.connect(&instance).await;
    agent.manifest().await;
    let request =
        DeregisterContainerInstanceRequest { container_instance: Some(instance.clone()), ..Default::default() };
    plane.client.call::<DeregisterContainerInstance>(request).await.unwrap();
    let mut code = agent.text().await;
    while code.is_ok() {
        code = agent.text().await;
    }
    assert_eq!(code, Err(1000));
    let refusal = Agent::connect(&plane.acs_url(&instance, true)).await.err().unwrap();
    assert!(refusal.starts_with(r#"{"InactiveInstanceException":"#), "{refusal}");
}

#[tokio::test]
async fn refusals_are_exceptions() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    let refusal = async |url: String| {
        let body: Value = serde_json::from_str(&Agent::connect(&url).await.err().unwrap()).unwrap();
        body.as_object().unwrap().keys().next().unwrap().clone()
    };
    let unknown = other(&instance);
    let base = plane.acs_url(&instance, true);
    assert_eq!(refusal(plane.acs_url(&unknown, true)).await, "InvalidInstanceException");
    assert_eq!(refusal(base.replace("clusterArn=default", "clusterArn=other")).await, "InvalidClusterException");
    assert_eq!(refusal(base.replace("us-east-1", "eu-west-1")).await, "InvalidInstanceException");
    assert_eq!(refusal(base.replace("clusterArn=default&", "")).await, "ClientException");
    assert_eq!(refusal(plane.tcs_url(&unknown)).await, "InvalidInstanceException");
}

#[tokio::test]
async fn telemetry_is_acknowledged_and_health_reaches_the_task() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    let health_check = HealthCheck { command: Some(vec!["CMD".into(), "t".into()]), ..Default::default() };
    plane.definition(ContainerDefinition { health_check: Some(health_check), ..Default::default() }).await;
    let mut agent = plane.connect(&instance).await;
    plane.until_connected(&instance, true).await;
    let task = plane.run_task().await;
    agent.payload().await;
    plane.submit(&task, "RUNNING", None).await;

    let mut tcs = Agent::connect(&plane.tcs_url(&instance)).await.unwrap();
    let health = |status: &str| {
        json!({"type": "PublishHealthRequest", "message": {"metadata": {}, "timestamp": 1.5, "tasks": [
            {"taskArn": task, "containers": [{"containerName": "web", "healthStatus": status, "statusSince": 1.5}]}]}})
    };
    // As the official agent frames it, and bare.
    for text in [format!("Host: h\r\nX-Amz-Date: d\r\n\r\n{}", health("HEALTHY")), health("HEALTHY").to_string()] {
        tcs.send_text(text).await;
        assert!(tcs.text().await.unwrap().contains("AckPublishHealth"));
    }
    assert_eq!(plane.task(&task).await.health_status.as_deref(), Some("HEALTHY"));
    tcs.send_text(health("UNHEALTHY").to_string()).await;
    tcs.text().await.unwrap();
    let unhealthy = plane.task(&task).await;
    assert_eq!(unhealthy.health_status.as_deref(), Some("UNHEALTHY"));
    // A task of its own is nobody's business but its owner's and its service's: it goes on.
    assert_eq!(unhealthy.desired_status.as_deref(), Some("RUNNING"));

    let metrics = json!({"type": "PublishMetricsRequest", "message": {"metadata": {"fin": true}, "timestamp": 1.5, "taskMetrics": [
        {"taskArn": task, "containerMetrics": [{"containerName": "web",
            "cpuStatsSet": {"min": 1.0, "max": 3.0, "sum": 4.0, "sampleCount": 2},
            "memoryStatsSet": {"min": 8.0, "max": 8.0, "sum": 16.0, "sampleCount": 2}}]}]}});
    tcs.send_text(metrics.to_string()).await;
    assert!(tcs.text().await.unwrap().contains("AckPublishMetric"));
    tcs.send_text("noise".into()).await;
    tcs.send_text(metrics.to_string()).await;
    assert!(tcs.text().await.unwrap().contains("AckPublishMetric"), "noise ends nothing");
}

#[tokio::test]
async fn what_probes_say_is_shown_while_it_matters() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    let labels = [("berth.health.tcp", "80"), ("berth.ready.http", "80/ready")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let probed = ContainerDefinition { docker_labels: Some(labels.into_iter().collect()), ..Default::default() };
    plane.definition(probed).await;
    let mut agent = plane.connect(&instance).await;
    plane.until_connected(&instance, true).await;
    let task = plane.run_task().await;
    let payload = agent.payload().await;
    assert!(payload.tasks[0].containers[0].berth.as_ref().unwrap().probes.is_some());
    let shown = async || {
        let task = plane.task(&task).await;
        let web = task.containers.unwrap().remove(0);
        (task.health_status.unwrap(), web.health_status.unwrap(), web.reason)
    };
    let both = |health: &str, reason: Option<&str>| (health.to_owned(), health.to_owned(), reason.map(str::to_owned));
    assert_eq!(shown().await, both("UNKNOWN", None));
    plane.submit(&task, "RUNNING", None).await;
    let mut tcs = Agent::connect(&plane.tcs_url(&instance)).await.unwrap();
    let mut told = async |health: &str, probed: serde_json::Value| {
        let message = json!({"type": "PublishHealthRequest", "message": {"metadata": {}, "timestamp": 1.5, "tasks": [
            {"taskArn": task, "containers": [{"containerName": "web", "healthStatus": health, "berth": probed}]}]}});
        tcs.send_text(message.to_string()).await;
        assert!(tcs.text().await.unwrap().contains("AckPublishHealth"));
    };
    // Whoever never says that it is ready is given up; whoever said so once is not.
    let awaits = || plane.plane.snapshot().tasks.iter().any(|task| task.awaits_readiness());
    assert!(awaits());
    for (health, probed, reason) in [
        (
            "HEALTHY",
            json!({"ready": false, "readySays": "GET :80/ready answered 503"}),
            Some("Not ready: GET :80/ready answered 503"),
        ),
        ("HEALTHY", json!({"ready": false}), Some("Not ready")),
        ("HEALTHY", json!({"ready": true}), None),
        // One failure of several that it takes says nothing yet.
        ("HEALTHY", json!({"ready": true, "healthSays": "x", "readySays": "y"}), None),
        (
            "UNHEALTHY",
            json!({"ready": true, "healthSays": "TCP :80 found nobody who listens"}),
            Some("Health probe failed: TCP :80 found nobody who listens"),
        ),
    ] {
        let was_ready = probed["ready"] == json!(true);
        told(health, probed).await;
        assert_eq!(shown().await, both(health, reason));
        assert!(!was_ready || !awaits());
    }
    told("HEALTHY", json!({"ready": false})).await;
    assert!(!awaits(), "it was ready before");
}

#[tokio::test]
async fn a_service_is_kept_at_its_desired_count() {
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let instance = plane.instance().await;
    plane.definition(ContainerDefinition::default()).await;
    let mut agent = plane.connect(&instance).await;
    plane.until_connected(&instance, true).await;
    let request = CreateServiceRequest {
        service_name: Some("front".into()),
        task_definition: Some("web".into()),
        desired_count: Some(2),
        ..Default::default()
    };
    plane.client.call::<CreateService>(request).await.unwrap();
    let mut tasks = Vec::new();
    while tasks.len() < 2 {
        tasks.extend(agent.payload().await.tasks.into_iter().map(|task| task.arn));
    }
    for task in &tasks {
        plane.submit(task, "RUNNING", None).await;
    }
    let described = async || {
        let request = DescribeServicesRequest { services: Some(vec!["front".into()]), ..Default::default() };
        plane.client.call::<DescribeServices>(request).await.unwrap().services.unwrap().remove(0)
    };
    let steady = async || {
        let service = described().await;
        let steady =
            service.events.unwrap().iter().any(|event| event.message.as_ref().unwrap().contains("steady state"));
        steady.then_some(service.running_count)
    };
    assert_eq!(until(steady).await, Some(2));
    // One dies; another takes its place.
    plane.submit(&tasks[0], "STOPPED", Some(137)).await;
    let replacement = agent.payload().await.tasks.remove(0);
    assert_eq!(replacement.desired_status, DesiredStatus::Running);
    assert!(!tasks.contains(&replacement.arn));
}

#[tokio::test]
async fn a_restarted_control_plane_goes_on_where_it_was() {
    let engine = Arc::new(MemoryEngine::new());
    let first = plane(engine.clone()).await;
    let instance = first.instance().await;
    first.definition(ContainerDefinition::default()).await;
    let agent = first.connect(&instance).await;
    first.until_connected(&instance, true).await;
    let task = first.run_task().await;
    drop((agent, first));

    let second = plane(engine).await;
    assert_eq!(second.task(&task).await.last_status.as_deref(), Some("PENDING"));
    assert_eq!(second.described_instance(&instance).await.agent_connected, Some(false));
    let mut agent = second.connect(&instance).await;
    assert_eq!(agent.payload().await.tasks[0].arn, task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_the_same_instance_all_get_their_task() {
    // On a disk, where a commit takes long enough for others to be faster.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let engine = store_embedded::EmbeddedEngine::open(folder.path().join("store.db"), Default::default()).unwrap();
    let plane = Arc::new(plane(Arc::new(engine)).await);
    let instance = plane.instance().await;
    plane.definition(ContainerDefinition { memory: Some(6), ..Default::default() }).await;
    let _agent = plane.connect(&instance).await;
    plane.until_connected(&instance, true).await;
    let clients = (0..64).map(|_| {
        let plane = plane.clone();
        tokio::spawn(async move {
            for _ in 0..2 {
                plane.run_task().await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(plane.described_instance(&instance).await.pending_tasks_count, Some(128));
}

/// Another ARN of the same form.
fn other(arn: &str) -> String {
    let (rest, last) = arn.split_at(arn.len() - 1);
    format!("{rest}{}", if last == "f" { "0" } else { "f" })
}

#[tokio::test]
async fn messages_beyond_every_limit_end_their_connection_and_nothing_else() {
    const MEBIBYTES_MAX: usize = 4;
    let plane = plane(Arc::new(MemoryEngine::new())).await;
    let (instance, neighbour) = (plane.instance().await, plane.instance().await);
    let mut other = plane.connect(&neighbour).await;
    plane.until_connected(&neighbour, true).await;
    for in_one_frame in [true, false] {
        for url in [plane.acs_url(&instance, false), plane.tcs_url(&instance)] {
            let mut agent = Agent::connect(&url).await.unwrap();
            match in_one_frame {
                true => agent.try_send_text("x".repeat((MEBIBYTES_MAX << 20) + 1)).await,
                false => agent.send_mebibytes(MEBIBYTES_MAX + 1).await,
            }
            while agent.text().await.is_ok() {}
        }
        plane.until_connected(&instance, false).await;
    }
    // As large as any may be: it is read, and skipped for what it says.
    let mut agent = plane.connect(&instance).await;
    agent.try_send_text("x".repeat(MEBIBYTES_MAX << 20)).await;
    agent.send(&FromAgent::HeartbeatAck(HeartbeatAck::default())).await;
    plane.until_connected(&instance, true).await;
    plane.until_connected(&neighbour, true).await;
    assert!(matches!(other.next().await, ToAgent::Heartbeat(_)));
}
