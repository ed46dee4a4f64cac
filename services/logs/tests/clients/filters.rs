//! Metric filters, subscription filters, and the tag operations of old.

use tempfile::TempDir;

use crate::{boto, serve};

const BOTO: &str = r#"
import boto3
from botocore.config import Config
logs = boto3.client("logs", config=Config(retries={"max_attempts": 0}))
logs.create_log_group(logGroupName="/ecs/web")

lines = ['127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534',
         '127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324']
matches = logs.test_metric_filter(filterPattern="[ip, identity, user_id, timestamp, request, status_code = 5*, size]", logEventMessages=lines)["matches"]
assert [(m["eventNumber"], m["eventMessage"]) for m in matches] == [(1, lines[1])], matches
assert matches[0]["extractedValues"]["$status_code"] == "500" and matches[0]["extractedValues"]["$request"] == "GET /apache_pb.gif HTTP/1.0"

def put(name, pattern="ERROR", **of):
    of = {"metricName": "Errors", "metricNamespace": "Web", "metricValue": "1", **of}
    logs.put_metric_filter(logGroupName="/ecs/web", filterName=name, filterPattern=pattern, metricTransformations=[of])
put("errors", defaultValue=0.0)
put("latency", "{ $.latency = * }", metricValue="$.latency", metricName="Latency", unit="Milliseconds", dimensions={"path": "$.path"})
put("errors", defaultValue=1.0)
found = logs.describe_metric_filters(logGroupName="/ecs/web")["metricFilters"]
assert [f["filterName"] for f in found] == ["errors", "latency"], found
assert found[0]["metricTransformations"] == [{"metricName": "Errors", "metricNamespace": "Web", "metricValue": "1", "defaultValue": 1.0}], found
assert found[1]["metricTransformations"][0]["dimensions"] == {"path": "$.path"} and found[1]["creationTime"] > 0
assert logs.describe_log_groups()["logGroups"][0]["metricFilterCount"] == 2
assert [f["filterName"] for f in logs.describe_metric_filters(metricName="Latency", metricNamespace="Web")["metricFilters"]] == ["latency"]
page = logs.describe_metric_filters(limit=1)
assert [f["filterName"] for f in logs.describe_metric_filters(nextToken=page["nextToken"])["metricFilters"]] == ["latency"]
for wrong in (dict(pattern="a.b"), dict(metricValue="much"), dict(defaultValue=0.0, pattern="{ $.a = 1 }", dimensions={"a": "$.a"})):
    try:
        put("wrong", **wrong)
        raise SystemExit(f"{wrong}")
    except logs.exceptions.InvalidParameterException:
        pass
for i in range(98):
    put(f"more-{i:02}")
try:
    put("one too many")
    raise SystemExit("one hundred and one filters")
except logs.exceptions.LimitExceededException as e:
    assert e.response["Error"]["Message"] == "Resource limit exceeded.", e
assert sum(len(page["metricFilters"]) for page in logs.get_paginator("describe_metric_filters").paginate()) == 100
logs.delete_metric_filter(logGroupName="/ecs/web", filterName="latency")
try:
    logs.delete_metric_filter(logGroupName="/ecs/web", filterName="latency")
    raise SystemExit("a filter that is gone")
except logs.exceptions.ResourceNotFoundException as e:
    assert e.response["Error"]["Message"] == "The specified metric filter does not exist.", e

def subscribe(arn, **more):
    logs.put_subscription_filter(logGroupName="/ecs/web", filterName="s", filterPattern="", destinationArn=arn, **more)
role = dict(roleArn="arn:aws:iam::000000000000:role/x")
for arn, more, message in (
    ("arn:aws:lambda:us-east-1:000000000000:function:f", {}, "Could not execute the lambda function. Make sure"),
    ("arn:aws:lambda:us-east-1:000000000000:function:f", role, "destinationArn for vendor lambda cannot be used with roleArn"),
    ("arn:aws:kinesis:us-east-1:000000000000:stream/s", {}, "destinationArn for vendor kinesis cannot be used without roleArn"),
    ("arn:aws:kinesis:us-east-1:000000000000:stream/s", role, "Could not deliver test message to specified Kinesis stream."),
    ("arn:aws:firehose:us-east-1:000000000000:deliverystream/s", role, "Could not deliver test message to specified Firehose stream."),
    ("arn:aws:s3:::bucket", {}, "The destination ARN is not valid"),
):
    try:
        subscribe(arn, **more)
        raise SystemExit(arn)
    except logs.exceptions.InvalidParameterException as e:
        assert e.response["Error"]["Message"].startswith(message), e
try:
    subscribe("arn:aws:logs:us-east-1:000000000000:destination:d")
    raise SystemExit("a destination that is not there")
except logs.exceptions.ResourceNotFoundException:
    pass
assert logs.describe_subscription_filters(logGroupName="/ecs/web")["subscriptionFilters"] == []

logs.create_log_group(logGroupName="/rare", logGroupClass="INFREQUENT_ACCESS")
try:
    logs.put_metric_filter(logGroupName="/rare", filterName="f", filterPattern="", metricTransformations=[
        {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}])
    raise SystemExit("a filter of a group that can have none")
except logs.exceptions.InvalidOperationException:
    pass

logs.tag_log_group(logGroupName="/ecs/web", tags={"team": "blue", "tier": "web"})
logs.untag_log_group(logGroupName="/ecs/web", tags=["tier"])
assert logs.list_tags_log_group(logGroupName="/ecs/web")["tags"] == {"team": "blue"}

logs.delete_log_group(logGroupName="/ecs/web")
logs.create_log_group(logGroupName="/ecs/web")
assert logs.describe_metric_filters(logGroupName="/ecs/web")["metricFilters"] == []
assert logs.describe_metric_filters()["metricFilters"] == []
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_keeps_filters() {
    let directory = TempDir::new().unwrap();
    let url = serve(&directory).await;
    assert_eq!(boto(&url, BOTO).await, Ok("done".to_owned()));
}
