//! Before HTTP Event Collectors.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::*;
use crate::shim::{drained, until};

/// What it was asked, and what it will answer; then it says that all is well.
#[derive(Default)]
struct Collector {
    events: Mutex<Vec<Value>>,
    asked: Mutex<Vec<(Method, HeaderMap)>>,
    answers: Mutex<VecDeque<(StatusCode, &'static str)>>,
}

impl Collector {
    fn lines(&self) -> Vec<Value> {
        self.events.lock().unwrap().iter().map(|event| event["event"]["line"].clone()).collect()
    }

    fn will_say(&self, status: StatusCode, text: &'static str) {
        self.answers.lock().unwrap().push_back((status, text));
    }
}

async fn answer(
    State(collector): State<Arc<Collector>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let is_packed = headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let is_post = method == Method::POST;
    collector.asked.lock().unwrap().push((method, headers));
    if let Some(said) = collector.answers.lock().unwrap().pop_front() {
        return said;
    }
    if is_post {
        let mut text = String::new();
        match is_packed {
            true => drop(GzDecoder::new(&*body).read_to_string(&mut text).unwrap()),
            false => text.push_str(std::str::from_utf8(&body).unwrap()),
        }
        // One object behind the other, with nothing between them.
        let events = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        collector.events.lock().unwrap().extend(events.map(Result::unwrap));
    }
    (StatusCode::OK, "{\"text\":\"Success\",\"code\":0}")
}

async fn collector() -> (Arc<Collector>, String) {
    let collector = Arc::new(Collector::default());
    let (listener, address) = listener().await;
    let path = "/services/collector/event/1.0";
    let router = axum::Router::new().route(path, axum::routing::any(answer)).with_state(collector.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (collector, format!("http://{address}"))
}

#[tokio::test]
async fn events_are_posted() {
    let (collector, url) = collector().await;
    let given = [
        ("splunk-url", &*url),
        ("splunk-token", "secret"),
        ("splunk-format", "json"),
        ("splunk-gzip", "true"),
        ("splunk-index", "main"),
        ("splunk-source", "src"),
        ("splunk-sourcetype", "type"),
        ("splunk-index-acknowledgment", "true"),
        ("env", "STAGE"),
        ("tag", "{{.Name}}"),
    ];
    let mut shim = Shim::new();
    let following = follow(&shim, "splunk", &given).await;
    for number in 0..2500 {
        shim.say(&format!("{{\"number\":{number}}}"));
    }
    shim.say(" ");
    shim.shout("no json");
    shim.exit();
    drained(&following).await;
    let lines = collector.lines();
    assert_eq!(lines.len(), 2501);
    assert!(lines.iter().zip(0..2500).all(|(line, number)| line["number"] == number));
    let last = collector.events.lock().unwrap()[2500].clone();
    assert!(last["time"].as_str().unwrap().parse::<f64>().unwrap() > 1.7e9);
    let mut expected = json!({
        "event": { "line": "no json", "source": "stderr", "tag": "ecs-web-1-app-cafe", "attrs": { "STAGE": "prod" } },
        "host": "node", "index": "main", "source": "src", "sourcetype": "type",
    });
    expected["time"] = last["time"].clone();
    assert_eq!(last, expected);
    let asked = collector.asked.lock().unwrap();
    assert_eq!(asked[0].0, Method::OPTIONS, "the connection is verified");
    assert!(asked.iter().all(|(_, headers)| headers["authorization"] == "Splunk secret"));
    assert_eq!(asked[1].1["x-splunk-request-channel"], "01234567-89ab-cdef-0123-456789abcdef");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_is_wrong_is_not() {
    let (collector, url) = collector().await;
    let given = [("splunk-url", &*url), ("splunk-token", "t"), ("splunk-verify-connection", "false")];
    let mut shim = Shim::new();
    let following = follow(&shim, "splunk", &given).await;
    collector.will_say(StatusCode::SERVICE_UNAVAILABLE, "Server is busy");
    collector.will_say(StatusCode::FORBIDDEN, "Invalid token");
    shim.say("one");
    until("it has arrived", || collector.lines() == ["one"]).await;
    collector.will_say(StatusCode::BAD_REQUEST, "Invalid data format");
    shim.say("wrong");
    until("it was refused", || collector.answers.lock().unwrap().is_empty()).await;
    shim.say("two");
    shim.exit();
    drained(&following).await;
    assert_eq!(collector.lines(), ["one", "two"]);
}

#[tokio::test]
async fn a_collector_that_refuses_fails_the_start() {
    let (collector, url) = collector().await;
    collector.will_say(StatusCode::UNAUTHORIZED, "Token disabled");
    let reason = refusal("splunk", &[("splunk-url", &url), ("splunk-token", "t")]).await;
    let expected =
        "failed to initialize logging driver: splunk: failed to verify connection - 401 Unauthorized - Token disabled";
    assert_eq!(reason, expected);
    let address = nobody().await;
    let reason = refusal("splunk", &[("splunk-url", &format!("http://{address}")), ("splunk-token", "t")]).await;
    assert!(reason.contains(&format!("OPTIONS http://{address}/services/collector/event/1.0: ")), "{reason}");
}
