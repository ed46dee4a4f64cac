//! A control plane on a port of its own, and a scripted agent that speaks to it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Arc;
use std::time::Duration;

use agent_api::payload::Payload;
use agent_api::{Ack, FromAgent, TaskManifest, ToAgent};
use api_ecs::operations::*;
use api_ecs::{Router as EcsRouter, *};
use client::{Client, Credentials};
use controlplane::{ControlPlane, Served};
use futures::{SinkExt, StreamExt};
use service_ecs::{EcsService, Environment};
use stdx::{Ids, Timestamp};
use store::Engine;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::{AuthMode, Gateway};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Plane {
    pub plane: ControlPlane,
    pub client: Client,
    pub address: String,
    _served: Served,
}

struct World;

impl Environment for World {
    fn now(&self) -> Timestamp {
        controlplane::now()
    }

    fn ids(&self) -> Ids {
        controlplane::seed()
    }
}

pub async fn plane(engine: Arc<dyn Engine>) -> Plane {
    let plane = ControlPlane::start(engine, AuthMode::Open).await.unwrap();
    let ecs = Arc::new(EcsRouter(Arc::new(EcsService::new(plane.ledger(), Arc::new(World)))));
    let gateway = Arc::new(Gateway::new(vec![ecs], AuthMode::Open));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = controlplane::serve(listener, plane.router(gateway, axum::Router::new()));
    let credentials = Credentials { access_key: "test".into(), secret: "test".into(), session_token: None };
    let client = Client::new(&format!("http://{address}"), credentials, "us-east-1").unwrap();
    Plane { plane, client, address, _served: served }
}

impl Plane {
    /// Cluster `default`, and one instance with 2 vCPUs and 1000 MiB.
    pub async fn instance(&self) -> String {
        self.client.call::<CreateCluster>(Default::default()).await.unwrap();
        let integer = |name: &str, value| Resource {
            name: Some(name.into()),
            r#type: Some("INTEGER".into()),
            integer_value: Some(value),
            ..Default::default()
        };
        let capability = |version: u32| Attribute {
            name: Some(format!("com.amazonaws.ecs.capability.docker-remote-api.1.{version}")),
            ..Default::default()
        };
        let able = |name: &str| Attribute { name: Some(format!("ecs.capability.{name}")), ..Default::default() };
        let able = ["container-health-check", "full-sync"].map(able);
        let probes = Attribute { name: Some("ecs.capability.berth.probes".into()), ..Default::default() };
        let request = RegisterContainerInstanceRequest {
            attributes: Some((17..=32).map(capability).chain(able).chain([probes]).collect()),
            total_resources: Some(vec![integer("CPU", 2048), integer("MEMORY", 1000)]),
            ..Default::default()
        };
        let answer = self.client.call::<RegisterContainerInstance>(request).await.unwrap();
        answer.container_instance.unwrap().container_instance_arn.unwrap()
    }

    pub async fn definition(&self, container: ContainerDefinition) {
        let container = ContainerDefinition {
            name: Some("web".into()),
            image: Some("i".into()),
            memory: container.memory.or(Some(100)),
            essential: Some(true),
            ..container
        };
        let request = RegisterTaskDefinitionRequest {
            family: Some("web".into()),
            container_definitions: Some(vec![container]),
            ..Default::default()
        };
        self.client.call::<RegisterTaskDefinition>(request).await.unwrap();
    }

    pub async fn run_task(&self) -> String {
        let request = RunTaskRequest { task_definition: Some("web".into()), ..Default::default() };
        let answer = self.client.call::<RunTask>(request).await.unwrap();
        assert_eq!(answer.failures, Some(Vec::new()));
        answer.tasks.unwrap()[0].task_arn.clone().unwrap()
    }

    pub async fn stop_task(&self, task: &str) {
        let request = StopTaskRequest { task: Some(task.into()), ..Default::default() };
        self.client.call::<StopTask>(request).await.unwrap();
    }

