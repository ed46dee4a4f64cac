//! The node's own socket: images and logs, for those who work on this machine.
//!
//! HTTP over a unix socket that only its owner may open.
//!
//! ```text
//! POST   /images?path=/abs/archive.tar   {"names":["web:1"],"digest":"sha256:..."}
//! GET    /images                         {"images":[{"name","digest","size","createdAt"}]}
//! DELETE /images?name=web:1              {}
//! GET    /logs?task=0a1b&from=           {"lines":[{"container","time","stream","text"}],"next":"..."}
//! ```
//!
//! What fails says why: `{"message":"..."}`.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use images::{ErrorKind, ImageError, ImageStore, Reference, Stored};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::{Machine, Said};

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("another node answers at {}; stop it, or use another data directory", path.display())]
    InUse { path: PathBuf },
    #[error("failed to {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

/// A served socket. It goes with this value.
pub struct Control {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves at `path`. A socket that nobody listens on any more is replaced.
pub async fn serve(path: &Path, images: ImageStore, machine: Option<Arc<Machine>>) -> Result<Control, ControlError> {
    let listener = listen(path).await?;
    let router = Router::new()
        .route("/images", get(list).post(load).delete(remove))
        .with_state(images)
        .merge(Router::new().route("/logs", get(said)).with_state(machine));
    let served = path.to_owned();
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, path = %served.display(), "the node's socket is not served any more");
        }
    });
    Ok(Control { path: path.to_owned(), serving })
}

/// Made aside and renamed, so that nobody can open it before it is closed to others.
async fn listen(path: &Path) -> Result<UnixListener, ControlError> {
    let io = |action| move |source| ControlError::Io { action, path: path.to_owned(), source };
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io("use")(io::ErrorKind::InvalidInput.into()));
    };
    // A socket's address holds 107 bytes; a path by way of an open descriptor is always shorter.
    let dir = fs::File::open(dir).map_err(io("open the directory of"))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    match UnixStream::connect(short.join(name)).await {
        Ok(_) => return Err(ControlError::InUse { path: path.to_owned() }),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
        Err(error) => return Err(io("look at")(error)),
    }
    let aside = short.join(format!(".node-{}.sock", std::process::id()));
    let _ = fs::remove_file(&aside);
    let listener = UnixListener::bind(&aside).map_err(io("make"))?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).map_err(io("protect"))?;
    fs::rename(&aside, short.join(name)).map_err(io("make"))?;
    Ok(listener)
}

#[derive(Deserialize)]
struct Load {
    path: PathBuf,
}

#[derive(Deserialize)]
struct Remove {
    name: String,
}

#[derive(Deserialize)]
struct Wanted {
    /// An id, or how it begins.
    task: String,
    /// As an earlier answer said.
    #[serde(default)]
    from: String,
}

async fn list(State(images): State<ImageStore>) -> Json<Value> {
    let image = |stored: &Stored| {
        json!({
            "name": stored.name.familiar(),
            "digest": stored.digest.to_string(),
            "size": stored.size_bytes,
            "createdAt": stored.stored_at.to_string(),
        })
    };
    Json(json!({ "images": images.list().iter().map(image).collect::<Vec<_>>() }))
}

async fn load(State(images): State<ImageStore>, Query(wanted): Query<Load>) -> Result<Json<Value>, Refusal> {
    if !wanted.path.is_absolute() {
        return Err(Refusal(StatusCode::BAD_REQUEST, format!("{} is not an absolute path", wanted.path.display())));
    }
    let loaded = images.load(&wanted.path).await?;
    let names: Vec<String> = loaded.names.iter().map(Reference::familiar).collect();
    let digest = loaded.images.first().map(|image| image.digest().to_string());
    Ok(Json(json!({ "names": names, "digest": digest })))
}

async fn remove(State(images): State<ImageStore>, Query(wanted): Query<Remove>) -> Result<Json<Value>, Refusal> {
    let name: Reference = wanted.name.parse().map_err(ImageError::Reference)?;
    match images.remove(&name).await? {
        true => Ok(Json(json!({}))),
        false => Err(ImageError::NotHere { name: name.familiar() }.into()),
    }
}

async fn said(
    State(machine): State<Option<Arc<Machine>>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Said>, Refusal> {
    let said = match &machine {
        Some(machine) => machine.said(&wanted.task, &wanted.from).await,
        None => None,
    };
    said.map(Json).ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("no task {} is on this machine", wanted.task)))
}

struct Refusal(StatusCode, String);

impl From<ImageError> for Refusal {
    fn from(error: ImageError) -> Refusal {
        let status = match (&error, error.kind()) {
            (_, ErrorKind::NotFound) => StatusCode::NOT_FOUND,
            // A path that leads nowhere is the caller's mistake, a full disk is not.
            (ImageError::Disk { source, .. }, _) if source.kind() == io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
            (_, ErrorKind::Invalid | ErrorKind::Corrupted | ErrorKind::Platform) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1 }))).into_response()
    }
}
