//! boto3, the aws CLI and skopeo, unmodified, against the API and the registry on one port.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blobs::{Blobs, Digest};
use registry::{Config, Registry, router};
use serde_json::{Value, json};
use service_ecr::EcrService;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use wire::{AuthMode, Gateway};

const PATIENCE: Duration = Duration::from_secs(60);

/// Serves ECR and its registry on a port of their own and gives its address.
async fn serve(directory: &TempDir) -> String {
    let blobs = Blobs::open(directory.path().join("blobs")).unwrap();
    let registry = Arc::new(Registry::open(directory.path(), blobs, Config::default()).unwrap());
    let gateway = Arc::new(Gateway::new(vec![EcrService::new(registry.clone()).routed()], AuthMode::Open));
    let app = router(registry).fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Runs a client with nothing of this machine's AWS configuration. Gives standard output, or standard error if it failed.
async fn run(program: &str, address: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // A client that does not read its input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn aws(address: &str, line: &str) -> Result<String, String> {
    // Debian's version of the CLI is older than AWS_ENDPOINT_URL.
    let url = format!("http://{address}");
    run("/usr/bin/aws", address, &[&["--endpoint-url", &url], &line.split(' ').collect::<Vec<_>>()[..]].concat(), "")
        .await
}

async fn aws_json(address: &str, line: &str) -> Value {
    serde_json::from_str(&aws(address, &format!("--output json {line}")).await.unwrap()).unwrap()
}

/// Writes an OCI layout of one image named `1`, and gives its manifest's digest and the size of its parts.
fn write_layout(directory: &Path) -> (Digest, usize) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    // A tar without entries is zeros.
    let layer = vec![0_u8; 10 * 1024];
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]}})
    .to_string();
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": put("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [put("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string();
    let mut descriptor = put(manifest_type, manifest.as_bytes());
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
    (Digest::of(manifest.as_bytes()), config.len() + layer.len())
}

const BOTO: &str = r#"
import base64, datetime, hashlib, json, sys, urllib.request, boto3
from botocore.config import Config
registry, directory = sys.argv[1:]
config = Config(retries={"max_attempts": 0}, parameter_validation=False)
ecr = boto3.client("ecr", config=config)
E = ecr.exceptions

def refused(error, message, call, **arguments):
    try:
        call(**arguments)
    except error as e:
        assert message in e.response["Error"]["Message"], e
        status = e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status == (500 if error is E.ServerException else 400), e
    else:
        raise SystemExit(f"not refused: {arguments}")

def send(method, path, body=None, **headers):
    url = path if path.startswith("http") else f"http://{registry}{path}"
    request = urllib.request.Request(url, data=body, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return urllib.request.urlopen(request)

def push(name, tag, content):
    def blob(data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        send("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", data, Content_Type="application/octet-stream")
        return {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(data)}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": blob(b"{}"), "layers": [blob(content)]}).encode()
    send("PUT", f"/v2/{name}/manifests/{tag}", manifest, Content_Type=media_type)
    return "sha256:" + hashlib.sha256(manifest).hexdigest()

made = ecr.create_repository(repositoryName="team/web", tags=[{"Key": "team", "Value": "blue"}],
                             encryptionConfiguration={"encryptionType": "AES256"})["repository"]
assert made["repositoryArn"] == "arn:aws:ecr:us-east-1:000000000000:repository/team/web", made
assert made["repositoryUri"] == "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/web", made
assert made["registryId"] == "000000000000" and made["imageTagMutability"] == "MUTABLE", made
assert made["imageScanningConfiguration"] == {"scanOnPush": False}, made
assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}, made
age = datetime.datetime.now(datetime.timezone.utc) - made["createdAt"]
assert datetime.timedelta(minutes=-1) < age < datetime.timedelta(minutes=1), made

create = ecr.create_repository
refused(E.RepositoryAlreadyExistsException, "The repository with name 'team/web' already exists in the registry with id '000000000000'",
        create, repositoryName="team/web")
refused(E.InvalidParameterException, "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '",
        create, repositoryName="Bad_Name!")
refused(E.InvalidParameterException, "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'Member must not be null'", create)
refused(E.InvalidParameterException, "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: [",
        create, repositoryName="x1", imageTagMutability="SOMETIMES")
refused(E.InvalidParameterException, "can't be null when imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION",
        create, repositoryName="x1", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
refused(E.InvalidTagParameterException, "Tag parameters are invalid", create, repositoryName="x1", tags=[{"Key": "", "Value": ""}])
refused(E.TooManyTagsException, "50", create, repositoryName="x1", tags=[{"Key": str(n), "Value": ""} for n in range(51)])
refused(E.KmsException, "KMS", create, repositoryName="x1", encryptionConfiguration={"encryptionType": "KMS"})
refused(E.ClientError, "is not authorized to perform: ecr:CreateRepository", create, repositoryName="x1", registryId="444455556666")

for n in range(105):
    create(repositoryName=f"many/{n:03}")
names = [r["repositoryName"] for page in ecr.get_paginator("describe_repositories").paginate() for r in page["repositories"]]
assert names == [f"many/{n:03}" for n in range(105)] + ["team/web"], names
first = ecr.describe_repositories()
assert len(first["repositories"]) == 100 and first["nextToken"], "a page is 100"
assert len(ecr.describe_repositories(maxResults=1000)["repositories"]) == 106
refused(E.InvalidParameterException, "Invalid parameter at 'maxResults' failed to satisfy constraint: 'Member must have value less than or equal to 1000'",
        ecr.describe_repositories, maxResults=1001)
refused(E.InvalidParameterException, "nextToken", ecr.describe_repositories, nextToken="%%%")
refused(E.InvalidParameterException, "maxResults", ecr.describe_repositories, repositoryNames=["team/web"], maxResults=1)
refused(E.RepositoryNotFoundException, "The repository with name 'none' does not exist in the registry with id '000000000000'",
        ecr.describe_repositories, repositoryNames=["team/web", "none"])
assert ecr.describe_repositories(repositoryNames=["team/web"])["repositories"] == [made]

elsewhere = boto3.client("ecr", aws_access_key_id="111122223333", aws_secret_access_key="x", region_name="eu-west-1", config=config)
assert elsewhere.describe_repositories()["repositories"] == []
assert elsewhere.create_repository(repositoryName="team/web")["repository"]["repositoryUri"] == "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/web"

web = {"repositoryName": "team/web"}
digests = {tag: push("team/web", tag, f"layer {n // 2}".encode()) for n, tag in enumerate(["a", "b", "c", "d", "e"])}
assert digests["a"] == digests["b"] != digests["c"]
ids = [i for page in ecr.get_paginator("list_images").paginate(**web, PaginationConfig={"PageSize": 2}) for i in page["imageIds"]]
assert {i["imageTag"]: i["imageDigest"] for i in ids} == digests and len(ids) == 5, ids
images = [i for page in ecr.get_paginator("describe_images").paginate(**web, PaginationConfig={"PageSize": 2}) for i in page["imageDetails"]]
assert sorted(i["imageTags"] for i in images) == [["a", "b"], ["c", "d"], ["e"]], images
image, = ecr.describe_images(**web, imageIds=[{"imageTag": "a"}])["imageDetails"]
assert image["imageSizeInBytes"] == len("layer 0") + 2 and image["imageStatus"] == "ACTIVE", image
assert image["artifactMediaType"] == "application/vnd.oci.image.config.v1+json", image
assert abs((datetime.datetime.now(datetime.timezone.utc) - image["imagePushedAt"]).total_seconds()) < 60, image
refused(E.ImageNotFoundException, "The image with imageId {imageDigest:'null', imageTag:'z'} does not exist within the repository with name 'team/web' in the registry with id '000000000000'",
        ecr.describe_images, **web, imageIds=[{"imageTag": "z"}])
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.describe_images, repositoryName="none")
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.list_images, repositoryName="none")
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.batch_delete_image, repositoryName="none", imageIds=[{"imageTag": "z"}])
refused(E.InvalidParameterException, "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length greater than or equal to 1'",
        ecr.batch_delete_image, **web, imageIds=[])
