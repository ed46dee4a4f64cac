//! One HTTP client for all registries.

use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::ImageError;
use crate::limits::{ANSWER_TIMEOUT, CONNECT_TIMEOUT};

/// Connections to registries, reused while they last.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Http {
    pub(crate) fn new() -> Http {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let builder = match HttpsConnectorBuilder::new().with_provider_and_native_roots(provider()) {
            Ok(builder) => builder,
            Err(error) => {
                // Without any certificate authority plain HTTP still works, and HTTPS says that nobody is trusted.
                tracing::warn!(%error, "no certificate authorities found on this machine");
                HttpsConnectorBuilder::new().with_tls_config(without_roots())
            }
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        Http { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends a request without a body; an answer of any status is an answer.
    pub(super) async fn send(
        &self,
        method: http::Method,
        url: &Uri,
        headers: &[(HeaderName, String)],
    ) -> Result<Response<Incoming>, ImageError> {
        let shown = if method == http::Method::HEAD { "Head" } else { "Get" };
        let failed = |reason: String| ImageError::Connection { method: shown, url: url.to_string(), reason };
        let mut request =
            Request::builder().method(method).uri(url).body(Empty::new()).map_err(|error| failed(error.to_string()))?;
        let agent = HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|error| failed(error.to_string()))?;
            request.headers_mut().append(name, value);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(request)).await {
            Err(_) => Err(failed("net/http: timeout awaiting response headers".to_owned())),
            Ok(Err(error)) => Err(failed(connection_reason(&error, url))),
            Ok(Ok(response)) => Ok(response),
        }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn without_roots() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Reads a whole answer, at most `limit` bytes.
pub(super) async fn collect(body: Incoming, limit: u64) -> Option<Bytes> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let read = Limited::new(body, limit).collect();
    tokio::time::timeout(ANSWER_TIMEOUT, read).await.ok()?.ok().map(|body| body.to_bytes())
}

const UNANSWERED: &str =
    "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)";

/// Why a connection failed, in the words of Go's network library, which ECS users know.
fn connection_reason(error: &(dyn Error + 'static), url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    let mut chain = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.contains("dns error") {
            return format!("dial tcp: lookup {host}: no such host");
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return "EOF".to_owned();
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // The engine's first question may take less time than its dial, so this is how a dial without an answer ends.
            if io.kind() == io::ErrorKind::TimedOut {
                return UNANSWERED.to_owned();
            }
            let reason = match io.kind() {
                io::ErrorKind::ConnectionRefused => Some("connect: connection refused"),
                io::ErrorKind::NetworkUnreachable => Some("connect: network is unreachable"),
                io::ErrorKind::HostUnreachable => Some("connect: no route to host"),
                _ => None,
            };
            if let Some(reason) = reason {
                return format!("dial tcp {host}:{port}: {reason}");
            }
        }
        if !chain.ends_with(&text) {
            chain = if chain.is_empty() { text } else { format!("{chain}: {text}") };
        }
        next = error.source();
    }
    chain
}
