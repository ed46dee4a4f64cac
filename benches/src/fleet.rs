//! Container instances that are only pretended, many of them in one process: each with its own websocket, over which it gets real
//! payloads, and with real reports of what became of them. Every task runs as soon as it arrives.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use agent_api::payload::DesiredStatus;
use agent_api::query::AcsQuery;
use agent_api::{Ack, FromAgent, HeartbeatAck, ToAgent};
use api_ecs::operations::*;
use api_ecs::*;
use client::Client;
use futures::stream::FuturesUnordered;
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

pub const ADDRESS: &str = "127.0.0.1:4566";
/// Registrations that are under way together.
const JOINING: usize = 64;
/// Reports that are under way together: as many as agents, if there were machines for them; each takes a connection here.
const REPORTING: usize = 512;

/// What the agents have seen.
pub struct Board {
    client: Client,
    cluster: String,
    reports: Semaphore,
    /// When each task's payload came.
    pub arrived: Mutex<HashMap<String, Instant>>,
    /// Reports of RUNNING that are acknowledged.
    pub running: AtomicUsize,
}

/// Registers so many instances and connects their agents, which live as long as the runtime.
pub async fn join(client: &Client, cluster: &str, instances: usize) -> Arc<Board> {
    let board = Arc::new(Board {
        client: client.clone(),
        cluster: cluster.to_owned(),
        reports: Semaphore::new(REPORTING),
        arrived: Mutex::default(),
        running: AtomicUsize::new(0),
    });
    let mut joining = FuturesUnordered::new();
    for number in 0..instances {
        if joining.len() == JOINING {
            joining.next().await;
        }
        joining.push(agent(board.clone(), number));
    }
    while joining.next().await.is_some() {}
    board
}

async fn agent(board: Arc<Board>, number: usize) {
    let instance = register(&board, number).await;
    let query = AcsQuery {
        agent_hash: "bench".into(),
        agent_version: "1.100.0".into(),
        cluster_arn: board.cluster.clone(),
        container_instance_arn: instance.clone(),
        docker_version: "DockerVersion: 20.10.24".into(),
        protocol_version: 2,
        send_credentials: true,
        seq_num: 1,
    };
    let stream = TcpStream::connect(ADDRESS).await.expect("the control plane answers");
    stream.set_nodelay(true).expect("a socket");
    let url = format!("ws://{ADDRESS}/acs/ws?{}", query.encode());
    let request = url.into_client_request().expect("it is a URL");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("the agent connects");
    tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let decoded = ToAgent::decode(&text).ok().and_then(|decoded| decoded.known());
            let Some(answer) = decoded.and_then(|message| answer(&board, message)) else { continue };
            socket.send(Message::text(answer.encode())).await.expect("the control plane reads");
        }
    });
}

async fn register(board: &Board, number: usize) -> String {
    let integer = |name: &str, value| Resource {
        name: Some(name.into()),
        r#type: Some("INTEGER".into()),
        integer_value: Some(value),
        ..Default::default()
    };
    let set = |name: &str| Resource {
        name: Some(name.into()),
        r#type: Some("STRINGSET".into()),
        string_set_value: Some(Vec::new()),
        ..Default::default()
    };
    let attribute =
        |name: &str, value: Option<String>| Attribute { name: Some(name.into()), value, ..Default::default() };
    let zone = format!("us-east-1{}", char::from(b'a' + (number % 6) as u8));
    let request = RegisterContainerInstanceRequest {
        cluster: Some(board.cluster.clone()),
        attributes: Some(vec![
            attribute("com.amazonaws.ecs.capability.docker-remote-api.1.18", None),
            attribute("com.amazonaws.ecs.capability.logging-driver.json-file", None),
            attribute("ecs.availability-zone", Some(zone)),
        ]),
        total_resources: Some(vec![
            integer("CPU", 1 << 20),
            integer("MEMORY", 1 << 20),
            set("PORTS"),
            set("PORTS_UDP"),
        ]),
        ..Default::default()
    };
    let answer = board.client.call::<RegisterContainerInstance>(request).await.expect("the instance registers");
    answer.container_instance.and_then(|instance| instance.container_instance_arn).expect("it has an ARN")
}

/// What the agent says to it; reports go their own way.
fn answer(board: &Arc<Board>, message: ToAgent) -> Option<FromAgent> {
    match message {
        ToAgent::Payload(payload) => {
            let now = Instant::now();
            for task in payload.tasks {
                let status = match task.desired_status {
                    DesiredStatus::Stopped => "STOPPED",
                    _ => "RUNNING",
                };
                if status == "RUNNING" {
                    let mut arrived = board.arrived.lock().unwrap_or_else(PoisonError::into_inner);
                    arrived.insert(task.arn.clone(), now);
                }
                let names = task.containers.into_iter().map(|container| container.name).collect();
                tokio::spawn(report(board.clone(), task.arn, names, status));
            }
            Some(FromAgent::Ack(Ack {
                cluster: payload.cluster_arn,
                container_instance: payload.container_instance_arn,
                message_id: payload.message_id,
            }))
        }
        ToAgent::Heartbeat(heartbeat) => {
            Some(FromAgent::HeartbeatAck(HeartbeatAck { message_id: heartbeat.message_id }))
        }
        _ => None,
    }
}

async fn report(board: Arc<Board>, task: String, containers: Vec<String>, status: &'static str) {
    let _turn = board.reports.acquire().await.expect("nobody closes it");
    let change = |name: String| ContainerStateChange {
        container_name: Some(name),
        status: Some(status.into()),
        runtime_id: Some(task.rsplit('/').next().unwrap_or_default().repeat(2)),
        ..Default::default()
    };
    let request = SubmitTaskStateChangeRequest {
        cluster: Some(board.cluster.clone()),
        task: Some(task.clone()),
        status: Some(status.into()),
        containers: Some(containers.into_iter().map(change).collect()),
        ..Default::default()
    };
    board.client.call::<SubmitTaskStateChange>(request).await.expect("the report is acknowledged");
    if status == "RUNNING" {
        board.running.fetch_add(1, Relaxed);
    }
}