refused(E.InvalidParameterException, "imageIds", ecr.batch_delete_image, **web, imageIds=[{"imageTag": "z"}] * 101)

gone = ecr.batch_delete_image(**web, imageIds=[{"imageTag": "a"}, {}, {"imageDigest": "bad"}, {"imageDigest": digests["c"], "imageTag": "e"}, {"imageTag": "z"}])
assert gone["imageIds"] == [{"imageTag": "a", "imageDigest": digests["a"]}], gone
assert [(f["failureCode"], f["failureReason"]) for f in gone["failures"]] == [
    ("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"),
    ("InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"),
    ("ImageTagDoesNotMatchDigest", "Requested image tag does not match the digest"),
    ("ImageNotFound", "Requested image not found")], gone
send("DELETE", "/v2/team/web/manifests/e")
assert ecr.list_images(**web, filter={"tagStatus": "UNTAGGED"})["imageIds"] == [{"imageDigest": digests["e"]}]
refused(E.RepositoryNotEmptyException, "The repository with name 'team/web' in registry with id '000000000000' cannot be deleted because it still contains images",
        ecr.delete_repository, **web)
rest = ecr.list_images(**web)["imageIds"]
assert ecr.batch_delete_image(**web, imageIds=rest)["failures"] == []
assert ecr.delete_repository(**web)["repository"] == made
refused(E.RepositoryNotFoundException, "The repository with name 'team/web' does not exist in the registry with id '000000000000'",
        ecr.delete_repository, **web)
push("forced", "1", b"x")
ecr.delete_repository(repositoryName="forced", force=True)

