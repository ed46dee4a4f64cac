//! One plain HTTP request over one connection: what Berth adds beside the AWS protocols is asked so.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

/// The largest answer: usage of a hundred thousand tasks.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Debug, Error)]
pub enum HttpError {
    #[error("failed to ask for {path}")]
    Request { path: String, source: hyper::http::Error },
    #[error("the connection broke while {path} was asked for")]
    Exchange { path: String, source: hyper::Error },
    #[error("failed to read the answer to {path}")]
    Answer { path: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Sends one request without a body. Waits for as long as it takes.
pub async fn ask<S>(stream: S, method: Method, host: &str, path: &str) -> Result<(StatusCode, Bytes), HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broke = |source| HttpError::Exchange { path: path.to_owned(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
    // It ends by itself when both sides are done; its error is the request's.
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", host).body(Empty::<Bytes>::new());
    let request = request.map_err(|source| HttpError::Request { path: path.to_owned(), source })?;
    let answer = sender.send_request(request).await.map_err(broke)?;
    let (status, body) = (answer.status(), answer.into_body());
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    let body = body.map_err(|source| HttpError::Answer { path: path.to_owned(), source })?;
    Ok((status, body.to_bytes()))
}
