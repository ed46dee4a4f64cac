//! ECR and its registry on a port of their own, and unmodified clients.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use blobs::Blobs;
use registry::{Config, Registry, router};
use serde_json::Value;
use service_ecr::EcrService;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, Gateway};

const PATIENCE: Duration = Duration::from_secs(60);

/// Serves ECR and its registry on a port of their own and gives its address.
pub async fn serve(directory: &TempDir) -> String {
    let blobs = Blobs::open(directory.path().join("blobs")).unwrap();
    let registry = Arc::new(Registry::open(directory.path(), blobs, Config::default()).unwrap());
    let gateway = Arc::new(Gateway::new(vec![EcrService::new(registry.clone()).routed()], AuthMode::Open));
    let app = router(registry).fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Runs a client with nothing of this machine's AWS configuration. Gives standard output, or standard error if it failed.
pub async fn run(program: &str, address: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // A client that does not read its input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub async fn aws(address: &str, line: &str) -> Result<String, String> {
    // Debian's version of the CLI is older than AWS_ENDPOINT_URL.
    let url = format!("http://{address}");
    run("/usr/bin/aws", address, &[&["--endpoint-url", &url], &line.split(' ').collect::<Vec<_>>()[..]].concat(), "")
        .await
}

pub async fn aws_json(address: &str, line: &str) -> Value {
    serde_json::from_str(&aws(address, &format!("--output json {line}")).await.unwrap()).unwrap()
}

/// Runs a script with boto3, which prints `done` at its end. It is told where the service is and where its files are.
pub async fn boto(script: &str) {
    let directory = TempDir::new().unwrap();
    let address = serve(&directory).await;
    let script = format!("{}\n{script}", include_str!("../boto/start.py"));
    let arguments = ["python3", "-c", &script, &address, directory.path().to_str().unwrap()];
    assert_eq!(run("/usr/bin/env", &address, &arguments, "").await, Ok("done".to_owned()));
}
