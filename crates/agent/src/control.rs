//! The control plane over HTTP: the calls of [`ControlPlane`], and the signatures of both websockets.

use std::collections::BTreeMap;

use agent_api::extras::{SessionBucket, SessionLogs};
use api_ecs::operations::{
    DiscoverPollEndpoint, GetTaskProtection, ListTagsForResource, RegisterContainerInstance, SubmitTaskStateChange,
    UpdateTaskProtection,
};
use api_ecs::{
    ContainerInstance, DiscoverPollEndpointRequest, GetTaskProtectionRequest, GetTaskProtectionResponse,
    ListTagsForResourceRequest, MODEL, RegisterContainerInstanceRequest, SubmitTaskStateChangeRequest,
    UpdateTaskProtectionRequest, UpdateTaskProtectionResponse,
};
use api_logs::operations::{CreateLogStream, PutLogEvents};
use api_logs::{CreateLogStreamRequest, InputLogEvent, PutLogEventsRequest};
use async_trait::async_trait;
use client::{Client, ClientError};
use http::{HeaderMap, HeaderValue, Method, header};
use objects::{Buckets, Encryption, Place};
use stdx::Timestamp;
use wire::sigv4;

use crate::agent::AgentError;
use crate::clock;
use crate::config::AgentConfig;
use crate::seams::{ApiError, ControlPlane, Endpoints, ObjectWriter};

/// One control plane, asked with one access key. Never repeats a call: whoever asks knows whether it may.
pub struct HttpControlPlane {
    client: Client,
    server_url: String,
    cluster: String,
    region: String,
    credentials: sigv4::Credentials,
    buckets: Buckets,
}

/// Answers that mean "not now", besides every 5xx.
const NOT_NOW: [&str; 6] = [
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ServerException",
    "LimitExceededException",
];

const TOO_MANY_REQUESTS: u16 = 429;

impl HttpControlPlane {
    /// Sends nothing yet. Errors: the server's URL is not one that can be used.
    pub fn new(config: &AgentConfig) -> Result<HttpControlPlane, AgentError> {
        let credentials = sigv4::Credentials {
            access_key: config.credentials.access_key_id.clone(),
            secret: config.credentials.secret_access_key.clone(),
            session_token: config.credentials.session_token.clone(),
        };
        let keys = &config.credentials;
        let keys = (&*keys.access_key_id, &*keys.secret_access_key, keys.session_token.as_deref());
        let buckets = Buckets::of(&config.server_url, keys);
        let (cluster, region) = (config.cluster.clone(), config.region.clone());
        let client = Client::new(&config.server_url, credentials.clone(), &region)
            .map_err(|error| AgentError::ServerUrl(Box::new(error)))?;
        Ok(HttpControlPlane { client, server_url: config.server_url.clone(), cluster, region, credentials, buckets })
    }
}

#[async_trait]
impl ControlPlane for HttpControlPlane {
    async fn register(&self, request: RegisterContainerInstanceRequest) -> Result<ContainerInstance, ApiError> {
        let answer = self.client.call::<RegisterContainerInstance>(request).await.map_err(api_error)?;
        Ok(answer.container_instance.unwrap_or_default())
    }

    async fn discover(&self, container_instance_arn: &str) -> Result<Endpoints, ApiError> {
        let request = DiscoverPollEndpointRequest {
            cluster: Some(self.cluster.clone()),
            container_instance: Some(container_instance_arn.to_owned()),
        };
        let answer = self.client.call::<DiscoverPollEndpoint>(request).await.map_err(api_error)?;
        Ok(Endpoints { acs: answer.endpoint, tcs: answer.telemetry_endpoint })
    }

    async fn submit(&self, report: SubmitTaskStateChangeRequest) -> Result<(), ApiError> {
        match self.client.call::<SubmitTaskStateChange>(report).await {
            // That it was answered is all that counts; nobody reads the acknowledgement.
            Ok(_) | Err(ClientError::Answer { .. }) => Ok(()),
            Err(error) => Err(api_error(error)),
        }
    }

    async fn protection(&self, request: GetTaskProtectionRequest) -> Result<GetTaskProtectionResponse, ApiError> {
        self.client.call::<GetTaskProtection>(request).await.map_err(api_error)
    }

