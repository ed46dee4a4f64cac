//! boto3 against the JSON protocol: what it reads, and which exceptions it raises.

use std::process::Stdio;
use std::sync::Arc;

use api_ecs::{DescribeTaskDefinitionResponse, Error, ErrorCode, ListClustersResponse, TaskDefinition};
use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use shape::{Caller, Document, Operation, Service, ServiceModel, Timestamp, Value, WireError};
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, Gateway};

struct Fake(&'static ServiceModel);

#[async_trait]
impl Service for Fake {
    fn model(&self) -> &'static ServiceModel {
        self.0
    }

    async fn call(&self, operation: &'static Operation, caller: Caller, _: Document) -> Result<Document, WireError> {
        match operation.name {
            "DescribeTaskDefinition" => {
                let task_definition = TaskDefinition {
                    family: Some("wéb \"1\"".to_owned()),
                    registered_at: Some(Timestamp::from_millis(1_795_439_734_120)),
                    ..Default::default()
                };
                let response = DescribeTaskDefinitionResponse { task_definition: Some(task_definition), tags: None };
                Ok(response.into_document())
            }
            "ListClusters" => {
                let cluster_arns = Some(vec![caller.arn("ecs", "cluster/default")]);
                Ok(ListClustersResponse { cluster_arns, next_token: None }.into_document())
            }
            "ListServices" => Err(Error::new(ErrorCode::ClusterNotFoundException, "Cluster not found.").into()),
            "DeleteLogGroup" => Ok(().into_document()),
            other => panic!("{other} is not part of this test"),
        }
    }
}

const SCRIPT: &str = r#"
import sys, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
options = dict(endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="111122223333",
               aws_secret_access_key="x", config=Config(retries={"max_attempts": 0}, parameter_validation=False))
ecs = boto3.client("ecs", **options)
logs = boto3.client("logs", **options)

task_definition = ecs.describe_task_definition(taskDefinition="web")["taskDefinition"]
print(task_definition["family"], task_definition["registeredAt"].timestamp())
print(ecs.list_clusters()["clusterArns"][0])
print(logs.delete_log_group(logGroupName="a")["ResponseMetadata"]["HTTPStatusCode"])
try:
    ecs.list_services(cluster="none")
except ecs.exceptions.ClusterNotFoundException as error:
    print(error.response["Error"]["Message"])
try:
    ecs.describe_task_definition()
except ecs.exceptions.InvalidParameterException as error:
    print(error.response["Error"]["Message"])
for refused in (lambda: ecs.list_clusters(maxResults="many"), lambda: logs.describe_account_policies(policyType="x")):
    try:
        refused()
    except ClientError as error:
        print(error.response["Error"]["Code"])
"#;

#[tokio::test]
async fn boto3_understands_every_answer() {
    let services: Vec<Arc<dyn Service>> = vec![Arc::new(Fake(&api_ecs::MODEL)), Arc::new(Fake(&api_logs::MODEL))];
    let gateway = Arc::new(Gateway::new(services, AuthMode::Open));
    let app = Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let output = Command::new("python3")
        .args(["-c", SCRIPT, &url])
        .env("PYTHONIOENCODING", "utf-8")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    expect_test::expect![[r#"
        wéb "1" 1795439734.12
        arn:aws:ecs:eu-west-1:111122223333:cluster/default
        200
        Cluster not found.
        1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null
        SerializationException
        UnknownOperationException
    "#]]
    .assert_eq(&text);
}
