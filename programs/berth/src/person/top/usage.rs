//! What tasks use right now. Only Berth answers this; other endpoints have no such page, and then nothing is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Method, Uri};
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::person::{Endpoint, http};

const PATH: &str = "/_berth/usage";
/// A picture is drawn each second, with or without it.
const PATIENCE: Duration = Duration::from_millis(800);

/// By the ARN of the task.
#[derive(Debug, Default, Deserialize)]
pub struct Usage {
    pub tasks: BTreeMap<String, Used>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// Of one core.
    pub cpu_percent: f64,
    #[serde(rename = "memoryMiB")]
    pub memory_mib: f64,
}

pub async fn ask(endpoint: &Endpoint) -> Option<Usage> {
    tokio::time::timeout(PATIENCE, fetch(&endpoint.url())).await.ok()?
}

async fn fetch(endpoint: &str) -> Option<Usage> {
    let uri: Uri = endpoint.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await.ok()?;
    let (status, body) = http::ask(stream, Method::GET, uri.authority()?.as_str(), PATH).await.ok()?;
    if !status.is_success() {
        return None;
    }
    serde_json::from_slice(&body).ok()
}
