//! The typed client against a server on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_ecs::operations::{CreateCluster, DescribeClusters, ListClusters};
use api_ecs::{Cluster, CreateClusterRequest, CreateClusterResponse, DescribeClustersRequest, Error, ErrorCode};
use api_ecs::{ListClustersRequest, MODEL};
use async_trait::async_trait;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use client::{Client, ClientError, Credentials};
use shape::{Caller, Document, Operation, Principal, Service, ServiceModel, Value, WireError};
use tokio::net::TcpListener;
use wire::{AuthMode, CredentialStore, Gateway, Key};

struct Fake;

#[async_trait]
impl Service for Fake {
    fn model(&self) -> &'static ServiceModel {
        &MODEL
    }

    async fn call(
        &self,
        operation: &'static Operation,
        caller: Caller,
        input: Document,
    ) -> Result<Document, WireError> {
        match operation.name {
            "CreateCluster" => {
                let input = CreateClusterRequest::from_document(input);
                let cluster_arn = Some(caller.arn("ecs", &format!("cluster/{}", input.cluster_name.unwrap())));
                let cluster = Cluster { cluster_arn, ..Cluster::default() };
                Ok(CreateClusterResponse { cluster: Some(cluster) }.into_document())
            }
            "DescribeClusters" => Err(Error::new(ErrorCode::ClusterNotFoundException, "Cluster not found.").into()),
            _ => std::future::pending().await,
        }
    }
}

struct OneKey;

impl CredentialStore for OneKey {
    fn find(&self, access_key: &str) -> Option<Key> {
        (access_key == "AKIDEXAMPLE").then(|| Key {
            secret: "secret".to_owned(),
            session_token: Some("token".to_owned()),
            expires: None,
            account: "111122223333".to_owned(),
            principal: Principal::root("111122223333", "eu-west-1"),
        })
    }
}

/// Serves the fake and counts connections.
async fn serve() -> (String, Arc<AtomicUsize>) {
    let gateway = Arc::new(Gateway::new(vec![Arc::new(Fake)], AuthMode::Verify(Arc::new(OneKey))));
    let ports = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let app = Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>, request: Request| {
        let gateway = gateway.clone();
        if ports.lock().unwrap().insert(peer.port()) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, connections)
}

fn client(url: &str, secret: &str) -> Client {
    let credentials = Credentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret: secret.to_owned(),
        session_token: Some("token".to_owned()),
    };
    Client::new(url, credentials, "eu-west-1").unwrap()
}

#[tokio::test]
async fn calls_are_typed_signed_and_share_a_connection() {
    let (url, connections) = serve().await;
    let client = client(&url, "secret");
    for name in ["one", "two", "three"] {
        let input = CreateClusterRequest { cluster_name: Some(name.to_owned()), ..Default::default() };
        let cluster = client.call::<CreateCluster>(input).await.unwrap().cluster.unwrap();
        assert_eq!(cluster.cluster_arn.unwrap(), format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{name}"));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refusal_has_its_code_and_message() {
    let (url, _) = serve().await;
    let error = client(&url, "secret").call::<DescribeClusters>(DescribeClustersRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Some("ClusterNotFoundException"));
    assert!(
        error
            .to_string()
            .starts_with("DescribeClusters failed: ClusterNotFoundException: Cluster not found. (request ")
    );

    let error = client(&url, "wrong").call::<DescribeClusters>(DescribeClustersRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
}

#[tokio::test]
async fn patience_ends() {
    let (url, _) = serve().await;
    let client = client(&url, "secret").with_timeout(Duration::from_millis(50));
    let error = client.call::<ListClusters>(ListClustersRequest::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { operation: "ListClusters", .. }), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url, "secret").call::<ListClusters>(ListClustersRequest::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[test]
fn what_is_no_endpoint() {
    let credentials = Credentials { access_key: String::new(), secret: String::new(), session_token: None };
    for endpoint in ["", "localhost:4566", "ftp://localhost", "https://localhost", "/path"] {
        assert!(Client::new(endpoint, credentials.clone(), "us-east-1").is_err(), "{endpoint}");
    }
}
