//! The same agent over HTTP: typed calls, signatures that are checked, and both sockets behind one address.

use std::sync::Arc;

use agent::seams::{ApiError, ControlPlane};
use agent::{Agent, AgentConfig, AgentError, HttpControlPlane};
use api_ecs::{
    DiscoverPollEndpointRequest, DiscoverPollEndpointResponse, Error, ErrorCode, MODEL,
    RegisterContainerInstanceRequest, RegisterContainerInstanceResponse, SubmitTaskStateChangeRequest,
    SubmitTaskStateChangeResponse,
};
use async_trait::async_trait;
use axum::extract::Request;
use shape::{Caller, Document, Operation, Principal, Service, ServiceModel, Value, WireError};
use tokio::net::TcpListener;
use wire::{AuthMode, CredentialStore, Gateway, Key};

use crate::control_plane::Scripted;
use crate::machine::Machine;
use crate::payloads::{INSTANCE, arn, task};
use crate::rig::{SECRET, credentials};
use crate::websockets;

/// The ECS API in front of the script.
struct Api(Arc<Scripted>);

#[async_trait]
impl Service for Api {
    fn model(&self) -> &'static ServiceModel {
        &MODEL
    }

    async fn call(&self, operation: &'static Operation, _: Caller, input: Document) -> Result<Document, WireError> {
        match operation.name {
            "RegisterContainerInstance" => {
                let request = RegisterContainerInstanceRequest::from_document(input);
                let container_instance = Some(self.0.register(request).await.map_err(refuse)?);
                Ok(RegisterContainerInstanceResponse { container_instance }.into_document())
            }
            "DiscoverPollEndpoint" => {
                let request = DiscoverPollEndpointRequest::from_document(input);
                assert_eq!(request.cluster.as_deref(), Some("default"));
                let found = self.0.discover(&request.container_instance.unwrap()).await.map_err(refuse)?;
                let (endpoint, telemetry_endpoint) = (found.acs, found.tcs);
                let answer = DiscoverPollEndpointResponse { endpoint, telemetry_endpoint, ..Default::default() };
                Ok(answer.into_document())
            }
            "SubmitTaskStateChange" => {
                self.0.submit(SubmitTaskStateChangeRequest::from_document(input)).await.map_err(refuse)?;
                Ok(SubmitTaskStateChangeResponse { acknowledgment: Some("ok".to_owned()) }.into_document())
            }
            other => panic!("an agent does not call {other}"),
        }
    }
}

fn refuse(error: ApiError) -> WireError {
    let code = match error {
        ApiError::InvalidParameter(_) => ErrorCode::InvalidParameterException,
        ApiError::Refused { .. } => ErrorCode::ClientException,
        ApiError::Unavailable(_) => ErrorCode::ServerException,
    };
    Error::new(code, error.to_string()).into()
}

struct OneKey;

impl CredentialStore for OneKey {
    fn find(&self, access_key: &str) -> Option<Key> {
        (access_key == "AKIDEXAMPLE").then(|| Key {
            secret: SECRET.to_owned(),
            session_token: None,
            expires: None,
            account: "123456789012".to_owned(),
            principal: Principal::root("123456789012", "us-east-1"),
        })
    }
}

async fn serve(config: &mut AgentConfig) -> Arc<Scripted> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.server_url = format!("http://{}", listener.local_addr().unwrap());
    config.credentials = credentials(SECRET);
    let control = Scripted::new(config.server_url.clone(), HttpControlPlane::new(config).unwrap());
    let api = Arc::new(Api(control.clone()));
    let gateway = Arc::new(Gateway::new(vec![api], AuthMode::Verify(Arc::new(OneKey))));
    let routes = websockets::routes(control.clone()).fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    control
}

#[tokio::test]
async fn an_agent_runs_a_task_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = AgentConfig::new("", folder.path());
    let control = serve(&mut config).await;
    let machine: Arc<Machine> = Arc::default();
    let agent = Agent::start(config, machine.clone(), None).await.unwrap();
    assert_eq!(agent.container_instance_arn(), INSTANCE);
    control.acs_connections(1).await;
    control.deliver(vec![task("t1")]);
    assert_eq!(control.reported("t1", 1).await, ["RUNNING [web RUNNING 80->32768/tcp]"]);
    machine.exit("t1", "web", 3);
    let end = "STOPPED (Essential container in task exited) [web STOPPED 3 80->32768/tcp]";
    assert_eq!(control.reported("t1", 2).await[1], end);
}

#[tokio::test]
async fn answers_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = AgentConfig::new("", folder.path());
    let control = serve(&mut config).await;
    let http = HttpControlPlane::new(&config).unwrap();
    let report = || SubmitTaskStateChangeRequest {
        task: Some(arn("t1")),
        status: Some("RUNNING".to_owned()),
        ..Default::default()
    };
    assert_eq!(http.submit(report()).await, Ok(()));
    let invalid = ApiError::InvalidParameter("why".to_owned());
    let refused = ApiError::Refused { code: "ClientException".to_owned(), message: "why".to_owned() };
    let unavailable = ApiError::Unavailable("why".to_owned());
    for error in [invalid, refused, unavailable] {
        control.lock().submit_errors.push_back(error.clone());
        let found = http.submit(report()).await.unwrap_err();
        assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&error), "{found}");
    }

    let stranger = AgentConfig { credentials: credentials("another"), ..config.clone() };
    let error = HttpControlPlane::new(&stranger).unwrap().discover(INSTANCE).await.unwrap_err();
    assert!(matches!(&error, ApiError::Refused { code, .. } if code == "InvalidSignatureException"), "{error}");

    // A port that was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nowhere = AgentConfig { server_url: format!("http://{nobody}"), ..config.clone() };
    let error = HttpControlPlane::new(&nowhere).unwrap().submit(report()).await.unwrap_err();
    assert!(matches!(&error, ApiError::Unavailable(_)), "{error}");

    for url in ["", "localhost", "https://localhost:4566"] {
        let config = AgentConfig { server_url: url.to_owned(), ..config.clone() };
        let error = Agent::start(config, Arc::new(Machine::default()), None).await.err().unwrap();
        assert!(matches!(error, AgentError::ServerUrl(_)), "{url}: {error}");
    }
}
