//! The node on this machine: HTTP over a socket that only its owner can open.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use crate::person::http;

/// What a query may hold as it is: unreserved characters and the slash, which keeps paths legible.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

#[derive(Debug, Error)]
pub enum NodeError {
    #[error(
        "no node listens at {socket}: is `berth up` or `berth agent` running on this machine? If its data is elsewhere, \
         say where with --data-dir or BERTH_DATA_DIR"
    )]
    Absent { socket: String },
    #[error("{socket} belongs to another user: try again as root, with sudo")]
    Forbidden { socket: String },
    #[error("failed to connect to {socket}")]
    Connect { socket: String, source: io::Error },
    /// In the node's own words.
    #[error("{message}")]
    Refused { message: String },
    #[error("the node answered {status} and nothing that can be read")]
    Answer { status: u16, source: serde_json::Error },
}

pub struct Node {
    socket: PathBuf,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Node {
    pub fn of(data_dir: PathBuf) -> Node {
        Node { socket: data_dir.join("node.sock") }
    }

    /// The path is the node's to read, so it must be absolute.
    pub async fn load<T: DeserializeOwned>(&self, path: &Path) -> anyhow::Result<T> {
        let path = percent_encode(path.as_os_str().as_bytes(), QUERY);
        self.ask(Method::POST, &format!("/images?path={path}")).await
    }

    pub async fn list<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        self.ask(Method::GET, "/images").await
    }

    /// What the containers of a task have said, from where an earlier answer ended.
    pub async fn said<T: DeserializeOwned>(&self, task: &str, from: &str) -> anyhow::Result<T> {
        let (task, from) = (percent_encode(task.as_bytes(), QUERY), percent_encode(from.as_bytes(), QUERY));
        self.ask(Method::GET, &format!("/logs?task={task}&from={from}")).await
    }

    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        let name = percent_encode(name.as_bytes(), QUERY);
        self.send(Method::DELETE, &format!("/images?name={name}")).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> anyhow::Result<T> {
        let (status, body) = self.send(method, path).await?;
        Ok(serde_json::from_slice(&body).map_err(|source| NodeError::Answer { status, source })?)
    }

    /// A success and its body; a refusal is an error.
    async fn send(&self, method: Method, path: &str) -> anyhow::Result<(u16, bytes::Bytes)> {
        let stream = self.connect().await?;
        let (status, body) = http::ask(stream, method, "localhost", path).await?;
        if status.is_success() {
            return Ok((status.as_u16(), body));
        }
        let refusal: Result<Refusal, _> = serde_json::from_slice(&body);
        let refusal = refusal.map_err(|source| NodeError::Answer { status: status.as_u16(), source })?;
        Err(NodeError::Refused { message: refusal.message }.into())
    }

    async fn connect(&self) -> Result<UnixStream, NodeError> {
        let socket = self.socket.display().to_string();
        UnixStream::connect(&self.socket).await.map_err(|source| match source.kind() {
            // The file outlives a node that was killed.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => NodeError::Absent { socket },
            io::ErrorKind::PermissionDenied => NodeError::Forbidden { socket },
            _ => NodeError::Connect { socket, source },
        })
    }
}
