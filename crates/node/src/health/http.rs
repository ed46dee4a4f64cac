//! One GET. The answer's status decides; redirects are answers like others.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{beside, chain};
use crate::limits::{PROBE_BODY_BYTES, PROBE_HEAD_BYTES_MAX, PROBE_HEADERS_MAX};

/// How long a body may take whose status has already said everything.
const BODY_WITHIN: Duration = Duration::from_millis(500);

pub(super) const AGENT: &str = concat!("berth-probe/", env!("CARGO_PKG_VERSION"));

pub(super) async fn get(stream: TcpStream, port: u16, path: &str) -> Result<(), String> {
    let request = Request::get(path)
        .header(HOST, format!("127.0.0.1:{port}"))
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("cannot be asked: {error}"))?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(PROBE_HEAD_BYTES_MAX).max_headers(PROBE_HEADERS_MAX);
    let opened = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(|error| format!("failed: {}", chain(&error)))?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(|error| format!("failed: {}", chain(&error)))?;
        let status = answer.status();
        // A server that is cut off while it writes complains in its log, every few seconds.
        let _ = tokio::time::timeout(BODY_WITHIN, drain(answer.into_body())).await;
        // Source: Kubernetes' documentation, "Configure Liveness, Readiness and Startup Probes": from 200 and below 400.
        let good = (200..400).contains(&status.as_u16());
        if good { Ok(()) } else { Err(format!("answered {}", status.as_u16())) }
    };
    beside(asking, connection).await
}

/// The beginning of a body, into nothing.
async fn drain(mut body: hyper::body::Incoming) {
    let mut left = PROBE_BODY_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length >= left {
            return;
        }
        left -= length;
    }
}