    pub async fn submit(&self, task: &str, status: &str, exit_code: Option<i32>) {
        let container = ContainerStateChange {
            container_name: Some("web".into()),
            status: Some(status.into()),
            exit_code,
            ..Default::default()
        };
        let request = SubmitTaskStateChangeRequest {
            task: Some(task.into()),
            status: Some(status.into()),
            containers: Some(vec![container]),
            ..Default::default()
        };
        self.client.call::<SubmitTaskStateChange>(request).await.unwrap();
    }

    pub async fn task(&self, task: &str) -> Task {
        let request = DescribeTasksRequest { tasks: Some(vec![task.into()]), ..Default::default() };
        self.client.call::<DescribeTasks>(request).await.unwrap().tasks.unwrap().remove(0)
    }

    pub async fn described_instance(&self, arn: &str) -> ContainerInstance {
        let request =
            DescribeContainerInstancesRequest { container_instances: Some(vec![arn.into()]), ..Default::default() };
        let answer = self.client.call::<DescribeContainerInstances>(request).await.unwrap();
        answer.container_instances.unwrap().remove(0)
    }

    /// Waits until the instance's agent is, or is not, connected.
    pub async fn until_connected(&self, arn: &str, connected: bool) {
        until(async || (self.described_instance(arn).await.agent_connected == Some(connected)).then_some(())).await;
    }

    pub fn acs_url(&self, arn: &str, send_credentials: bool) -> String {
        let arn = arn.replace(':', "%3A").replace('/', "%2F");
        format!(
            "ws://{}/acs/ws?agentHash=abc&agentVersion=1.105.1&clusterArn=default&containerInstanceArn={arn}\
             &dockerVersion=DockerVersion%3A+20.10&protocolVersion=2&sendCredentials={send_credentials}&seqNum=1",
            self.address
        )
    }

    pub fn tcs_url(&self, arn: &str) -> String {
        let arn = arn.replace(':', "%3A").replace('/', "%2F");
        format!("ws://{}/tcs/ws?agentVersion=1.105.1&cluster=default&containerInstance={arn}", self.address)
    }

    pub async fn connect(&self, arn: &str) -> Agent {
        Agent::connect(&self.acs_url(arn, true)).await.unwrap()
    }
}

/// Asks again until there is an answer.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not happen in time");
        tokio::task::yield_now().await;
    }
}

pub struct Agent(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Agent {
    /// The body of a refusal is the error.
    pub async fn connect(url: &str) -> Result<Agent, String> {
        match tokio_tungstenite::connect_async(url).await {
            Ok((socket, _)) => Ok(Agent(socket)),
            Err(WsError::Http(answer)) => Err(String::from_utf8(answer.into_body().unwrap_or_default()).unwrap()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next text, or the code that the connection closes with.
    pub async fn text(&mut self) -> Result<String, u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    pub async fn next(&mut self) -> ToAgent {
        let text = self.text().await.unwrap();
        ToAgent::decode(&text).unwrap().known().unwrap()
    }

    /// The next payload; heartbeats and manifests are passed over.
    pub async fn payload(&mut self) -> Payload {
        loop {
            if let ToAgent::Payload(payload) = self.next().await {
                return payload;
            }
        }
    }

    pub async fn manifest(&mut self) -> TaskManifest {
        loop {
            if let ToAgent::TaskManifest(manifest) = self.next().await {
                return manifest;
            }
        }
    }

    pub async fn send(&mut self, message: &FromAgent) {
        self.send_text(message.encode()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// One message in frames of a mebibyte, of which the last never comes. The connection may break on the way.
    pub async fn send_mebibytes(&mut self, count: usize) {
        for number in 0..count {
            let kind = OpCode::Data(if number == 0 { Data::Text } else { Data::Continue });
            let frame = Frame::message(vec![b'x'; 1 << 20], kind, false);
            if self.0.send(Message::Frame(frame)).await.is_err() {
                return;
            }
        }
    }

    /// One text in one frame. The connection may break on the way.
    pub async fn try_send_text(&mut self, text: String) {
        let _ = self.0.send(Message::text(text)).await;
    }

    pub async fn ack(&mut self, payload: &Payload) {
        let ack = Ack {
            cluster: payload.cluster_arn.clone(),
            container_instance: payload.container_instance_arn.clone(),
            message_id: payload.message_id.clone(),
        };
        self.send(&FromAgent::Ack(ack)).await;
    }
}
