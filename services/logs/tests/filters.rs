//! Filters at work: what comes out of them when events go in.

use std::io::Read;
use std::sync::{Arc, Mutex};

use api_logs::*;
use async_trait::async_trait;
use flate2::read::GzDecoder;
use log_store::LogStore;
use model::Scope;
use serde_json::Value;
use service_logs::{
    Deliveries, Destination, DestinationKind, LogsService, MetricSink, MetricValue, NotDelivered, Payload,
};
use shape::{Caller, Timestamp};
use state::MemoryLedger;
use tempfile::TempDir;

const NOW: i64 = 1_700_000_000_000;
const LAMBDA: &str = "arn:aws:lambda:eu-west-1:111122223333:function:f";

/// Takes everything, and remembers it.
#[derive(Default)]
struct Sinks {
    metrics: Mutex<Vec<MetricValue>>,
    tests: Mutex<Vec<Value>>,
    deliveries: Mutex<Vec<(Destination, Value)>>,
}

fn document(message: &Payload) -> Value {
    let mut text = String::new();
    GzDecoder::new(message.gzip()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

impl MetricSink for Sinks {
    fn put(&self, scope: &Scope, values: Vec<MetricValue>) {
        assert_eq!(scope.to_string(), "111122223333/eu-west-1");
        self.metrics.lock().unwrap().extend(values);
    }
}

#[async_trait]
impl Deliveries for Sinks {
    async fn test(&self, _: &Scope, destination: &Destination, message: Payload) -> Result<(), NotDelivered> {
        if destination.arn != LAMBDA {
            return Err(NotDelivered);
        }
        self.tests.lock().unwrap().push(document(&message));
        Ok(())
    }

    fn deliver(&self, _: &Scope, destination: &Destination, message: Payload) {
        assert!(message.lambda_event()["awslogs"]["data"].as_str().unwrap().starts_with("H4sI"), "gzip in base64");
        self.deliveries.lock().unwrap().push((destination.clone(), document(&message)));
    }
}

struct World {
    service: LogsService,
    sinks: Arc<Sinks>,
    caller: Caller,
    _directory: TempDir,
}

impl World {
    async fn new() -> World {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(LogStore::open(directory.path()).unwrap());
        let sinks = Arc::new(Sinks::default());
        let service = LogsService::new(store, Arc::new(MemoryLedger::default()))
            .with_clock(Arc::new(|| Timestamp::from_millis(NOW)))
            .with_metrics(sinks.clone())
            .with_deliveries(sinks.clone());
        let world = World { service, sinks, caller: Caller::root("111122223333", "eu-west-1"), _directory: directory };
        let group = CreateLogGroupRequest { log_group_name: text("g"), ..Default::default() };
        world.service.create_log_group(&world.caller, group).await.unwrap();
        let stream = CreateLogStreamRequest { log_group_name: text("g"), log_stream_name: text("s") };
        world.service.create_log_stream(&world.caller, stream).await.unwrap();
        world
    }

    async fn put(&self, events: &[(i64, &str)]) {
        let event =
            |&(time, message): &(i64, &str)| InputLogEvent { timestamp: Some(NOW + time), message: text(message) };
        let input = PutLogEventsRequest {
            log_group_name: text("g"),
            log_stream_name: text("s"),
            log_events: Some(events.iter().map(event).collect()),
            ..Default::default()
        };
        self.service.put_log_events(&self.caller, input).await.unwrap();
    }

    async fn metric(&self, name: &str, pattern: &str, transformation: MetricTransformation) {
        let input = PutMetricFilterRequest {
            log_group_name: text("g"),
            filter_name: text(name),
            filter_pattern: text(pattern),
            metric_transformations: Some(vec![MetricTransformation {
                metric_name: text(name),
                metric_namespace: text("Web"),
                ..transformation
            }]),
            ..Default::default()
        };
        self.service.put_metric_filter(&self.caller, input).await.unwrap();
    }

    fn metrics(&self) -> Vec<String> {
        let shown = |value: MetricValue| {
            assert_eq!(value.namespace, "Web");
            let of: Vec<String> = value.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let (unit, at) = (value.unit.unwrap_or_default(), value.timestamp.as_millis() - NOW);
            format!("{} {} {unit} [{}] @{at}", value.name, value.value, of.join(","))
        };
        std::mem::take(&mut *self.sinks.metrics.lock().unwrap()).into_iter().map(shown).collect()
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn metric_filters_make_values() {
    let world = World::new().await;
    let one = || MetricTransformation { metric_value: text("1"), ..Default::default() };
    world.metric("errors", "ERROR", MetricTransformation { default_value: Some(0.0), ..one() }).await;
    let latency = MetricTransformation {
        metric_value: text("$.latency"),
        unit: text("Milliseconds"),
        dimensions: Some([("path".to_owned(), "$.path".to_owned()), ("who".to_owned(), "$.who".to_owned())].into()),
        ..Default::default()
    };
    world.metric("latency", "{ $.latency = * }", latency).await;
    world
        .metric("bytes", "[..., bytes]", MetricTransformation { metric_value: text("$bytes"), ..Default::default() })
        .await;

    world.put(&[(0, "ERROR one 12"), (1, r#"{"latency":2.5,"path":"/"}"#), (2, r#"{"latency":"slow"}"#)]).await;
    assert_eq!(world.metrics(), ["bytes 12  [] @0", "errors 1  [] @0", "latency 2.5 Milliseconds [path=/] @1"]);
    // NOW is 20 seconds after the beginning of a minute.
    world.put(&[(0, "fine"), (40_000, "ERROR two"), (50_000, "ERROR three")]).await;
    let minute = -(NOW % 60_000);
    let expected =
        ["errors 1  [] @40000".to_owned(), "errors 1  [] @50000".to_owned(), format!("errors 0  [] @{minute}")];
    assert_eq!(world.metrics(), expected, "a minute without a match has the default value");

    world.service.delete_log_group(&world.caller, DeleteLogGroupRequest { log_group_name: text("g") }).await.unwrap();
    let group = CreateLogGroupRequest { log_group_name: text("g"), ..Default::default() };
    world.service.create_log_group(&world.caller, group).await.unwrap();
    let stream = CreateLogStreamRequest { log_group_name: text("g"), log_stream_name: text("s") };
    world.service.create_log_stream(&world.caller, stream).await.unwrap();
    world.put(&[(0, "ERROR")]).await;
    assert_eq!(world.metrics(), Vec::<String>::new(), "another group of the same name");
}

#[tokio::test]
async fn subscription_filters_deliver() {
    let world = World::new().await;
    let subscribe = async |name: &str, arn: &str, distribution: Option<&str>| {
        let input = PutSubscriptionFilterRequest {
            log_group_name: text("g"),
            filter_name: text(name),
            filter_pattern: text("ERROR"),
            destination_arn: text(arn),
            distribution: distribution.map(str::to_owned),
            ..Default::default()
        };
        world.service.put_subscription_filter(&world.caller, input).await
    };
    subscribe("a", LAMBDA, None).await.unwrap();
    let tests = std::mem::take(&mut *world.sinks.tests.lock().unwrap());
    assert_eq!(tests[0]["messageType"], "CONTROL_MESSAGE");
    subscribe("b", LAMBDA, Some("Random")).await.unwrap();
    let third = subscribe("c", LAMBDA, None).await.unwrap_err();
    assert_eq!(third.code, ErrorCode::LimitExceededException, "two to a group");
    subscribe("b", LAMBDA, Some("Random")).await.unwrap();
    let missing = subscribe("a", &format!("{LAMBDA}x"), None).await.unwrap_err();
    assert!(missing.message.starts_with("Could not execute the lambda function."), "{}", missing.message);

    world.put(&[(0, "ERROR one"), (1, "fine"), (2, "ERROR two")]).await;
    world.put(&[(3, "fine")]).await;
    let delivered = std::mem::take(&mut *world.sinks.deliveries.lock().unwrap());
    assert_eq!(delivered.len(), 2);
    let (destination, message) = &delivered[0];
    assert_eq!((destination.kind, destination.partition_key.as_deref()), (DestinationKind::Lambda, Some("s")));
    assert_eq!(delivered[1].0.partition_key, None);
    assert_eq!(message["messageType"], "DATA_MESSAGE");
    assert_eq!(
        (&message["owner"], &message["logGroup"], &message["logStream"]),
        (&"111122223333".into(), &"g".into(), &"s".into())
    );
    assert_eq!(message["subscriptionFilters"], serde_json::json!(["a"]));
    let events = message["logEvents"].as_array().unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event["timestamp"].as_i64().unwrap() - NOW, event["message"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [(0, "ERROR one"), (2, "ERROR two")]);
    assert!(events.iter().all(|event| event["id"].as_str().unwrap().len() == 56) && events[0]["id"] != events[1]["id"]);

    let of = DescribeSubscriptionFiltersRequest { log_group_name: text("g"), ..Default::default() };
    let described = world.service.describe_subscription_filters(&world.caller, of).await.unwrap();
    let names: Vec<_> =
        described.subscription_filters.unwrap().into_iter().map(|filter| filter.filter_name.unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    let delete = || DeleteSubscriptionFilterRequest { log_group_name: text("g"), filter_name: text("a") };
    world.service.delete_subscription_filter(&world.caller, delete()).await.unwrap();
    let again = world.service.delete_subscription_filter(&world.caller, delete()).await.unwrap_err();
    assert_eq!(again.message, "The specified subscription filter does not exist.");
}
