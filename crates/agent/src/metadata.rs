//! What a container may ask about itself: task metadata v3 and v4, and the credentials of its roles.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use serde_json::{Map, Value, json};
use task_engine::{Container, ContainerStatus, HealthStatus, Task};
use tokio::net::TcpListener;
use wire::serve::Limits;

use crate::clock;
use crate::limits::METADATA_CONNECTIONS_MAX;
use crate::protection;
use crate::seams::{ControlPlane, Node, Run};
use crate::stats::{self, Uptime};
use crate::tasks::Tasks;
use crate::worker::Handle;

/// What the node knows of a container beyond its task: shown by the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerInfo {
    pub network_mode: String,
    pub ipv4_addresses: Vec<String>,
}

/// A bound socket that serves the endpoint once the agent runs.
pub struct MetadataListener {
    listener: TcpListener,
    info: InfoSource,
}

/// Asks the node about container `index` of a task, by the task's id.
type InfoSource = Arc<dyn Fn(&str, usize) -> ContainerInfo + Send + Sync>;

pub(crate) struct Instance {
    pub arn: String,
    pub cluster: String,
    pub availability_zone: Option<String>,
}

struct Served {
    tasks: Arc<Tasks>,
    node: Arc<dyn Node>,
    instance: Instance,
    info: InfoSource,
}

impl MetadataListener {
    pub async fn bind(
        address: SocketAddr,
        info: impl Fn(&str, usize) -> ContainerInfo + Send + Sync + 'static,
    ) -> std::io::Result<MetadataListener> {
        Ok(MetadataListener { listener: TcpListener::bind(address).await?, info: Arc::new(info) })
    }

