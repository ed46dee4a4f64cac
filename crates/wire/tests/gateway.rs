//! Golden requests and answers.

use std::sync::{Arc, Mutex};

use api_ecs::{Cluster, CreateClusterResponse};
use api_sts::GetCallerIdentityResponse;
use async_trait::async_trait;
use axum::body::Body;
use expect_test::{Expect, expect};
use http::Request;
use http_body_util::BodyExt;
use shape::{Caller, Document, Operation, Service, ServiceModel, Value, WireError};
use wire::{AuthMode, Gateway};

/// Answers a few operations, each in its own way, and remembers who called.
struct Fake {
    model: &'static ServiceModel,
    callers: Arc<Mutex<Vec<Caller>>>,
}

#[async_trait]
impl Service for Fake {
    fn model(&self) -> &'static ServiceModel {
        self.model
    }

    async fn call(
        &self,
        operation: &'static Operation,
        caller: Caller,
        input: Document,
    ) -> Result<Document, WireError> {
        let account = caller.account.clone();
        self.callers.lock().unwrap().push(caller);
        match operation.name {
            "CreateCluster" => {
                let cluster_name = input.member("clusterName").and_then(Document::as_str).map(str::to_owned);
                let cluster = Cluster { cluster_name, ..Cluster::default() };
                Ok(CreateClusterResponse { cluster: Some(cluster) }.into_document())
            }
            "DescribeServices" => {
                Err(api_ecs::Error::new(api_ecs::ErrorCode::ClusterNotFoundException, "Cluster not found.").into())
            }
            "RunTask" => Err(api_ecs::Error::new(api_ecs::ErrorCode::ConflictException, "Again.")
                .with_member("resourceIds", Document::List(vec!["a".into()]))
                .with_source("not for the client")
                .into()),
            "ListClusters" => panic!("a bug"),
            "DeleteLogGroup" => Ok(().into_document()),
            "GetCallerIdentity" => {
                let identity = GetCallerIdentityResponse { account: Some(account), ..Default::default() };
                Ok(identity.into_document())
            }
            other => panic!("{other} is not part of this test"),
        }
    }
}

/// Sends a request written as text, and gives the answer as text and the callers that the services saw.
async fn send(request: &str) -> (String, Vec<Caller>) {
    let callers = Arc::new(Mutex::new(Vec::new()));
    let services = [&api_ecs::MODEL, &api_logs::MODEL, &api_sts::MODEL]
        .map(|model| Arc::new(Fake { model, callers: callers.clone() }) as Arc<dyn Service>);
    let gateway = Gateway::new(services.to_vec(), AuthMode::Open);

    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, uri) = lines.next().unwrap().split_once(' ').unwrap();
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        builder = builder.header(name, value);
    }
    let response = gateway.handle(builder.body(Body::from(body.to_owned())).unwrap()).await;

    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let request_id = parts.headers["x-amzn-requestid"].to_str().unwrap();
    let content_type = parts.headers["content-type"].to_str().unwrap();
    let text = format!("{} {content_type}\n{}", parts.status.as_u16(), body.replace(request_id, "<request id>"));
    let callers = std::mem::take(&mut *callers.lock().unwrap());
    (text, callers)
}

async fn check(request: &str, expected: Expect) {
    expected.assert_eq(&send(request).await.0);
}

fn ecs(operation: &str, body: &str) -> String {
    format!(
        "POST /\nhost: localhost:4566\ncontent-type: application/x-amz-json-1.1\n\
         x-amz-target: AmazonEC2ContainerServiceV20141113.{operation}\n\n{body}"
    )
}

