//! Against Berth's own CloudWatch Logs, over HTTP.

mod shim;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api_logs::GetLogEventsRequest;
use api_logs::operations::GetLogEvents;
use axum::Router;
use axum::extract::Request;
use client::{Client, Credentials};
use log_store::LogStore;
use logs::fake::FakeSink;
use logs::{CloudWatchSink, Drivers, LogSink, Subject, exam};
use service_logs::LogsService;
use shim::{Shim, drained, until};
use state::MemoryLedger;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use wire::{AuthMode, Gateway};

/// A server in a runtime of its own, which can be torn down with all its connections.
struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Serves CloudWatch Logs at an address, or at a free one.
fn serve(directory: &TempDir, address: Option<SocketAddr>) -> Server {
    let store = Arc::new(LogStore::open(directory.path()).unwrap());
    let gateway = Arc::new(Gateway::new(
        vec![Arc::new(LogsService::new(store, Arc::new(MemoryLedger::default()))).routed()],
        AuthMode::Open,
    ));
    let app = Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address.unwrap_or(([127, 0, 0, 1], 0).into())).unwrap();
    let listener = socket.listen(64).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app).await });
    drop(entered);
    Server { address, runtime: Some(runtime) }
}

fn credentials() -> Credentials {
    Credentials { access_key: "test".into(), secret: "test".into(), session_token: None }
}

fn sink(address: SocketAddr) -> CloudWatchSink {
    CloudWatchSink::new(&format!("http://{address}"), "eu-west-1", credentials()).unwrap()
}

async fn stored(address: SocketAddr, group: &str, stream: &str) -> Vec<String> {
    let client = Client::new(&format!("http://{address}"), credentials(), "eu-west-1").unwrap();
    let mut input = GetLogEventsRequest {
        log_group_name: Some(group.into()),
        log_stream_name: Some(stream.into()),
        start_from_head: Some(true),
        ..Default::default()
    };
    let mut messages = Vec::new();
    loop {
        let page = client.call::<GetLogEvents>(input.clone()).await.unwrap();
        messages.extend(page.events.unwrap_or_default().into_iter().filter_map(|event| event.message));
        if page.next_forward_token == input.next_token {
            return messages;
        }
        input.next_token = page.next_forward_token;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sinks_pass_the_exam() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let fake = FakeSink::default();
    exam::exam(&fake, "exam", now).await;
    assert_eq!(fake.events("exam", "s").unwrap().len(), 4);

    let directory = TempDir::new().unwrap();
    let server = serve(&directory, None);
    exam::exam(&sink(server.address), "exam", now).await;
    assert_eq!(stored(server.address, "exam", "s").await, ["one", "two", "one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_arrive_though_the_service_goes_away_for_a_while() {
    const LINES: usize = 20_000;
    let directory = TempDir::new().unwrap();
    let mut server = serve(&directory, None);
    let address = server.address;
    let drivers = Drivers::new(move |_| Arc::new(sink(address)) as Arc<dyn LogSink>);
    let options: BTreeMap<String, String> = [
        ("awslogs-group", "/ecs/web"),
        ("awslogs-stream", "web/app/1"),
        ("awslogs-region", "eu-west-1"),
        ("awslogs-create-group", "true"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let mut shim = Shim::new();
    let following = drivers.open("awslogs", &options, &Subject::default()).await.unwrap().follow(shim.dir());
    let text = |number: usize| format!("{number} <ünïcode> \"quoted\" {}", "x".repeat(number % 300));
    for number in 0..LINES / 2 {
        shim.say(&text(number));
    }
    let position = shim.dir().join(shim_api::log::POSITION_NAME);
    until("something was acknowledged", || position.exists()).await;

    server.kill();
    for number in LINES / 2..LINES {
        shim.say(&text(number));
    }
    shim.exit();
    // Nobody answers for a while, and then the same service does.
    assert!(tokio::time::timeout(Duration::from_millis(500), following.drained()).await.is_err());
    until("the store is free", || LogStore::open(directory.path()).is_ok()).await;
    let server = serve(&directory, Some(address));
    drained(&following).await;
    // A batch that was stored when its answer was lost is there once.
    let messages = stored(server.address, "/ecs/web", "web/app/1").await;
    assert_eq!(messages, (0..LINES).map(text).collect::<Vec<_>>());
}