    async fn protect(&self, request: UpdateTaskProtectionRequest) -> Result<UpdateTaskProtectionResponse, ApiError> {
        self.client.call::<UpdateTaskProtection>(request).await.map_err(api_error)
    }

    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let request = ListTagsForResourceRequest { resource_arn: Some(arn.to_owned()) };
        let answer = self.client.call::<ListTagsForResource>(request).await.map_err(api_error)?;
        let pair = |tag: api_ecs::Tag| Some((tag.key?, tag.value.unwrap_or_default()));
        Ok(answer.tags.unwrap_or_default().into_iter().filter_map(pair).collect())
    }

    async fn write_log(&self, logs: &SessionLogs, stream: &str, lines: &[(i64, String)]) -> Result<(), ApiError> {
        let client = Client::new(&self.server_url, self.credentials.clone(), &logs.region).map_err(api_error)?;
        let (group, stream) = (Some(logs.group.clone()), Some(stream.to_owned()));
        let new = CreateLogStreamRequest { log_group_name: group.clone(), log_stream_name: stream.clone() };
        match client.call::<CreateLogStream>(new).await {
            Err(ClientError::Refused { code, .. }) if code == "ResourceAlreadyExistsException" => {}
            made => made.map(drop).map_err(api_error)?,
        }
        let event = |(at, line): &(i64, String)| InputLogEvent { timestamp: Some(*at), message: Some(line.clone()) };
        let log_events = Some(lines.iter().map(event).collect());
        let put =
            PutLogEventsRequest { log_group_name: group, log_stream_name: stream, log_events, ..Default::default() };
        client.call::<PutLogEvents>(put).await.map(drop).map_err(api_error)
    }

    async fn write_object(&self, bucket: &SessionBucket, key: &str) -> Result<ObjectWriter, ApiError> {
        let encryption = if bucket.encrypted { Encryption::Aes256 } else { Encryption::Default };
        let place = Place { bucket: &bucket.name, key };
        let writer = self.buckets.writer(Some(&bucket.region), place, encryption);
        writer.map(|writer| Box::pin(writer) as ObjectWriter).map_err(|error| ApiError::Unavailable(error.to_string()))
    }

    fn sign(&self, url: &str, body: &str) -> Vec<(String, String)> {
        sign_get(&self.credentials, &self.region, clock::now(), url, body)
    }
}

fn api_error(error: ClientError) -> ApiError {
    match error {
        ClientError::Refused { code, message, .. } if code == "InvalidParameterException" => {
            ApiError::InvalidParameter(message)
        }
        ClientError::Refused { code, message, status, .. } => {
            match status >= 500 || status == TOO_MANY_REQUESTS || NOT_NOW.contains(&code.as_str()) {
                true => ApiError::Unavailable(format!("{code}: {message}")),
                false => ApiError::Refused { code, message },
            }
        }
        other => ApiError::Unavailable(chain(&other)),
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The lines are named as the official agent writes them before a telemetry message.
const LINES: [&str; 4] = ["Authorization", "Host", "X-Amz-Date", "X-Amz-Security-Token"];

fn sign_get(
    credentials: &sigv4::Credentials,
    region: &str,
    now: Timestamp,
    url: &str,
    body: &str,
) -> Vec<(String, String)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // In a form a plus is a space, which a signature knows only as %20.
    let query = query.replace('+', "%20");
    // A URL with another host is nobody's: connecting to it fails sooner than its signature.
    let host = HeaderValue::from_str(host).unwrap_or(HeaderValue::from_static(""));
    let mut headers = HeaderMap::from_iter([(header::HOST, host)]);
    let scope = (region, MODEL.signing_name);
    sigv4::sign_headers(credentials, scope, now, (&Method::GET, path, &query), &mut headers, body.as_bytes());
    let line = |name: &str| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.to_owned()));
    LINES.iter().filter_map(|name| line(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, status: u16) -> ApiError {
        let (code, message, request_id) = (code.to_owned(), "why".to_owned(), String::new());
        api_error(ClientError::Refused { operation: "SubmitTaskStateChange", code, message, status, request_id })
    }

    #[test]
    fn errors_say_what_the_next_step_depends_on() {
        assert_eq!(refused("InvalidParameterException", 400), ApiError::InvalidParameter("why".into()));
        let client = ApiError::Refused { code: "ClientException".into(), message: "why".into() };
        assert_eq!(refused("ClientException", 400), client);
        for (code, status) in [("ServerException", 500), ("503", 503), ("ThrottlingException", 400), ("429", 429)] {
            assert!(matches!(refused(code, status), ApiError::Unavailable(_)), "{code}");
        }
        let cause: Box<dyn std::error::Error + Send + Sync> = "connection refused".into();
        let endpoint = "http://h".parse().unwrap();
        let unreachable = ClientError::Unreachable { endpoint, operation: "X", source: cause };
        let expected = "failed to reach http://h/ for X: connection refused";
        assert_eq!(api_error(unreachable), ApiError::Unavailable(expected.into()));
    }

    #[test]
    fn a_signature_covers_host_date_and_token() {
        let (access_key, secret) = ("AKID".to_owned(), "secret".to_owned());
        let plain = sigv4::Credentials { access_key, secret, session_token: None };
        let now = Timestamp::from_millis(1_795_384_327_000);
        let url = "ws://127.0.0.1:8480/tcs/ws?cluster=default&dockerVersion=a+b";
        let lines = |credentials: &sigv4::Credentials, url: &str, body: &str| {
            sign_get(credentials, "us-east-1", now, url, body)
        };
        let signed = lines(&plain, url, "{}");
        let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Authorization", "Host", "X-Amz-Date"]);
        let start = "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=";
        assert!(signed[0].1.starts_with(start), "{}", signed[0].1);
        assert_eq!(signed[1].1, "127.0.0.1:8480");
        assert_ne!(lines(&plain, url, "")[0], signed[0], "the body is signed");
        assert_eq!(lines(&plain, &url.replace('+', "%20"), "{}"), signed, "both spaces are one");
        let temporary = sigv4::Credentials { session_token: Some("token".into()), ..plain };
        let signed = lines(&temporary, url, "{}");
        assert!(signed[0].1.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"), "{}", signed[0].1);
        assert_eq!(signed[3], ("X-Amz-Security-Token".into(), "token".into()));
    }
}
