//! A typed client of the AWS protocols, made of the same generated shapes that the services are made of.
//!
//! `client.call::<api_ecs::operations::CreateCluster>(input)` signs the request, sends it over a kept connection and
//! gives the typed output. It speaks the JSON protocols only, never retries (whoever calls knows whether a call may
//! repeat), and reads no configuration files. Start reading at [`Client`].

#![forbid(unsafe_code)]

mod answer;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use shape::{Call, Protocol, ServiceModel, Timestamp, Value};
use thiserror::Error;
pub use wire::sigv4::Credentials;

/// How long a call may take, from connecting to the last byte of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How long an unused connection is kept. Shorter than any server of ours keeps it.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer: DescribeTasks gives a hundred tasks of a few KiB, GetLogEvents a MiB.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Speaks to one endpoint, in one region, as one identity. Clones share connections; calls may be concurrent.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Uri,
    authority: Authority,
    credentials: Credentials,
    region: String,
    timeout: Duration,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// How a call fails.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("{endpoint} is not an endpoint: it should look like http://127.0.0.1:4566")]
    Endpoint { endpoint: String },
    #[error("{service} is not spoken in JSON, which is all that this client speaks")]
    Protocol { service: &'static str },
    #[error("failed to reach {endpoint} for {operation}")]
    Unreachable { endpoint: Uri, operation: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{operation} at {endpoint} did not answer within {} s", timeout.as_secs_f32())]
    Timeout { endpoint: Uri, operation: &'static str, timeout: Duration },
    /// The service said no. `code` is the name in the model, such as `ClusterNotFoundException`.
    #[error("{operation} failed: {code}: {message} (request {request_id})")]
    Refused { operation: &'static str, code: String, message: String, status: u16, request_id: String },
    #[error("the answer to {operation} is not what its model says")]
    Answer { operation: &'static str, source: wire::json::NotJson },
}

impl ClientError {
    /// The service's error code, if a service answered at all.
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl Client {
    /// `endpoint` looks like `http://127.0.0.1:4566`. Nothing is sent yet.
    pub fn new(endpoint: &str, credentials: Credentials, region: &str) -> Result<Client, ClientError> {
        let refused = || ClientError::Endpoint { endpoint: endpoint.to_owned() };
        let uri: Uri = endpoint.trim_end_matches('/').parse().map_err(|_| refused())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refused)?.clone();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).build(connector);
        let region = region.to_owned();
        let inner = Inner { endpoint: uri, authority, credentials, region, timeout: TIMEOUT, pool };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// The same client with another patience than [`TIMEOUT`]. Connections are shared with the old one.
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        let Inner { endpoint, authority, credentials, region, pool, .. } = &*self.inner;
        let inner = Inner {
            endpoint: endpoint.clone(),
            authority: authority.clone(),
            credentials: credentials.clone(),
            region: region.clone(),
            timeout,
            pool: pool.clone(),
        };
        Client { inner: Arc::new(inner) }
    }

    /// Calls one operation.
    ///
    /// Errors: [`ClientError::Refused`] when the service said no; the others when it could not be asked or understood.
    /// After [`ClientError::Timeout`] and [`ClientError::Unreachable`] the operation may or may not have happened.
    pub async fn call<C: Call>(&self, input: C::Input) -> Result<C::Output, ClientError> {
        let operation = C::OPERATION;
        if C::MODEL.protocol != Protocol::AwsJson {
            return Err(ClientError::Protocol { service: C::MODEL.name });
        }
        let body = Bytes::from(wire::json::encode(operation.input, &input.into_document()));
        let request = self.request(C::MODEL, operation.name, body);
        let Inner { endpoint, timeout, .. } = &*self.inner;
        let unreachable =
            |source| ClientError::Unreachable { endpoint: endpoint.clone(), operation: operation.name, source };
        let exchange = async {
            let response = self.inner.pool.request(request).await.map_err(|error| unreachable(Box::new(error)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(unreachable)?;
            Ok((parts, body.to_bytes()))
        };
        let (parts, body) = tokio::time::timeout(*timeout, exchange).await.map_err(|_| ClientError::Timeout {
            endpoint: endpoint.clone(),
            operation: operation.name,
            timeout: *timeout,
        })??;
        let output = answer::read(operation, &parts, &body)?;
        Ok(C::Output::from_document(output))
    }

    fn request(&self, model: &ServiceModel, operation: &str, body: Bytes) -> Request<Full<Bytes>> {
        let Inner { authority, credentials, region, .. } = &*self.inner;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, value(authority.as_str()));
        headers.insert(header::CONTENT_TYPE, value(&format!("application/x-amz-json-{}", model.json_version)));
        headers.insert("x-amz-target", value(&format!("{}.{operation}", model.target_prefix)));
        let scope = (region.as_str(), model.signing_name);
        wire::sigv4::sign_headers(credentials, scope, now(), (&Method::POST, "/", ""), &mut headers, &body);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.inner.endpoint.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// Names of operations and hosts are visible ASCII.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
