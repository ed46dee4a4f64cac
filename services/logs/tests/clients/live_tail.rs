//! StartLiveTail: an event stream that a real client reads.

use tempfile::TempDir;

use crate::{boto, serve};

const BOTO: &str = r#"
import threading, time, boto3
from botocore.config import Config
# The host prefix of this operation would make another name of an endpoint that is an address.
logs = boto3.client("logs", config=Config(retries={"max_attempts": 0}, inject_host_prefix=False))
logs.create_log_group(logGroupName="/ecs/web")
for stream in ("web/1", "db/1"):
    logs.create_log_stream(logGroupName="/ecs/web", logStreamName=stream)
arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]

def put(*lines, stream="web/1"):
    now = int(time.time() * 1000)
    logs.put_log_events(logGroupName="/ecs/web", logStreamName=stream, logEvents=[{"timestamp": now, "message": line} for line in lines])

put("ERROR before anybody listened")
answer = logs.start_live_tail(logGroupIdentifiers=[arn], logStreamNamePrefixes=["web/"], logEventFilterPattern="ERROR")
assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
stream = answer["responseStream"]
events = iter(stream)
start = next(events)["sessionStart"]
assert start["logGroupIdentifiers"] == [arn] and start["logEventFilterPattern"] == "ERROR" and start["sessionId"], start

put("ERROR one", "INFO two", "ERROR three")
put("ERROR elsewhere", stream="db/1")
seen, deadline = [], time.time() + 60
while len(seen) < 2:
    assert time.time() < deadline, seen
    update = next(events)["sessionUpdate"]
    assert update["sessionMetadata"]["sampled"] is False
    seen += update["sessionResults"]
assert [e["message"] for e in seen] == ["ERROR one", "ERROR three"], seen
assert seen[0]["logStreamName"] == "web/1" and seen[0]["logGroupIdentifier"] == "000000000000:/ecs/web" and seen[0]["timestamp"] > 0
assert next(events)["sessionUpdate"]["sessionResults"] == [], "a quiet second has an update too"

put(*[f"ERROR {i}" for i in range(5000)])
while True:
    update = next(events)["sessionUpdate"]
    if update["sessionResults"]: break
    assert time.time() < deadline
assert update["sessionMetadata"]["sampled"] is True and len(update["sessionResults"]) == 500

# As many as may be, and one more; a place comes free when a client goes.
others = [logs.start_live_tail(logGroupIdentifiers=[arn])["responseStream"] for _ in range(14)]
try:
    logs.start_live_tail(logGroupIdentifiers=[arn])
    raise SystemExit("sixteen sessions")
except logs.exceptions.LimitExceededException:
    pass
for other in others: other.close()
stream.close()
while True:
    try:
        logs.start_live_tail(logGroupIdentifiers=[arn])["responseStream"].close()
        break
    except logs.exceptions.LimitExceededException:
        assert time.time() < deadline, "sessions outlive their clients"
        time.sleep(0.1)
for wrong in (["/ecs/web"], [arn.replace("web", "nowhere")]):
    try:
        logs.start_live_tail(logGroupIdentifiers=wrong)
        raise SystemExit(f"{wrong}")
    except (logs.exceptions.InvalidParameterException, logs.exceptions.ResourceNotFoundException):
        pass
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_listens() {
    let directory = TempDir::new().unwrap();
    let url = serve(&directory).await;
    assert_eq!(boto(&url, BOTO).await, Ok("done".to_owned()));
}
