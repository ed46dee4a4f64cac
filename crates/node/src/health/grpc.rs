//! `grpc.health.v1.Health/Check` over HTTP/2 without TLS.
//!
//! Source: "GRPC Health Checking Protocol" and "gRPC over HTTP2", both in grpc's documentation. The two messages have one
//! field each, so they are written and read by hand:
//!
//! ```text
//! message HealthCheckRequest  { string service = 1; }
//! message HealthCheckResponse { ServingStatus status = 1; }   0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN
//! ```

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

use super::http::AGENT;
use super::{beside, chain};
use crate::limits::{PROBE_BODY_BYTES, PROBE_HEAD_BYTES_MAX};

const SERVING: u64 = 1;

pub(super) async fn check(stream: TcpStream, port: u16, service: &str) -> Result<(), String> {
    let failed = |error: h2::Error| format!("failed: {}", chain(&error));
    let request = Request::post(format!("http://127.0.0.1:{port}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(())
        .map_err(|error| format!("cannot be asked: {error}"))?;
    let mut builder = client::Builder::new();
    builder.enable_push(false).max_header_list_size(PROBE_HEAD_BYTES_MAX as u32).max_concurrent_streams(1);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(failed)?;
    let asking = async {
        let mut client = client.ready().await.map_err(failed)?;
        let (answer, mut body) = client.send_request(request, false).map_err(failed)?;
        body.send_data(question(service), true).map_err(failed)?;
        let answer = answer.await.map_err(failed)?;
        if answer.status() != 200 {
            return Err(format!("answered HTTP {}", answer.status().as_u16()));
        }
        // An answer without a message has its status at once.
        status(answer.headers())?;
        let mut body = answer.into_body();
        let mut message = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(failed)?;
            let _ = body.flow_control().release_capacity(chunk.len());
            if message.len() + chunk.len() > PROBE_BODY_BYTES {
                return Err("answered too much".to_owned());
            }
            message.put(chunk);
        }
        if let Some(trailers) = body.trailers().await.map_err(failed)? {
            status(&trailers)?;
        }
        match serving_status(&message) {
            Some(SERVING) => Ok(()),
            Some(0) => Err("answered UNKNOWN".to_owned()),
            Some(2) => Err("answered NOT_SERVING".to_owned()),
            Some(3) => Err("answered SERVICE_UNKNOWN".to_owned()),
            Some(other) => Err(format!("answered the status {other}")),
            None => Err("answered something that is no health".to_owned()),
        }
    };
    beside(asking, connection).await
}

/// A message with its five bytes in front: not compressed, and its length.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2);
        put_varint(&mut message, service.len() as u64);
        message.put(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put(message);
    framed.freeze()
}

fn put_varint(bytes: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        bytes.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.put_u8(value as u8);
}

/// `grpc-status`, where there is one and it is not zero, as an error.
fn status(headers: &HeaderMap) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => {
            let message = text("grpc-message").filter(|message| !message.is_empty());
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            Err(format!("answered with the gRPC status {code}{message}"))
        }
    }
}

/// The field `status` of the one message in `framed`. A field that is absent is zero; others are passed over.
pub(super) fn serving_status(framed: &[u8]) -> Option<u64> {
    let (head, mut message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    if head[0] != 0 || message.len() as u64 != u64::from(length) {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                status = if tag >> 3 == 1 { value } else { status };
            }
            1 => message = message.split_at_checked(8)?.1,
            2 => {
                let length = varint(&mut message)?;
                message = message.split_at_checked(usize::try_from(length).ok()?)?.1;
            }
            5 => message = message.split_at_checked(4)?.1,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for at in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