data, = ecr.get_authorization_token()["authorizationData"]
user, password = base64.b64decode(data["authorizationToken"]).decode().split(":")
assert user == "AWS" and data["proxyEndpoint"] == "https://000000000000.dkr.ecr.us-east-1.amazonaws.com", data
left = data["expiresAt"] - datetime.datetime.now(datetime.timezone.utc)
assert datetime.timedelta(hours=11.9) < left < datetime.timedelta(hours=12.1), data
refused(E.InvalidParameterException, "registryIds", ecr.get_authorization_token, registryIds=["1"])

with open(f"{directory}/repositories/000000000000/us-east-1/many/000/_repository.json", "w") as record:
    record.write("half a rec")
refused(E.ServerException, "The service cannot complete the request.", ecr.list_images, repositoryName="many/000")
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_does_everything() {
    let directory = TempDir::new().unwrap();
    let address = serve(&directory).await;
    let arguments = ["python3", "-c", BOTO, &address, directory.path().to_str().unwrap()];
    assert_eq!(run("/usr/bin/env", &address, &arguments, "").await, Ok("done".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cli_and_skopeo_see_the_same_images() {
    let directory = TempDir::new().unwrap();
    let address = serve(&directory).await;
    let created = aws_json(&address, "ecr create-repository --repository-name web").await;
    assert_eq!(created["repository"]["repositoryUri"], "000000000000.dkr.ecr.us-east-1.amazonaws.com/web");
    let all = aws_json(&address, "ecr describe-repositories").await;
    assert_eq!(all["repositories"], json!([created["repository"]]));

    let work = TempDir::new().unwrap();
    let (digest, size) = write_layout(&work.path().join("layout"));
    let credentials = work.path().join("auth.json");
    let credentials = credentials.to_str().unwrap();
    let password = aws(&address, "ecr get-login-password").await.unwrap();
    let login = ["login", "--tls-verify=false", "--authfile", credentials, "-u", "AWS", "--password-stdin", &address];
    assert_eq!(run("skopeo", &address, &login, &password).await, Ok("Login Succeeded!".to_owned()));

    let source = format!("oci:{}:1", work.path().join("layout").display());
    let target = format!("docker://{address}/web:1");
    let push = [
        "copy",
        "--insecure-policy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        "--authfile",
        credentials,
        &source,
        &target,
    ];
    run("skopeo", &address, &push, "").await.unwrap();

    let listed = aws_json(&address, "ecr list-images --repository-name web").await;
    assert_eq!(listed["imageIds"], json!([{"imageDigest": digest, "imageTag": "1"}]));
    let described = aws_json(&address, "ecr describe-images --repository-name web --image-ids imageTag=1").await;
    let image = &described["imageDetails"][0];
    assert_eq!((&image["imageDigest"], &image["imageTags"]), (&json!(digest), &json!(["1"])));
    assert_eq!(image["imageSizeInBytes"], size);
    assert_eq!(image["imageManifestMediaType"], "application/vnd.oci.image.manifest.v1+json");

    let deleted = aws_json(&address, "ecr batch-delete-image --repository-name web --image-ids imageTag=1").await;
    assert_eq!(deleted["imageIds"], json!([{"imageDigest": digest, "imageTag": "1"}]));
    let inspect = ["inspect", "--raw", "--tls-verify=false", "--authfile", credentials, &target];
    let gone = run("skopeo", &address, &inspect, "").await.unwrap_err();
    assert!(gone.contains("manifest unknown") || gone.contains("Requested image not found"), "{gone}");
    let missing = aws(&address, "ecr list-images --repository-name none").await.unwrap_err();
    assert!(missing.contains("(RepositoryNotFoundException) when calling the ListImages operation"), "{missing}");
    aws(&address, "ecr delete-repository --repository-name web").await.unwrap();
    assert_eq!(aws_json(&address, "ecr describe-repositories").await["repositories"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_pushes_with_the_token_of_the_api() {
    let directory = TempDir::new().unwrap();
    let address = serve(&directory).await;
    let work = TempDir::new().unwrap();
    let (digest, _) = write_layout(&work.path().join("layout"));
    let query = "ecr get-authorization-token --output text --query authorizationData[0].authorizationToken";
    let token = STANDARD.decode(aws(&address, query).await.unwrap()).unwrap();
    let token = String::from_utf8(token).unwrap();
    let source = format!("oci:{}:1", work.path().join("layout").display());
    // A push to a repository that is not there creates it.
    let target = format!("docker://{address}/new:1");
    let push = [
        "copy",
        "--insecure-policy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        "--dest-creds",
        &token,
        &source,
        &target,
    ];
    run("skopeo", &address, &push, "").await.unwrap();
    let all = aws_json(&address, "ecr describe-repositories --repository-names new").await;
    assert_eq!(all["repositories"][0]["imageTagMutability"], "MUTABLE");
    let described = aws_json(&address, "ecr describe-images --repository-name new").await;
    assert_eq!(described["imageDetails"][0]["imageDigest"], json!(digest));

    let back = format!("dir:{}", work.path().join("back").display());
    let pull = ["copy", "--insecure-policy", "--src-tls-verify=false", "--src-creds", &token, &target, &back];
    run("skopeo", &address, &pull, "").await.unwrap();
}