    /// On a socket that is bound already: a node must know the port before there is anything to show.
    pub fn serving(
        listener: TcpListener,
        info: impl Fn(&str, usize) -> ContainerInfo + Send + Sync + 'static,
    ) -> MetadataListener {
        MetadataListener { listener, info: Arc::new(info) }
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// `control` is asked for what only it knows.
    pub(crate) async fn serve(
        self,
        tasks: Arc<Tasks>,
        node: Arc<dyn Node>,
        control: Arc<dyn ControlPlane>,
        instance: Instance,
    ) {
        let protection = protection::router(tasks.clone(), control, instance.cluster.clone());
        let served = Arc::new(Served { tasks, node, instance, info: self.info });
        let router = Router::new()
            .route("/v2/credentials/{id}", get(credentials))
            .route("/v3/{id}", get(container_v3))
            .route("/v3/{id}/task", get(task_v3))
            .route("/v3/{id}/stats", get(container_stats))
            .route("/v3/{id}/task/stats", get(task_stats))
            .route("/v4/{id}", get(container_v4))
            .route("/v4/{id}/task", get(task_v4))
            .route("/v4/{id}/stats", get(container_stats))
            .route("/v4/{id}/task/stats", get(task_stats))
            .with_state(served)
            .merge(protection);
        let limits = Limits { connections_max: METADATA_CONNECTIONS_MAX, ..Limits::default() };
        let _served = wire::serve::serve(self.listener, router, limits);
        std::future::pending().await
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V3,
    V4,
}

async fn container_v3(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    served.container(&id, Version::V3)
}

async fn container_v4(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    served.container(&id, Version::V4)
}

async fn task_v3(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    served.task(&id, Version::V3)
}

async fn task_v4(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    served.task(&id, Version::V4)
}

async fn container_stats(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    match served.find(&id) {
        Some((handle, index)) => {
            Json(served.stats(&handle, index).await.map_or(json!({}), |(_, stats)| stats)).into_response()
        }
        None => not_found(&id),
    }
}

/// By runtime id; containers that do not run are left out.
async fn task_stats(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    let Some((handle, _)) = served.find(&id) else { return not_found(&id) };
    let stats = join_all((0..handle.plan.containers.len()).map(|index| served.stats(&handle, index))).await;
    Json(Value::Object(stats.into_iter().flatten().collect())).into_response()
}

async fn credentials(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    match served.tasks.credentials(&id) {
        Some(found) => Json(json!({
            "RoleArn": found.role_arn,
            "AccessKeyId": found.access_key_id,
            "SecretAccessKey": found.secret_access_key,
            "Token": found.session_token,
            "Expiration": found.expiration,
        }))
        .into_response(),
        None => {
            let body = json!({"code": "InvalidIdInRequest", "message": "CredentialsV2Request: Credentials not found", "HTTPErrorCode": 400});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

impl Served {
    fn find(&self, id: &str) -> Option<(Arc<Handle>, usize)> {
        self.tasks.all().into_iter().find_map(|handle| {
            let index = handle.plan.containers.iter().position(|container| container.metadata_id == id)?;
            Some((handle, index))
        })
    }

    fn container(&self, id: &str, version: Version) -> Response {
        match self.find(id) {
            Some((handle, index)) => {
                Json(self.container_value(&handle, &handle.state(), index, version)).into_response()
            }
            None => not_found(id),
        }
    }

    fn task(&self, id: &str, version: Version) -> Response {
        match self.find(id) {
            Some((handle, _)) => Json(self.task_value(&handle, version)).into_response(),
            None => not_found(id),
        }
    }

    async fn stats(&self, handle: &Handle, index: usize) -> Option<(String, Value)> {
        let (plan, state) = (&handle.plan, handle.state());
        let known = state.container(&plan.containers[index].name)?;
        let runtime_id = known.runtime_id.clone().filter(|_| known.alive())?;
        let run = Run { task: plan.clone(), container: index, number: known.restarts };
        let usage = self.node.usages(&[run]).await.pop()??;
        let docker_name = &plan.containers[index].docker_name;
        let stats = stats::container(&runtime_id, docker_name, usage, clock::now(), Uptime::now());
        Some((runtime_id, stats))
    }

    fn task_value(&self, handle: &Handle, version: Version) -> Value {
        let (state, payload) = (handle.state(), &handle.plan.payload);
        let containers =
            (0..handle.plan.containers.len()).map(|index| self.container_value(handle, &state, index, version));
        let mut value = Map::new();
        let mut put = |name: &str, content: Value| drop(value.insert(name.to_owned(), content));
        put(
            "Cluster",
            json!(if payload.task_cluster_arn.is_empty() { &self.instance.cluster } else { &payload.task_cluster_arn }),
        );
        put("TaskARN", json!(payload.arn));
        put("Family", json!(payload.family));
        put("Revision", json!(payload.version));
        put("DesiredStatus", json!(desired(&state)));
        put("KnownStatus", json!(state.status().name()));
        put("Containers", containers.collect());
        let (pull_started, pull_stopped) = state.pull_times();
        for (name, at) in [
            ("PullStartedAt", pull_started),
            ("PullStoppedAt", pull_stopped),
            ("ExecutionStoppedAt", state.stopped_at()),
        ] {
            if let Some(at) = at {
                put(name, json!(clock::to_wall(at).to_string()));
            }
        }
        let zone = payload
            .berth
            .as_ref()
            .and_then(|berth| berth.availability_zone.as_ref())
            .or(self.instance.availability_zone.as_ref());
        if let Some(zone) = zone {
            put("AvailabilityZone", json!(zone));
        }
        if version == Version::V4 {
            // The official agent tells it only in the metadata file; a container asks here for everything else.
            put("ContainerInstanceARN", json!(self.instance.arn));
        }
        let mut limits = Map::new();
        limits.extend(payload.cpu.map(|cpu| ("CPU".to_owned(), json!(cpu))));
        limits.extend(payload.memory.map(|memory| ("Memory".to_owned(), json!(memory))));
        if !limits.is_empty() {
            put("Limits", Value::Object(limits));
        }
        if version == Version::V4 {
            put("LaunchType", json!(payload.launch_type.as_deref().unwrap_or("EC2")));
            if let Some(service) = &payload.service_name {
                put("ServiceName", json!(service));
            }
            put("FaultInjectionEnabled", json!(payload.enable_fault_injection.unwrap_or(false)));
        }
        Value::Object(value)
    }

    fn container_value(&self, handle: &Handle, state: &Task, index: usize, version: Version) -> Value {
        let plan = &handle.plan.containers[index];
        let known = state.container(&plan.name);
        let info = (self.info)(&handle.plan.id, index);
        let mut value = Map::new();
        let mut put = |name: &str, content: Value| drop(value.insert(name.to_owned(), content));
        put("DockerId", json!(known.and_then(|known| known.runtime_id.as_deref()).unwrap_or_default()));
        put("Name", json!(plan.name));
        put("DockerName", json!(plan.docker_name));
        put("Image", json!(plan.payload.image));
        put("ImageID", json!(known.and_then(|known| known.image_digest.as_deref()).unwrap_or_default()));
        put("Labels", json!(plan.labels));
        put("DesiredStatus", json!(desired(state)));
        put("KnownStatus", json!(known.map_or("NONE", known_status)));
        put("Limits", json!({"CPU": plan.payload.cpu, "Memory": plan.payload.memory}));
        put("CreatedAt", json!(handle.accepted_at.to_string()));
        put("Type", json!("NORMAL"));
        put("Networks", json!([{"NetworkMode": info.network_mode, "IPv4Addresses": info.ipv4_addresses}]));
        if let Some(known) = known {
            lifetime(known, &mut put);
        }
        if version == Version::V4 {
            put("ContainerARN", json!(plan.payload.container_arn));
            if let Some(logs) = &plan.logs {
                put("LogDriver", json!(logs.log_driver));
                put("LogOptions", json!(logs.options));
            }
        }
        Value::Object(value)
    }
}

/// What a container has only once it has lived.
fn lifetime(known: &Container, put: &mut impl FnMut(&str, Value)) {
    if let Some(at) = known.started_at {
        put("StartedAt", json!(clock::to_wall(at).to_string()));
    }
    if let Some(at) = known.stopped_at {
        put("FinishedAt", json!(clock::to_wall(at).to_string()));
    }
    if let Some(code) = known.exit_code.filter(|_| known.stopped()) {
        put("ExitCode", json!(code));
    }
    if known.spec.restart.is_some() {
        put("RestartCount", json!(known.restarts));
    }
    if let Some(health) = known.health_status() {
        let status = match health {
            HealthStatus::Unknown => "UNKNOWN",
            HealthStatus::Healthy => "HEALTHY",
            HealthStatus::Unhealthy => "UNHEALTHY",
        };
        let since = known.health.as_ref().map(|health| clock::to_wall(health.since).to_string());
        let mut health = json!({"status": status, "statusSince": since});
        let output = known.health.as_ref().map(|health| health.said.as_str()).filter(|said| !said.is_empty());
        if let Some(output) = output {
            health["output"] = json!(output);
        }
        put("Health", health);
    }
    if !known.bindings.is_empty() {
        // Each port of a range by itself, as in version 4 of the official agent's endpoint.
        let ports = |binding: &task_engine::Binding| {
            let more = binding.to.map_or(0, |(last, _)| last.saturating_sub(binding.container_port));
            let binding = binding.clone();
            (0..=more).map(move |at| {
                json!({
                    "ContainerPort": binding.container_port + at,
                    "Protocol": binding.protocol,
                    "HostPort": binding.host_port.saturating_add(at),
                    "HostIp": binding.bind_ip,
                })
            })
        };
        put("Ports", known.bindings.iter().flat_map(ports).collect());
    }
}

fn desired(state: &Task) -> &'static str {
    if state.stop_cause().is_some() { "STOPPED" } else { "RUNNING" }
}

fn known_status(container: &Container) -> &'static str {
    match container.status() {
        ContainerStatus::Pending if container.alive() => "CREATED",
        ContainerStatus::Pending => "NONE",
        other => other.name(),
    }
}

fn not_found(id: &str) -> Response {
    let text = format!("container metadata handler: unable to get container ID from request: unknown id {id}");
    (StatusCode::NOT_FOUND, Json(json!(text))).into_response()
}
