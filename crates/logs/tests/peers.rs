//! The drivers of other protocols before peers that understand them by themselves, over real sockets.

mod shim;

#[path = "peers/fluentd.rs"]
mod fluentd;
#[path = "peers/gelf.rs"]
mod gelf;
#[path = "peers/journald.rs"]
mod journald;
#[path = "peers/splunk.rs"]
mod splunk;
#[path = "peers/syslog.rs"]
mod syslog;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use logs::fake::FakeSink;
use logs::{Drivers, Following, Subject};
use shim::{PATIENCE, Shim};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A pair of option and value.
type Given<'a> = (&'a str, &'a str);

fn drivers() -> Drivers {
    Drivers::new(|_| Arc::new(FakeSink::default()))
}

fn options(given: &[Given<'_>]) -> BTreeMap<String, String> {
    given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn subject() -> Subject {
    Subject {
        id: "0123456789abcdef".repeat(4),
        name: "ecs-web-1-app-cafe".into(),
        image_id: format!("sha256:{}", "f".repeat(64)),
        image_name: "nginx:1".into(),
        command: vec!["/bin/server".into()],
        created_ms: 1_795_543_559_120,
        hostname: "node".into(),
        labels: options(&[("team", "web")]),
        env: vec!["STAGE=prod".into()],
    }
}

async fn follow(shim: &Shim, driver: &str, given: &[Given<'_>]) -> Following {
    drivers().open(driver, &options(given), &subject()).await.unwrap().follow(shim.dir())
}

/// An agent that comes back, which asks nobody.
fn resume(shim: &Shim, driver: &str, given: &[Given<'_>]) -> Following {
    drivers().resume(driver, &options(given), &subject()).unwrap().follow(shim.dir())
}

async fn refusal(driver: &str, given: &[Given<'_>]) -> String {
    match drivers().open(driver, &options(given), &subject()).await {
        Ok(_) => panic!("{driver} opened with {given:?}"),
        Err(error) => error.to_string(),
    }
}

async fn within<T>(what: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, doing).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Reads until so many bytes `end` have come.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: u8, count: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut current = Vec::new();
    while found.len() < count {
        match within("a byte", stream.read_u8()).await.expect("a connection that holds") {
            byte if byte == end => found.push(std::mem::take(&mut current)),
            byte => current.push(byte),
        }
    }
    found
}

async fn listener() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    listener().await.1
}

fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../controlplane/tests/tls")).join(name)
}

/// Somebody else's turn, so that what should not happen may.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
