//! The `splunk` driver: batches of events to the HTTP Event Collector.
//!
//! `options.rs` understands what a task definition says, `message.rs` makes events. A batch counts as delivered when the
//! collector says so.

mod message;
mod options;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::Write as _;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use runtime::LogLine;
use rustls::pki_types::ServerName;

pub use options::SplunkError;
pub(crate) use options::SplunkOptions;

use crate::limits::{ANSWER_BYTES_MAX, ANSWER_WAIT, CONNECT_WAIT, SPLUNK_BATCH_EVENTS_MAX};
use crate::post::{Part, Post, Protocol, SendError};
use crate::subject::{AttributeError, Subject};
use crate::tls::{self, TlsError};
use message::Common;

pub(crate) struct Splunk {
    options: SplunkOptions,
    common: Common,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Of this driver, for a collector that acknowledges.
    channel: String,
    verified: bool,
}

/// Why there is no driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Attributes(#[from] AttributeError),
    #[error("x509: certificate is not valid for any name: {0}")]
    Name(String),
}

impl Splunk {
    pub fn new(
        splunk: SplunkOptions,
        options: &BTreeMap<String, String>,
        tag: String,
        subject: &Subject,
    ) -> Result<Splunk, Unfit> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_WAIT));
        http.set_nodelay(true);
        let mut builder =
            HttpsConnectorBuilder::new().with_tls_config((*tls::config(&splunk.tls)?).clone()).https_or_http();
        if let Some(name) = &splunk.server_name {
            let name = ServerName::try_from(name.clone()).map_err(|_| Unfit::Name(name.clone()))?;
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let client = Client::builder(TokioExecutor::new()).build(builder.enable_http1().wrap_connector(http));
        let common = Common {
            hostname: subject.hostname.clone(),
            source: splunk.source.clone(),
            sourcetype: splunk.sourcetype.clone(),
            index: splunk.index.clone(),
            format: splunk.format,
            tag: Some(tag).filter(|_| options.get("tag").is_none_or(|tag| !tag.is_empty())),
            attributes: subject.attributes(options, str::to_owned)?,
        };
        let channel = channel(&subject.id);
        Ok(Splunk { options: splunk, common, client, channel, verified: false })
    }

    async fn ask(&self, method: Method, body: Bytes, is_packed: bool) -> Result<(StatusCode, String), SendError> {
        let failed = |reason: String| SendError::Passing(format!("{method} {}: {reason}", self.options.url));
        let mut request = Request::builder()
            .method(method.clone())
            .uri(&self.options.url)
            .header(header::AUTHORIZATION, format!("Splunk {}", self.options.token))
            .header(header::USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")));
        if is_packed {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        if self.options.acknowledgment {
            request = request.header("X-Splunk-Request-Channel", &self.channel);
        }
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let asking = async {
            let answer = self.client.request(request).await.map_err(|error| failed(chain(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        match tokio::time::timeout(ANSWER_WAIT, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(failed("net/http: timeout awaiting response headers".to_owned())),
        }
    }

    async fn put(&self, events: Vec<u8>) -> Result<(), SendError> {
        let (body, is_packed) = match self.options.gzip {
            Some(level) => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                let packed = encoder.write_all(&events).and_then(|()| encoder.finish());
                (packed.map_err(|error| SendError::Passing(error.to_string()))?, true)
            }
            None => (events, false),
        };
        let (status, answer) = self.ask(Method::POST, body.into(), is_packed).await?;
        let told = || format!("splunk: failed to send event - {status} - {answer}");
        match status {
            StatusCode::OK => Ok(()),
            // Events that are wrong stay wrong; keys, indexes and room may come.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Err(SendError::Refused(told())),
            _ => Err(SendError::Passing(told())),
        }
    }
}

/// In the form of a UUID.
fn channel(id: &str) -> String {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).chain(std::iter::repeat('0')).take(32).collect();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

fn chain(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[async_trait]
impl Protocol for Splunk {
    fn encode(&mut self, line: &LogLine, _: Option<&Part>, out: &mut Vec<u8>) {
        message::encode(&self.common, line, out);
    }

    /// Asks whether the collector is there, if the options do not say otherwise.
    async fn connect(&mut self) -> Result<(), SendError> {
        if self.verified || !self.options.verify_connection {
            return Ok(());
        }
        let (status, answer) = self.ask(Method::OPTIONS, Bytes::new(), false).await?;
        if status != StatusCode::OK {
            return Err(SendError::Passing(format!("splunk: failed to verify connection - {status} - {answer}")));
        }
        self.verified = true;
        Ok(())
    }

    async fn send(&mut self, post: &Post) -> Result<(), SendError> {
        let events: Vec<&[u8]> = post.messages().collect();
        for batch in events.chunks(SPLUNK_BATCH_EVENTS_MAX) {
            self.put(batch.concat()).await?;
        }
        Ok(())
    }
}
