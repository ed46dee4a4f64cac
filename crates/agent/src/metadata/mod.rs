//! What a container may ask about itself: task metadata v3 and v4, and the credentials of its roles.

mod stats;
mod view;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wire::serve::Limits;

use crate::clock;
use crate::limits::METADATA_CONNECTIONS_MAX;
use crate::protection;
use crate::seams::{ControlPlane, Node, Run};
use crate::tasks::Tasks;
use crate::worker::Handle;
use stats::{Moment, Sample};

/// What the node knows of a container beyond its task: shown by the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerInfo {
    pub network_mode: String,
    pub ipv4_addresses: Vec<String>,
    pub volumes: Vec<VolumeInfo>,
}

/// What of the machine's files a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Of a volume; a folder of the machine has none.
    pub name: Option<String>,
    pub source: PathBuf,
    pub destination: PathBuf,
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
    control: Arc<dyn ControlPlane>,
    instance: Instance,
    info: InfoSource,
    /// What was counted when somebody asked before, by runtime id: the rate is the difference.
    samples: Mutex<BTreeMap<String, Sample>>,
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
        let protection = protection::router(tasks.clone(), control.clone(), instance.cluster.clone());
        let samples = Mutex::default();
        let served = Arc::new(Served { tasks, node, control, instance, info: self.info, samples });
        let router = Router::new()
            .route("/v1/credentials", get(credentials_v1))
            .route("/v2/credentials/{id}", get(credentials))
            .nest("/v3", of_version(Version::V3))
            .nest("/v4", of_version(Version::V4))
            .with_state(served)
            .merge(protection);
        let limits = Limits { connections_max: METADATA_CONNECTIONS_MAX, ..Limits::default() };
        let _served = wire::serve::serve(self.listener, router, limits);
        std::future::pending().await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V3,
    V4,
}

/// Each path begins with the id of the container that asks.
fn of_version(version: Version) -> Router<Arc<Served>> {
    Router::new()
        .route("/{id}", get(container))
        .route("/{id}/task", get(task))
        .route("/{id}/taskWithTags", get(task_with_tags))
        .route("/{id}/stats", get(container_stats))
        .route("/{id}/task/stats", get(task_stats))
        .route("/{id}/associations/{kind}", get(associations))
        .route("/{id}/associations/{kind}/{name}", get(association))
        .layer(Extension(version))
}

async fn container(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path(id): Path<String>,
) -> Response {
    let Some((handle, index)) = served.find(&id).await else { return version.unknown(CONTAINER_METADATA, &id) };
    Json(served.container_value(&handle, &handle.state(), index, version)).into_response()
}

async fn task(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path(id): Path<String>,
) -> Response {
    let Some((handle, _)) = served.find(&id).await else { return version.unknown(TASK_METADATA, &id) };
    Json(served.task_value(&handle, version)).into_response()
}

async fn task_with_tags(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path(id): Path<String>,
) -> Response {
    let Some((handle, _)) = served.find(&id).await else { return version.unknown(TASK_METADATA, &id) };
    let mut task = served.task_value(&handle, version);
    served.add_tags(&handle, &mut task).await;
    Json(task).into_response()
}

async fn container_stats(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path(id): Path<String>,
) -> Response {
    let Some((handle, index)) = served.find(&id).await else { return version.unknown(CONTAINER_STATS, &id) };
    Json(served.stats(&handle, index, version).await.map_or(json!({}), |(_, stats)| stats)).into_response()
}

/// By runtime id; containers that do not run are left out.
async fn task_stats(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path(id): Path<String>,
) -> Response {
    let Some((handle, _)) = served.find(&id).await else { return version.unknown(TASK_STATS, &id) };
    let containers = 0..handle.plan.containers.len();
    let stats = join_all(containers.map(|index| served.stats(&handle, index, version))).await;
    Json(Value::Object(stats.into_iter().flatten().collect())).into_response()
}

/// The names of what a container has of a kind: the ids of its GPUs, for `gpu`.
async fn associations(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path((id, kind)): Path<(String, String)>,
) -> Response {
    let Some((handle, index)) = served.find(&id).await else { return version.unknown(ASSOCIATIONS, &id) };
    let names: Vec<&str> = handle.plan.associations(index, &kind).map(|one| one.name.as_str()).collect();
    Json(json!({"Associations": names})).into_response()
}

