//! Whole requests to a whole service, over records in memory.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use futures::executor::block_on;
use http::Request;
use http_body_util::BodyExt;
use service_ecs::{EcsService, Environment};
use service_sts::StsService;
use shape::Service;
use state::{Ledger, MemoryLedger, Snapshot};
use stdx::{Ids, Timestamp};
use wire::{AuthMode, Gateway};

use crate::text;

struct Frozen;

impl Environment for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_384_329_148)
    }

    fn ids(&self) -> Ids {
        Ids::from_seed(7)
    }
}

fn gateway_over(ledger: Arc<MemoryLedger>) -> Gateway {
    let ecs: Arc<dyn Service> = Arc::new(api_ecs::Router(Arc::new(EcsService::new(ledger, Arc::new(Frozen)))));
    let sts: Arc<dyn Service> = Arc::new(api_sts::Router(Arc::new(StsService)));
    Gateway::new(vec![ecs, sts], AuthMode::Open)
}

/// Sends a request, and asserts that the answer is one.
fn send(gateway: &Gateway, request: Request<Body>) {
    let shown = format!("{request:?}");
    let response = block_on(gateway.handle(request));
    let (parts, body) = response.into_parts();
    let body = block_on(body.collect()).expect("an answer is whole").to_bytes();
    // An operation that panics is such an answer.
    assert!(!parts.status.is_server_error(), "{} {} to {shown}", parts.status, text(&body));
}

/// A request as it travels: the request line, headers, an empty line, the body.
pub(crate) fn gateway(bytes: &[u8]) {
    let at = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = at.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, uri) = lines.next().map(text).and_then(|line| line.split_once(' ')).unwrap_or(("POST", "/"));
    let mut builder = Request::builder().method(method).uri(uri);
    for header in lines {
        if let Some(at) = header.iter().position(|byte| *byte == b':') {
            builder = builder.header(&header[..at], header[at + 1..].trim_ascii());
        }
    }
    if let Ok(request) = builder.body(Body::from(body.to_vec())) {
        send(&gateway_over(Arc::new(MemoryLedger::default())), request);
    }
}

/// A cluster, an instance, a task definition, a task and a service.
static WORLD: LazyLock<Snapshot> = LazyLock::new(|| {
    let ledger = Arc::new(MemoryLedger::default());
    let gateway = gateway_over(ledger.clone());
    let attributes: Vec<String> =
        ["logging-driver.awslogs", "docker-remote-api.1.17", "docker-remote-api.1.18", "docker-remote-api.1.19"]
            .iter()
            .map(|name| format!(r#"{{"name":"com.amazonaws.ecs.capability.{name}"}}"#))
            .collect();
    let resources = r#"[{"name":"CPU","type":"INTEGER","integerValue":2048},{"name":"MEMORY","type":"INTEGER","integerValue":4096}]"#;
    let instance =
        format!(r#"{{"cluster":"default","totalResources":{resources},"attributes":[{}]}}"#, attributes.join(","));
    for (operation, body) in [
        ("CreateCluster", "{}"),
        ("RegisterContainerInstance", &instance),
        (
            "RegisterTaskDefinition",
            r#"{"family":"web","containerDefinitions":[{"name":"app","image":"web:1","memory":128,"cpu":10}]}"#,
        ),
        ("CreateService", r#"{"serviceName":"web","taskDefinition":"web","desiredCount":1}"#),
    ] {
        send(&gateway, call(operation, body.as_bytes()));
    }
    (*ledger.snapshot()).clone()
});

fn call(operation: &str, body: &[u8]) -> Request<Body> {
    Request::post("/")
        .header("host", "localhost:4566")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
        .body(Body::from(body.to_vec()))
        .expect("a request of ours is sound")
}

/// Calls of ECS, one a line: its operation, a space, and its input.
pub(crate) fn ecs_calls(bytes: &[u8]) {
    let gateway = gateway_over(Arc::new(MemoryLedger::new(WORLD.clone())));
    for line in bytes.split(|byte| *byte == b'\n').take(6) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let known = api_ecs::MODEL.operation(text(&line[..at]));
        let numbered = usize::from(line.first().copied().unwrap_or_default()) % api_ecs::MODEL.operations.len();
        let operation = known.unwrap_or(api_ecs::MODEL.operations[numbered]);
        send(&gateway, call(operation.name, line.get(at + 1..).unwrap_or(b"{}")));
    }
}
