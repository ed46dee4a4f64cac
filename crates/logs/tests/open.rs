//! Opening drivers: what is asked of the sink, and what a user reads when it fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use logs::fake::{FakeSink, refusal};
use logs::{Destination, DriverError, Drivers, LogSink, SinkError, Subject};

fn drivers(sink: &Arc<FakeSink>) -> Drivers {
    let sink = sink.clone();
    Drivers::new(move |_| sink.clone() as Arc<dyn LogSink>)
}

fn options(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [("awslogs-group", "g"), ("awslogs-stream", "s"), ("awslogs-region", "eu-west-1")];
    base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn refused(drivers: &Drivers, driver: &str, options: &BTreeMap<String, String>) -> DriverError {
    match drivers.open(driver, options, &Subject::default()).await {
        Ok(_) => panic!("{driver} opened with {options:?}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn one_round_trip_and_then_none() {
    let sink = Arc::new(FakeSink::with_group("g"));
    let drivers = drivers(&sink);
    for _ in 0..3 {
        drivers.open("awslogs", &options(&[("awslogs-create-group", "true")]), &Subject::default()).await.unwrap();
    }
    assert_eq!(sink.calls(), ["create_stream g s"]);
}

#[tokio::test]
async fn a_stream_that_exists_is_fine() {
    let sink = Arc::new(FakeSink::with_group("g"));
    drivers(&sink).open("awslogs", &options(&[]), &Subject::default()).await.unwrap();
    drivers(&sink).open("awslogs", &options(&[]), &Subject::default()).await.unwrap();
    assert_eq!(sink.calls(), ["create_stream g s"; 2]);
}

#[tokio::test]
async fn a_missing_group_is_made_when_allowed() {
    let sink = Arc::new(FakeSink::default());
    drivers(&sink).open("awslogs", &options(&[("awslogs-create-group", "true")]), &Subject::default()).await.unwrap();
    assert_eq!(sink.calls(), ["create_stream g s", "create_group g", "create_stream g s"]);
}

#[tokio::test]
async fn many_may_open_at_once() {
    let sink = Arc::new(FakeSink::default());
    let drivers = Arc::new(drivers(&sink));
    let opened: Vec<_> = (0..50)
        .map(|number| {
            let drivers = drivers.clone();
            let name = format!("s{number}");
            let options = options(&[("awslogs-create-group", "true"), ("awslogs-stream", &name)]);
            tokio::spawn(async move { drivers.open("awslogs", &options, &Subject::default()).await.map(drop) })
        })
        .collect();
    for opened in opened {
        opened.await.unwrap().unwrap();
    }
    assert!((0..50).all(|number| sink.events("g", &format!("s{number}")).is_some()));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_a_few_times() {
    let sink = Arc::new(FakeSink::with_group("g"));
    for _ in 0..3 {
        sink.fail_next(refusal("ThrottlingException", "Rate exceeded"));
    }
    drivers(&sink).open("awslogs", &options(&[]), &Subject::default()).await.unwrap();
    assert_eq!(sink.calls().len(), 4);

    let sink = Arc::new(FakeSink::with_group("g"));
    for _ in 0..4 {
        sink.fail_next(SinkError::Unreachable("connection refused".into()));
    }
    let error = refused(&drivers(&sink), "awslogs", &options(&[])).await;
    assert_eq!(
        error.to_string(),
        "failed to initialize logging driver: failed to create Cloudwatch log stream: RequestError: send request failed: connection refused"
    );
}

#[tokio::test]
async fn failures_in_dockers_words() {
    let sink = Arc::new(FakeSink::default());
    let error = refused(&drivers(&sink), "awslogs", &options(&[])).await;
    assert_eq!(
        error.to_string(),
        "failed to initialize logging driver: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."
    );
    assert!(!error.is_found_at_creation());

    let denied = "User: arn:aws:sts::1:assumed-role/r/i is not authorized to perform: logs:CreateLogGroup";
    let missing = refusal("ResourceNotFoundException", "The specified log group does not exist.");
    sink.fail_next(missing);
    sink.fail_next(refusal("AccessDeniedException", denied));
    let error = refused(&drivers(&sink), "awslogs", &options(&[("awslogs-create-group", "true")])).await;
    assert_eq!(
        error.to_string(),
        format!(
            "failed to initialize logging driver: failed to create Cloudwatch log group: AccessDeniedException: {denied}"
        )
    );
}

#[tokio::test]
async fn options_and_names_are_checked_before_anybody_is_asked() {
    let sink = Arc::new(FakeSink::with_group("g"));
    let drivers = drivers(&sink);
    for (driver, more, expected) in [
        ("awslogs", ("x", "y"), "unknown log opt 'x' for awslogs log driver"),
        ("awslogs", ("mode", "eager"), "logger: logging mode not supported: eager"),
        ("json-file", ("x", "y"), "unknown log opt 'awslogs-group' for json-file log driver"),
        ("loki", ("x", "y"), "logger: no log driver named 'loki' is registered"),
    ] {
        let error = refused(&drivers, driver, &options(&[more])).await;
        assert_eq!(error.to_string(), expected);
        assert!(error.is_found_at_creation());
    }
    let error = refused(&drivers, "awslogs", &options(&[("awslogs-multiline-pattern", "(")])).await;
    assert!(error.to_string().starts_with("failed to initialize logging driver: awslogs could not parse"), "{error}");
    let error = refused(&drivers, "json-file", &BTreeMap::from([("max-file".into(), "0".into())])).await;
    assert_eq!(error.to_string(), "failed to initialize logging driver: max-file cannot be less than 1");
    assert!(sink.calls().is_empty());
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_need_be() {
    let sink = Arc::new(FakeSink::default());
    let drivers = drivers(&sink);
    drivers
        .open("none", &options(&[("whatever", "x")]), &Subject::default())
        .await
        .unwrap()
        .follow("/nonexistent".into())
        .drained()
        .await;
    drivers.open("awslogs", &options(&[("mode", "non-blocking")]), &Subject::default()).await.unwrap();
    drivers.open("awslogs", &options(&[("awslogs-create-stream", "false")]), &Subject::default()).await.unwrap();
    drivers.resume("awslogs", &options(&[]), &Subject::default()).unwrap();
    drivers.open("json-file", &BTreeMap::new(), &Subject::default()).await.unwrap();
    assert!(sink.calls().is_empty());
}

#[tokio::test]
async fn a_destination_is_asked_for_once() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::new(FakeSink::with_group("g"));
    let (list, target) = (asked.clone(), sink.clone());
    let drivers = Drivers::by_destination(move |destination: &Destination| {
        list.lock().unwrap().push(destination.clone());
        match destination.endpoint.as_deref() {
            Some("nonsense") => Err(SinkError::Unreachable("nonsense is not an endpoint".into())),
            _ => Ok(target.clone() as Arc<dyn LogSink>),
        }
    });
    let elsewhere = options(&[("awslogs-endpoint", "http://h:1"), ("awslogs-credentials-endpoint", "/v2/c")]);
    for options in [&options(&[]), &elsewhere, &options(&[]), &elsewhere] {
        drivers.open("awslogs", options, &Subject::default()).await.unwrap();
    }
    let region = "eu-west-1".to_owned();
    let plain = Destination { region: region.clone(), endpoint: None, credentials_endpoint: None };
    let other = Destination { region, endpoint: Some("http://h:1".into()), credentials_endpoint: Some("/v2/c".into()) };
    assert_eq!(*asked.lock().unwrap(), [plain, other]);
    let error = refused(&drivers, "awslogs", &options(&[("awslogs-endpoint", "nonsense")])).await;
    assert!(
        error.to_string().starts_with("failed to initialize logging driver: could not initialize AWS SDK config: ")
    );
}
