//! The aws CLI and boto3, unmodified.

mod filters;
mod insights;
mod live_tail;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use log_store::LogStore;
use service_logs::LogsService;
use state::MemoryLedger;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, Gateway};

const PATIENCE: Duration = Duration::from_secs(60);

/// Serves CloudWatch Logs on a port of its own and gives its URL.
async fn serve(directory: &TempDir) -> String {
    let store = Arc::new(LogStore::open(directory.path()).unwrap());
    let gateway = Arc::new(Gateway::new(
        vec![Arc::new(LogsService::new(store, Arc::new(MemoryLedger::default()))).routed()],
        AuthMode::Open,
    ));
    let app = Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A client with nothing of this machine's AWS configuration.
fn client(program: &str, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Standard output, or standard error if it failed.
async fn run(program: &str, url: &str, arguments: &[&str]) -> Result<String, String> {
    let output = tokio::time::timeout(PATIENCE, client(program, url, arguments).output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// What a script for boto3 prints.
async fn boto(url: &str, script: &str) -> Result<String, String> {
    run("/usr/bin/env", url, &["python3", "-c", script]).await
}

async fn aws(url: &str, line: &str) -> Result<String, String> {
    // Debian's version of the CLI is older than AWS_ENDPOINT_URL.
    run("/usr/bin/aws", url, &[&["--endpoint-url", url], &line.split(' ').collect::<Vec<_>>()[..]].concat()).await
}

const BOTO: &str = r#"
import time, boto3
from botocore.config import Config
logs = boto3.client("logs", config=Config(retries={"max_attempts": 0}))
now = int(time.time() * 1000)
logs.create_log_group(logGroupName="/ecs/web", tags={"team": "blue"})
try:
    logs.create_log_group(logGroupName="/ecs/web")
    raise SystemExit("a second group of the same name")
except logs.exceptions.ResourceAlreadyExistsException as e:
    assert e.response["Error"]["Message"] == "The specified log group already exists", e
try:
    logs.create_log_group(logGroupName="bad name!")
    raise SystemExit("a bad name")
except logs.exceptions.InvalidParameterException as e:
    assert "logGroupName" in str(e), e
for i in range(3):
    logs.create_log_stream(logGroupName="/ecs/web", logStreamName=f"web/app/{i}")
    events = [{"timestamp": now + j, "message": f"stream {i} line {j}"} for j in range(2500)]
    answer = logs.put_log_events(logGroupName="/ecs/web", logStreamName=f"web/app/{i}", logEvents=events, sequenceToken="ignored")
    assert "rejectedLogEventsInfo" not in answer and answer["nextSequenceToken"], answer
pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/ecs/web", interleaved=True, PaginationConfig={"PageSize": 1000})
events = [e for page in pages for e in page["events"]]
assert len(events) == 7500 and len({e["eventId"] for e in events}) == 7500
assert [e["timestamp"] for e in events] == sorted(e["timestamp"] for e in events)
found = [e["message"] for page in logs.get_paginator("filter_log_events").paginate(
    logGroupName="/ecs/web", filterPattern='"line 77"', logStreamNamePrefix="web/app/1") for e in page["events"]]
assert found == [f"stream 1 line {n}" for n in [77] + list(range(770, 780))], found
token, lines = None, []
while True:
    more = {"nextToken": token} if token else {}
    page = logs.get_log_events(logGroupName="/ecs/web", logStreamName="web/app/2", startFromHead=True, limit=1000, **more)
    lines += [e["message"] for e in page["events"]]
    if page["nextForwardToken"] == token: break
    token = page["nextForwardToken"]
assert lines == [f"stream 2 line {j}" for j in range(2500)], len(lines)
group, = logs.describe_log_groups(logGroupNamePrefix="/ecs")["logGroups"]
assert group["arn"] == "arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web:*" and group["storedBytes"] > 0, group
streams = logs.describe_log_streams(logGroupName="/ecs/web", orderBy="LastEventTime", descending=True, limit=2)
assert len(streams["logStreams"]) == 2 and streams["nextToken"]
assert streams["logStreams"][0]["lastEventTimestamp"] == now + 2499
try:
    logs.put_retention_policy(logGroupName="/ecs/web", retentionInDays=2)
    raise SystemExit("two days")
except logs.exceptions.InvalidParameterException:
    pass
logs.put_retention_policy(logGroupName="/ecs/web", retentionInDays=7)
assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 7
assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"team": "blue"}
try:
    logs.put_log_events(logGroupName="nowhere", logStreamName="x", logEvents=[{"timestamp": now, "message": "x"}])
    raise SystemExit("a group that is not there")
except logs.exceptions.ResourceNotFoundException as e:
    assert e.response["Error"]["Message"] == "The specified log group does not exist.", e
try:
    logs.put_log_events(logGroupName="/ecs/web", logStreamName="web/app/0", logEvents=[
        {"timestamp": now + 1, "message": "x"}, {"timestamp": now, "message": "y"}])
    raise SystemExit("backwards")
except logs.exceptions.InvalidParameterException as e:
    assert "chronological order" in str(e), e
old = logs.put_log_events(logGroupName="/ecs/web", logStreamName="web/app/0", logEvents=[{"timestamp": 1, "message": "x"}])
assert old["rejectedLogEventsInfo"]["tooOldLogEventEndIndex"] == 1, old
logs.delete_log_stream(logGroupName="/ecs/web", logStreamName="web/app/0")
logs.delete_retention_policy(logGroupName="/ecs/web")
logs.delete_log_group(logGroupName="/ecs/web")
assert logs.describe_log_groups()["logGroups"] == []
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_does_everything() {
    let directory = TempDir::new().unwrap();
    let url = serve(&directory).await;
    assert_eq!(boto(&url, BOTO).await, Ok("done".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cli_tails_and_follows() {
    let directory = TempDir::new().unwrap();
    let url = serve(&directory).await;
    let missing = aws(&url, "logs tail /ecs/hello").await.unwrap_err();
    assert!(missing.contains("ResourceNotFoundException"), "{missing}");
    assert!(missing.contains("The specified log group does not exist."), "{missing}");

    aws(&url, "logs create-log-group --log-group-name /ecs/hello").await.unwrap();
    aws(&url, "logs create-log-stream --log-group-name /ecs/hello --log-stream-name web/1").await.unwrap();
    let put = async |message: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let events = format!("timestamp={now},message={message}");
        let line = "logs put-log-events --log-group-name /ecs/hello --log-stream-name web/1 --log-events";
        aws(&url, &format!("{line} {events}")).await.unwrap();
    };
    put("first").await;
    let tailed = aws(&url, "logs tail /ecs/hello --format short").await.unwrap();
    assert!(tailed.ends_with("first"), "{tailed}");

    let mut follow = client("/usr/bin/aws", &url, &["--endpoint-url", &url, "logs", "tail", "/ecs/hello", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let line = next().await;
    assert!(line.contains("web/1") && line.ends_with("first"), "{line}");
    put("second").await;
    let line = next().await;
    assert!(line.ends_with("second"), "each event once, and the new one: {line}");
    follow.kill().await.unwrap();
}
