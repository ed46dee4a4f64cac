//! S3 on a port of its own, and clients that know nothing of this machine's configuration.

#![allow(dead_code, reason = "each test program needs its own part")]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Request;
use blobs::Blobs;
use service_s3::S3Service;
use shape::Timestamp;
use state::{Ledger, MemoryLedger, Snapshot};
use stdx::Ids;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, Gateway};

pub struct Server {
    pub url: String,
    pub service: Arc<S3Service>,
    ledger: Arc<MemoryLedger>,
    pub folder: TempDir,
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with(AuthMode::Open).await
    }

    pub async fn start_with(auth: AuthMode) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(MemoryLedger::new(Snapshot::default()));
        let count = AtomicU64::new(1);
        let ids = move || Ids::from_seed(count.fetch_add(1, Ordering::Relaxed).into());
        let blobs = Blobs::open(folder.path()).unwrap().into();
        let service = Arc::new(S3Service::new(blobs, ledger.clone(), Arc::new(wall_clock), Arc::new(ids)));
        let gateway = Arc::new(Gateway::new(vec![service.clone().routed()], auth));
        let app = Router::new().fallback(move |request: Request| {
            let gateway = gateway.clone();
            async move { gateway.handle(request).await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { url, service, ledger, folder }
    }

    pub fn parts_left(&self) -> usize {
        self.ledger.snapshot().upload_parts.len()
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

pub struct Client(Command);

impl Client {
    pub fn new(program: &str) -> Client {
        let mut command = Command::new(program);
        // pyenv and friends find their modules by HOME, so clients keep it; what it says of AWS they do not see.
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default())
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        Client(command)
    }

    pub fn python(mut self, script: &str, arguments: &[&str]) -> Client {
        self.0.arg("-c").arg(script).args(arguments);
        self
    }

    pub fn aws(mut self, account: &str) -> Client {
        self.0
            .env("AWS_ACCESS_KEY_ID", account)
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_DEFAULT_REGION", "us-east-1");
        self
    }

    pub fn arguments(mut self, arguments: &[&str]) -> Client {
        self.0.args(arguments);
        self
    }

    /// Standard output, or standard error when it failed.
    pub async fn run(mut self) -> Result<String, String> {
        let output = self.0.output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}
