//! TLS and plain HTTP on one port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api_ecs::Router as EcsRouter;
use controlplane::{ControlPlane, Served, Tls, TlsError};
use futures::StreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use service_ecs::{EcsService, Environment};
use stdx::{Ids, Timestamp};
use store::MemoryEngine;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::{AuthMode, Gateway};

const PATIENCE: Duration = Duration::from_secs(30);

struct World;

impl Environment for World {
    fn now(&self) -> Timestamp {
        controlplane::now()
    }

    fn ids(&self) -> Ids {
        controlplane::seed()
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

async fn plane() -> (ControlPlane, Served, u16) {
    let plane = ControlPlane::start(Arc::new(MemoryEngine::new()), AuthMode::Open).await.unwrap();
    let ecs = Arc::new(EcsRouter(Arc::new(EcsService::new(plane.ledger(), Arc::new(World)))));
    let router = plane.router(Arc::new(Gateway::new(vec![ecs], AuthMode::Open)), axum::Router::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = Tls::read(&file("certificate.pem"), &file("key.pem")).unwrap();
    (plane, controlplane::serve_tls(listener, tls, router).unwrap(), port)
}

async fn over_tls(port: u16, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Where the websockets are, for somebody who has come like this.
async fn endpoint(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> String {
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.1\r\n\
         x-amz-target: AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["endpoint"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn one_port_speaks_both() {
    let (_plane, _served, port) = plane().await;
    let here = format!("localhost:{port}");
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        // On this machine and another port than 443 the official agent can open no websocket over TLS.
        assert_eq!(endpoint(over_tls(port, versions).await, &here).await, format!("http://{here}/acs/"));
        assert_eq!(endpoint(over_tls(port, versions).await, "ecs.test").await, "https://ecs.test/acs/");
    }
    let plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert_eq!(endpoint(plain, &here).await, format!("http://{here}/acs/"));
}

#[tokio::test]
async fn websockets_are_upgraded_over_tls() {
    let (_plane, _served, port) = plane().await;
    let stream = over_tls(port, &[&rustls::version::TLS13]).await;
    let url = format!("wss://localhost:{port}/acs/ws?clusterArn=default&containerInstanceArn=nonsense");
    let refused = tokio_tungstenite::client_async(url, stream).await.err().unwrap();
    assert!(refused.to_string().contains("400"), "{refused}");
}

#[tokio::test]
async fn who_says_nothing_or_nonsense_holds_up_nobody() {
    let (_plane, _served, port) = plane().await;
    let silent: Vec<TcpStream> = futures::stream::iter(0..50)
        .then(|_| async { TcpStream::connect(("127.0.0.1", port)).await.unwrap() })
        .collect()
        .await;
    let mut nonsense = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    nonsense.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, nonsense.read_to_end(&mut said)).await.expect("it is hung up on");
    let here = format!("localhost:{port}");
    let plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert_eq!(endpoint(plain, &here).await, format!("http://{here}/acs/"));
    drop(silent);
}

#[test]
fn files_that_are_no_certificate() {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    assert!(matches!(Tls::read(&file("none.pem"), &key), Err(TlsError::Certificates { .. })));
    assert!(matches!(Tls::read(&key, &key), Err(TlsError::NoCertificate { .. })));
    assert!(matches!(Tls::read(&certificate, &certificate), Err(TlsError::Key { .. })));
    assert!(matches!(Tls::read(&file("ca.pem"), &key), Err(TlsError::Together(_))));
}