/// The content of one of them. A GPU has none.
async fn association(
    State(served): State<Arc<Served>>,
    Extension(version): Extension<Version>,
    Path((id, kind, name)): Path<(String, String, String)>,
) -> Response {
    let Some((handle, index)) = served.find(&id).await else { return version.unknown(ASSOCIATIONS, &id) };
    let found = handle.plan.associations(index, &kind).find(|one| one.name == name);
    found.map_or_else(|| version.unknown(ASSOCIATIONS, &id), |found| found.content.value.clone().into_response())
}

#[derive(Deserialize)]
struct CredentialsQuery {
    id: String,
}

async fn credentials_v1(State(served): State<Arc<Served>>, Query(query): Query<CredentialsQuery>) -> Response {
    credentials(State(served), Path(query.id)).await
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
    /// The task and the number of the container that has this id, once its start is known.
    async fn find(&self, id: &str) -> Option<(Arc<Handle>, usize)> {
        let (handle, index) = self.tasks.all().into_iter().find_map(|handle| {
            let index = handle.plan.containers.iter().position(|container| container.metadata_id == id)?;
            Some((handle, index))
        })?;
        handle.knows_start(index).await;
        Some((handle, index))
    }

    async fn stats(&self, handle: &Handle, index: usize, version: Version) -> Option<(String, Value)> {
        let (plan, state) = (&handle.plan, handle.state());
        let known = state.container(&plan.containers[index].name)?;
        let runtime_id = known.runtime_id.clone().filter(|_| known.alive())?;
        let run = Run { task: plan.clone(), container: index, number: known.restarts };
        let counted = self.node.statistics(&run).await?;
        let moment = Moment::now(clock::now());
        let before = self.sample(&runtime_id, Sample::new(&counted, &moment));
        let mut stats = stats::container(&counted, &moment, before.as_ref());
        stats["id"] = json!(runtime_id);
        stats["name"] = json!(format!("/{}", plan.containers[index].docker_name));
        if let (Version::V4, Some(before)) = (version, &before) {
            stats["network_rate_stats"] = before.rates(&counted, &moment);
        }
        Some((runtime_id, stats))
    }

    /// Keeps what is counted now, unless that which is kept is young; answers what was kept.
    fn sample(&self, runtime_id: &str, new: Sample) -> Option<Sample> {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let before = samples.get(runtime_id).cloned();
        if before.as_ref().is_none_or(|before| new.is_later_by_enough(before)) {
            // Those of containers that are gone go with the first new one.
            if before.is_none() {
                let live: Vec<String> = self.tasks.all().iter().flat_map(|task| runtime_ids(&task.state())).collect();
                samples.retain(|id, _| live.contains(id));
            }
            samples.insert(runtime_id.to_owned(), new);
        }
        before
    }
}

fn runtime_ids(task: &task_engine::Task) -> Vec<String> {
    let live = task.containers().iter().filter(|container| container.alive());
    live.filter_map(|container| container.runtime_id.clone()).collect()
}

/// How the official agent's answers to a stranger begin.
const CONTAINER_METADATA: (&str, &str) =
    ("container metadata handler", "unable to get container ID from request: unable to get docker ID");
const TASK_METADATA: (&str, &str) =
    ("task metadata handler", "unable to get task arn from request: unable to get task Arn");
const CONTAINER_STATS: (&str, &str) =
    ("container stats handler", "unable to get task arn from request: unable to get task Arn");
const TASK_STATS: (&str, &str) = ("task stats handler", "unable to get task arn from request: unable to get task Arn");
const ASSOCIATIONS: (&str, &str) =
    ("container associations handler", "unable to get container ID from request: unable to get docker ID");

impl Version {
    fn unknown(self, (who, what): (&str, &str), id: &str) -> Response {
        let text = format!("{self:?} {who}: {what} from v3 endpoint ID: {id}");
        (StatusCode::NOT_FOUND, Json(json!(text))).into_response()
    }
}