#[tokio::test]
async fn a_result() {
    check(
        &ecs("CreateCluster", r#"{"clusterName":"web"}"#),
        expect![[r#"
        200 application/x-amz-json-1.1
        {"cluster":{"clusterName":"web"}}"#]],
    )
    .await;
}

#[tokio::test]
async fn an_operation_without_output_answers_nothing() {
    let request = "POST /\ncontent-type: application/x-amz-json-1.1\nx-amz-target: Logs_20140328.DeleteLogGroup\n\n\
                   {\"logGroupName\":\"a\"}";
    check(
        request,
        expect![[r#"
        200 application/x-amz-json-1.1
    "#]],
    )
    .await;
}

#[tokio::test]
async fn refusals_of_operations() {
    check(
        &ecs("DescribeServices", r#"{"services":["a"]}"#),
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"ClusterNotFoundException","message":"Cluster not found."}"#]],
    )
    .await;
    check(
        &ecs("RunTask", r#"{"taskDefinition":"a"}"#),
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"ConflictException","message":"Again.","resourceIds":["a"]}"#]],
    )
    .await;
}

#[tokio::test]
async fn a_bug_is_an_internal_failure() {
    check(
        &ecs("ListClusters", "{}"),
        expect![[r#"
        500 application/x-amz-json-1.1
        {"__type":"InternalFailure"}"#]],
    )
    .await;
}

#[tokio::test]
async fn broken_constraints() {
    check(&ecs("RunTask", "{}"), expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"InvalidParameterException","message":"1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null"}"#]]).await;
    check(&ecs("RunTask", r#"{"taskDefinition":"a","launchType":"MARS"}"#), expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"InvalidParameterException","message":"1 validation error detected: Value 'MARS' at 'launchType' failed to satisfy constraint: Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]"}"#]]).await;
}

#[tokio::test]
async fn broken_bodies() {
    check(
        &ecs("CreateCluster", "{"),
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"SerializationException"}"#]],
    )
    .await;
    check(
        &ecs("CreateCluster", ""),
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"SerializationException"}"#]],
    )
    .await;
    check(
        &ecs("CreateCluster", r#"{"clusterName":7}"#),
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"SerializationException","message":"NUMBER_VALUE cannot be converted to String"}"#]],
    )
    .await;
}

#[tokio::test]
async fn unknown_operations() {
    check(
        &ecs("LaunchRocket", "{}"),
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"UnknownOperationException"}"#]],
    )
    .await;
    let other = "POST /\ncontent-type: application/x-amz-json-1.0\nx-amz-target: DynamoDB_20120810.ListTables\n\n{}";
    check(
        other,
        expect![[r#"
        400 application/x-amz-json-1.1
        {"__type":"UnknownOperationException"}"#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_request_of_any_protocol() {
    check(
        "GET /\nhost: localhost",
        expect![[r#"
        404 application/xml
        <UnknownOperationException/>
    "#]],
    )
    .await;
    check(
        &ecs("CreateCluster", "{}").replace("application/x-amz-json-1.1", "text/plain"),
        expect![[r#"
        404 application/xml
        <UnknownOperationException/>
    "#]],
    )
    .await;
    check(
        &ecs("CreateCluster", "{}").replace("POST", "PUT"),
        expect![[r#"
        404 application/xml
        <UnknownOperationException/>
    "#]],
    )
    .await;
    let no_target = "POST /\nhost: ecs.us-east-1.amazonaws.com\ncontent-type: application/x-amz-json-1.1\n\n{}";
    check(
        no_target,
        expect![[r#"
        404 application/xml
        <UnknownOperationException/>
    "#]],
    )
    .await;
}

#[tokio::test]
async fn queries() {
    let form = "POST /\nhost: localhost\ncontent-type: application/x-www-form-urlencoded\n\n";
    check(
        &format!("{form}Action=GetCallerIdentity&Version=2011-06-15"),
        expect![[r#"
        200 text/xml
        <GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <GetCallerIdentityResult>
            <Account>000000000000</Account>
          </GetCallerIdentityResult>
          <ResponseMetadata>
            <RequestId><request id></RequestId>
          </ResponseMetadata>
        </GetCallerIdentityResponse>
    "#]],
    )
    .await;
    check(
        "GET /?Action=GetCallerIdentity&Version=2011-06-15\nhost: localhost",
        expect![[r#"
        200 text/xml
        <GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <GetCallerIdentityResult>
            <Account>000000000000</Account>
          </GetCallerIdentityResult>
          <ResponseMetadata>
            <RequestId><request id></RequestId>
          </ResponseMetadata>
        </GetCallerIdentityResponse>
    "#]],
    )
    .await;
    check(
        "GET /?Action=GetRich&Version=2011-06-15\nhost: sts.amazonaws.com",
        expect![[r#"
        400 text/xml
        <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <Error>
            <Type>Sender</Type>
            <Code>InvalidAction</Code>
            <Message>Could not find operation GetRich for version 2011-06-15</Message>
          </Error>
          <RequestId><request id></RequestId>
        </ErrorResponse>
    "#]],
    )
    .await;
    check(
        "GET /?Action=GetCallerIdentity&Version=1999-01-01\nhost: sts.amazonaws.com",
        expect![[r#"
        400 text/xml
        <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <Error>
            <Type>Sender</Type>
            <Code>InvalidAction</Code>
            <Message>Could not find operation GetCallerIdentity for version 1999-01-01</Message>
          </Error>
          <RequestId><request id></RequestId>
        </ErrorResponse>
    "#]],
    )
    .await;
    check(
        "GET /?Action=GetRich&Version=2011-06-15\nhost: stream-sts.amazonaws.com",
        expect![[r#"
        400 text/xml
        <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <Error>
            <Type>Sender</Type>
            <Code>InvalidAction</Code>
            <Message>Could not find operation GetRich for version 2011-06-15</Message>
          </Error>
          <RequestId><request id></RequestId>
        </ErrorResponse>
    "#]],
    )
    .await;
    check(
        "GET /\nhost: sts.amazonaws.com",
        expect![[r#"
        400 text/xml
        <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <Error>
            <Type>Sender</Type>
            <Code>MissingAction</Code>
            <Message>The request is missing an action or a required parameter.</Message>
          </Error>
          <RequestId><request id></RequestId>
        </ErrorResponse>
    "#]],
    )
    .await;
    check(
        "GET /?Action=ListUsers&Version=2010-05-08\nhost: localhost",
        expect![[r#"
        400 text/xml
        <ErrorResponse>
          <Error>
            <Type>Sender</Type>
            <Code>InvalidAction</Code>
            <Message>Could not find operation ListUsers for version 2010-05-08</Message>
          </Error>
          <RequestId><request id></RequestId>
        </ErrorResponse>
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_held() {
    let body = format!(r#"{{"clusterName":"{}"}}"#, "a".repeat(wire::limits::BODY_BYTES_MAX));
    check(
        &ecs("CreateCluster", &body),
        expect![[r#"
        413 application/x-amz-json-1.1
        {"__type":"RequestEntityTooLarge"}"#]],
    )
    .await;
}

#[tokio::test]
async fn who_called() {
    let signed = |key: &str, region: &str| {
        ecs("CreateCluster", "{}").replace(
            "\n\n",
            &format!(
                "\nx-amz-date: 20150830T123600Z\nauthorization: AWS4-HMAC-SHA256 \
                 Credential={key}/20150830/{region}/ecs/aws4_request, SignedHeaders=host, Signature=00\n\n"
            ),
        )
    };
    let caller = async |request: &str| send(request).await.1.remove(0);

    let ours = caller(&signed("111122223333", "eu-west-1")).await;
    assert_eq!((ours.account.as_str(), ours.region.as_str()), ("111122223333", "eu-west-1"));
    assert_eq!(ours.access_key.as_deref(), Some("111122223333"));
    assert_eq!(ours.principal.arn, "arn:aws:iam::111122223333:root");
    assert_eq!(ours.endpoint.as_deref(), Some("http://localhost:4566"));

    let stranger = caller(&signed("AKIDEXAMPLE", "us-gov-west-1")).await;
    assert_eq!((stranger.account.as_str(), stranger.partition()), ("000000000000", "aws-us-gov"));

    let unsigned = caller(&ecs("CreateCluster", "{}")).await;
    assert_eq!((unsigned.account.as_str(), unsigned.region.as_str()), ("000000000000", "us-east-1"));
    assert_eq!(unsigned.access_key, None);
}
