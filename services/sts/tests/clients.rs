//! Real clients ask who they are.

use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use service_sts::StsService;
use shape::Principal;
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, CredentialStore, Gateway, Key};

/// Serves STS on a port of its own and gives its URL.
async fn serve(auth: AuthMode) -> String {
    let gateway = Arc::new(Gateway::new(vec![StsService::routed()], auth));
    let app = Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// Runs a client with nothing of this machine's AWS configuration. Gives standard output, or standard error if it failed.
async fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn aws(url: &str, access_key: &str, secret: &str) -> Result<String, String> {
    let arguments =
        ["sts", "get-caller-identity", "--endpoint-url", url, "--output", "text", "--query", "[Account,Arn,UserId]"];
    let keys =
        [("AWS_ACCESS_KEY_ID", access_key), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_DEFAULT_REGION", "eu-west-1")];
    run("/usr/bin/aws", &arguments, &keys).await
}

const BOTO: &str = r#"
import sys, boto3, botocore
from botocore.config import Config
url, key, secret, token = sys.argv[1:]
config = Config(retries={"max_attempts": 0}, signature_version=botocore.UNSIGNED if key == "unsigned" else None)
sts = boto3.client("sts", endpoint_url=url, region_name="eu-west-1", aws_access_key_id=key,
                   aws_secret_access_key=secret, aws_session_token=token or None, config=config)
try:
    answer = sts.get_caller_identity()
    assert answer["ResponseMetadata"]["RequestId"], answer
    print(answer["Account"], answer["Arn"], answer["UserId"])
except botocore.exceptions.ClientError as error:
    print(error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"])
"#;

async fn boto(url: &str, access_key: &str, secret: &str, token: &str) -> String {
    // pyenv and friends find their modules by HOME, so this client keeps it.
    let home = std::env::var("HOME").unwrap_or_default();
    run("python3", &["-c", BOTO, url, access_key, secret, token], &[("HOME", &home)]).await.unwrap()
}

#[tokio::test]
async fn in_open_mode_a_key_names_its_account() {
    let url = serve(AuthMode::Open).await;
    assert_eq!(
        aws(&url, "111122223333", "any").await.unwrap(),
        "111122223333\tarn:aws:iam::111122223333:root\t111122223333"
    );
    assert_eq!(
        boto(&url, "AKIAIOSFODNN7EXAMPLE", "any", "").await,
        "000000000000 arn:aws:iam::000000000000:root 000000000000"
    );
    assert_eq!(boto(&url, "unsigned", "any", "").await, "000000000000 arn:aws:iam::000000000000:root 000000000000");
}

struct Alice;

impl CredentialStore for Alice {
    fn find(&self, access_key: &str) -> Option<Key> {
        let session_token = match access_key {
            "AKIDALICE" => None,
            "ASIDALICE" => Some("a/token+with=signs".to_owned()),
            _ => return None,
        };
        let arn = "arn:aws:iam::111122223333:user/alice".to_owned();
        let principal = Principal { arn, user_id: "AIDAALICE".to_owned() };
        let account = "111122223333".to_owned();
        Some(Key { secret: "se/cr+et".to_owned(), session_token, expires: None, account, principal })
    }
}

#[tokio::test]
async fn signatures_of_real_clients_are_believed_and_forged_ones_are_not() {
    let url = serve(AuthMode::Verify(Arc::new(Alice))).await;
    let alice = "111122223333 arn:aws:iam::111122223333:user/alice AIDAALICE";
    assert_eq!(aws(&url, "AKIDALICE", "se/cr+et").await.unwrap(), alice.replace(' ', "\t"));
    assert_eq!(boto(&url, "AKIDALICE", "se/cr+et", "").await, alice);
    assert_eq!(boto(&url, "ASIDALICE", "se/cr+et", "a/token+with=signs").await, alice);

    assert_eq!(boto(&url, "AKIDALICE", "wrong", "").await, "403 SignatureDoesNotMatch");
    assert_eq!(boto(&url, "AKIDBOB", "se/cr+et", "").await, "403 InvalidClientTokenId");
    assert_eq!(boto(&url, "ASIDALICE", "se/cr+et", "another").await, "403 InvalidClientTokenId");
    assert_eq!(boto(&url, "unsigned", "any", "").await, "403 MissingAuthenticationToken");
    let refused = aws(&url, "AKIDALICE", "wrong").await.unwrap_err();
    assert!(refused.contains("(SignatureDoesNotMatch) when calling the GetCallerIdentity operation"), "{refused}");
}
