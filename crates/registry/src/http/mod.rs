//! The OCI distribution protocol.
//!
//! One handler for everything below `/v2/`, because repository names contain slashes: [`path`] says what a path means,
//! and the other files answer, one kind of thing each.

mod answer;
mod blobs;
mod layers;
mod lists;
mod manifests;
#[doc(hidden)]
pub mod parsers;
mod path;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, Method, StatusCode, header};

use self::path::Place;
use crate::{Registry, RegistryError, RepositoryKey, RepositoryName, Scope};

/// The routes below `/v2/`, and the signed addresses below `/_berth/layers/`, to be merged into a server's own.
pub fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/v2", any(handle))
        .route("/v2/", any(handle))
        .route("/v2/{*rest}", any(handle))
        .route("/_berth/layers/{*rest}", any(layers::handle))
        .with_state(registry)
}

async fn handle(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let is_head = request.method() == Method::HEAD;
    let mut response = match dispatch(registry, request).await {
        Ok(response) => response,
        Err(error) => answer::error(&error, is_head),
    };
    response.headers_mut().insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    response
}

async fn dispatch(registry: Arc<Registry>, request: Request) -> Result<Response, RegistryError> {
    let scope = scope(&registry, &request);
    let path = path::decode(request.uri().path()).ok_or(RegistryError::Unsupported)?;
    let key = |name: &str| name.parse::<RepositoryName>().map(|name| RepositoryKey::new(&scope, name));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match Place::of(&path).ok_or(RegistryError::NoSuchPlace)? {
        Place::Ping if is_read => Ok(answer::json(StatusCode::OK, &serde_json::json!({}))),
        Place::Catalog if is_read => lists::catalog(registry, scope, request).await,
        Place::Tags { name } if is_read => lists::tags(registry, key(name)?, request).await,
        Place::Referrers { name, digest } if is_read => {
            lists::referrers(registry, key(name)?, path::digest(digest)?, request).await
        }
        Place::Manifest { name, target } => manifests::handle(registry, key(name)?, target.parse()?, request).await,
        Place::Blob { name, digest } => blobs::handle(registry, key(name)?, path::digest(digest)?, request).await,
        Place::Uploads { name } if *request.method() == Method::POST => {
            uploads::start(registry, key(name)?, request).await
        }
        Place::Upload { name, id } => {
            let id = id.parse().map_err(|_| RegistryError::UploadUnknown)?;
            uploads::handle(registry, key(name)?, id, request).await
        }
        _ => Err(RegistryError::Unsupported),
    }
}

/// Whose repositories the request is about: its host says so, else the default.
fn scope(registry: &Registry, request: &Request) -> Scope {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    host.and_then(Scope::of_host).unwrap_or_else(|| registry.config.default_scope.clone())
}

/// Runs what blocks on the disk away from the async threads.
async fn on_disk<T, F>(registry: &Arc<Registry>, work: F) -> Result<T, RegistryError>
where
    T: Send + 'static,
    F: FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
{
    let registry = Arc::clone(registry);
    tokio::task::spawn_blocking(move || work(&registry)).await.map_err(|_| RegistryError::Abandoned)?
}
