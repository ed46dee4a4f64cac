//! Two websocket upgrades: who asks, for which instance, and the refusals that an agent understands.

use std::sync::Arc;

use agent_api::close::UpgradeRefusal;
use agent_api::query::{AcsQuery, QueryError, TcsQuery};
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::container_instance::VersionInfo;
use model::{ClusterArn, ContainerInstance, ContainerInstanceArn, ContainerInstanceStatus};
use state::{Ledger, Record, Snapshot};

use super::Hub;
use super::connection::{Connected, Connection};
use super::telemetry;

/// The largest message of an agent, and the largest frame, which is in memory before a message is known to be too large. The
/// official agent sends up to 1 MiB on TCS, and far less on ACS; ours may verify some ten thousand stops at once.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// `GET /acs/ws`
pub async fn acs(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let asked = AcsQuery::parse(parts.uri.query().unwrap_or_default()).map_err(invalid);
    let found = asked.and_then(|query| {
        let (instance, endpoint) = identify(&hub, &parts, &query.cluster_arn, &query.container_instance_arn)?;
        Ok((query, instance, endpoint))
    });
    let (query, instance, endpoint) = match found {
        Ok(found) => found,
        Err(refusal) => return refuse(&refusal),
    };
    upgrade(&mut parts, move |socket| async move {
        let version = VersionInfo {
            agent_version: query.agent_version,
            agent_hash: query.agent_hash,
            docker_version: query.docker_version,
        };
        let socket = Connection::new(socket);
        hub.connect(&instance, Connected { socket, send_credentials: query.send_credentials, version, endpoint });
    })
    .await
}

/// `GET /tcs/ws`
pub async fn tcs(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let asked = TcsQuery::parse(parts.uri.query().unwrap_or_default()).map_err(invalid);
    let found = asked.and_then(|query| identify(&hub, &parts, &query.cluster, &query.container_instance));
    match found {
        Ok((instance, _)) => {
            upgrade(&mut parts, move |socket| telemetry::serve(hub, instance, Connection::new(socket))).await
        }
        Err(refusal) => refuse(&refusal),
    }
}

async fn upgrade<F>(
    parts: &mut Parts,
    serve: impl FnOnce(axum::extract::ws::WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).on_upgrade(serve),
        Err(rejection) => rejection.into_response(),
    }
}

/// The record name of the instance that asks, and where it reached us.
fn identify(hub: &Hub, parts: &Parts, cluster: &str, instance: &str) -> Result<(String, String), UpgradeRefusal> {
    let denied = |error: shape::WireError| UpgradeRefusal::AccessDenied(error.to_string());
    let caller = hub.auth.caller(&as_signed(parts), &Bytes::new(), hub.clock.wall(), String::new()).map_err(denied)?;
    let name = admit(&hub.ledger.snapshot(), (&caller.account, &caller.region), cluster, instance)?;
    Ok((name, caller.endpoint.unwrap_or_default()))
}

/// The record name of an instance that may connect. Pure.
pub fn admit(
    snapshot: &Snapshot,
    (account, region): (&str, &str),
    cluster: &str,
    instance: &str,
) -> Result<String, UpgradeRefusal> {
    let unknown = || UpgradeRefusal::InvalidInstance(format!("{instance} is not a container instance of yours."));
    let arn: ContainerInstanceArn = instance.parse().map_err(|_| unknown())?;
    if (&*arn.scope.account, &*arn.scope.region) != (account, region) {
        return Err(unknown());
    }
    let cluster_name = cluster.parse::<ClusterArn>().map_or(cluster.to_owned(), |arn| arn.name);
    if cluster_name != arn.cluster {
        return Err(UpgradeRefusal::InvalidCluster(format!("{instance} is not in cluster {cluster}.")));
    }
    let name = format!("{}/{}/{}", arn.scope, arn.cluster, arn.id);
    let known: &ContainerInstance = snapshot.container_instances.get(&name).ok_or_else(unknown)?;
    if known.status == ContainerInstanceStatus::Inactive {
        return Err(UpgradeRefusal::InactiveInstance(format!("{instance} was deregistered.")));
    }
    Ok(known.name())
}

/// Agents write a space of their query as a form does, and sign it as a URL has it. Both mean the same here.
fn as_signed(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    if let Some(query) = parts.uri.query().filter(|query| query.contains('+')) {
        let path = format!("{}?{}", parts.uri.path(), query.replace('+', "%20"));
        let mut uri = parts.uri.clone().into_parts();
        uri.path_and_query = path.parse().ok().or(uri.path_and_query);
        parts.uri = axum::http::Uri::from_parts(uri).unwrap_or(parts.uri);
    }
    parts
}

fn invalid(error: QueryError) -> UpgradeRefusal {
    UpgradeRefusal::Other { exception: "ClientException".to_owned(), message: error.to_string() }
}

fn refuse(refusal: &UpgradeRefusal) -> Response {
    tracing::info!(exception = refusal.exception(), message = refusal.message(), "an agent's websocket is refused");
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    (status, refusal.encode()).into_response()
}
