//! Logs Insights.

use tempfile::TempDir;

use crate::{boto, serve};

const BOTO: &str = r#"
import json, time, boto3
from botocore.config import Config
logs = boto3.client("logs", config=Config(retries={"max_attempts": 0}))
now = int(time.time() * 1000)
for group in ("/ecs/web", "/ecs/other"):
    logs.create_log_group(logGroupName=group)
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now - 3000 + i, "message": json.dumps({"level": "error" if i % 10 == 0 else "info",
            "latency": i, "user": {"name": f"u{i % 3}"}})} for i in range(1000)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

def ask(query, groups=("/ecs/web",), **more):
    started = logs.start_query(logGroupNames=list(groups), startTime=now // 1000 - 60, endTime=now // 1000 + 60, queryString=query, **more)
    deadline = time.time() + 60
    while True:
        answer = logs.get_query_results(queryId=started["queryId"])
        if answer["status"] not in ("Scheduled", "Running"): break
        assert time.time() < deadline, "a query that does not end"
        time.sleep(0.02)
    assert answer["status"] == "Complete", answer["status"]
    return started["queryId"], answer

def rows(answer):
    return [{f["field"]: f["value"] for f in row if f["field"] != "@ptr"} for row in answer["results"]]

query, answer = ask("filter level = 'error' | stats count(*) as n, max(latency) as most by user.name | sort user.name")
assert rows(answer) == [{"user.name": "u0", "n": "68", "most": "990"}, {"user.name": "u1", "n": "66", "most": "970"},
    {"user.name": "u2", "n": "66", "most": "980"}], rows(answer)
statistics = answer["statistics"]
assert (statistics["recordsMatched"], statistics["recordsScanned"], statistics["logGroupsScanned"]) == (200, 2000, 1), statistics
assert statistics["bytesScanned"] > 50_000, statistics
assert logs.list_log_groups_for_query(queryId=query)["logGroupIdentifiers"] == ["/ecs/web"]

_, both = ask("stats count(*) by @log | sort @log", groups=("/ecs/web", "/ecs/other"))
assert rows(both) == [{"@log": "000000000000:/ecs/other", "count(*)": "2000"}, {"@log": "000000000000:/ecs/web", "count(*)": "2000"}], rows(both)

_, newest = ask("fields @timestamp, latency, @logStream | limit 3")
assert [row["latency"] for row in rows(newest)] == ["999", "999", "998"], rows(newest)
_, limited = ask("fields @message", limit=7)
assert len(limited["results"]) == 7 and limited["statistics"]["recordsMatched"] == 2000

pointer = [f["value"] for f in newest["results"][0] if f["field"] == "@ptr"][0]
record = logs.get_log_record(logRecordPointer=pointer)["logRecord"]
assert record["latency"] == "999" and record["user.name"] == "u0" and record["@timestamp"] == str(now - 2001), record
assert json.loads(record["@message"])["latency"] == 999 and record["@log"] == "000000000000:/ecs/web"
try:
    logs.get_log_record(logRecordPointer="nowhere")
    raise SystemExit("a pointer to nothing")
except logs.exceptions.InvalidParameterException:
    pass
fields = {f["name"]: f["percent"] for f in logs.get_log_group_fields(logGroupName="/ecs/web")["logGroupFields"]}
assert fields["level"] == 100 and fields["user.name"] == 100 and fields["@message"] == 100, fields

try:
    ask("fields @message | filterr level = 1")
    raise SystemExit("a query that means nothing")
except logs.exceptions.MalformedQueryException as e:
    error = e.response["queryCompileError"]
    assert error["location"] == {"startCharOffset": 18, "endCharOffset": 25}, error
    assert error["message"] == "unexpected symbol found filterr at line 1 and position 19", error
for wrong in (dict(groups=["nowhere"]), dict(groups=[])):
    try:
        ask("fields @message", **wrong)
        raise SystemExit(f"{wrong}")
    except (logs.exceptions.ResourceNotFoundException, logs.exceptions.InvalidParameterException):
        pass
queries = logs.describe_queries(logGroupName="/ecs/web", status="Complete")["queries"]
assert len(queries) == 4 and queries[-1]["queryId"] == query and queries[0]["createTime"] >= queries[-1]["createTime"], queries
page = logs.describe_queries(maxResults=2)
assert len(page["queries"]) == 2 and len(logs.describe_queries(nextToken=page["nextToken"])["queries"]) == 2
try:
    logs.stop_query(queryId=query)
    raise SystemExit("stopped what had ended")
except logs.exceptions.InvalidParameterException:
    pass
try:
    logs.get_query_results(queryId="nothing")
    raise SystemExit("a query that nobody asked")
except logs.exceptions.ResourceNotFoundException:
    pass
# More than one page of results.
pages, token = [], None
full, _ = ask("fields latency")
while True:
    answer = logs.get_query_results(queryId=full, maxItems=900, **({"nextToken": token} if token else {}))
    pages.append(len(answer["results"]))
    token = answer.get("nextToken")
    if not token: break
assert pages == [900, 900, 200], pages

id = logs.put_query_definition(name="errors", queryString="stats count(*)", logGroupNames=["/ecs/web"])["queryDefinitionId"]
logs.put_query_definition(name="all", queryString="fields @message")
logs.put_query_definition(name="errors!", queryString="stats count(*) by level", queryDefinitionId=id)
found = logs.describe_query_definitions()["queryDefinitions"]
assert [(d["name"], d["queryString"]) for d in found] == [("all", "fields @message"), ("errors!", "stats count(*) by level")], found
assert logs.describe_query_definitions(queryDefinitionNamePrefix="err")["queryDefinitions"][0]["queryDefinitionId"] == id
assert logs.delete_query_definition(queryDefinitionId=id)["success"]
for refused in (lambda: logs.delete_query_definition(queryDefinitionId=id),
                lambda: logs.put_query_definition(name="x", queryString="y", queryDefinitionId=id)):
    try:
        refused()
        raise SystemExit("a definition that is gone")
    except logs.exceptions.ResourceNotFoundException:
        pass
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_asks_queries() {
    let directory = TempDir::new().unwrap();
    let url = serve(&directory).await;
    assert_eq!(boto(&url, BOTO).await, Ok("done".to_owned()));
}
