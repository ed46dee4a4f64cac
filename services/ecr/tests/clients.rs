//! boto3, the aws CLI and skopeo, unmodified, against the API and the registry on one port.

mod support;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blobs::Digest;
use serde_json::json;
use support::{aws, aws_json, run, serve};
use tempfile::TempDir;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_keeps_repositories() {
    support::boto(include_str!("boto/repositories.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_moves_images_without_docker() {
    support::boto(include_str!("boto/images.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_keeps_lifecycle_policies() {
    support::boto(include_str!("boto/lifecycle.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_keeps_settings() {
    support::boto(include_str!("boto/settings.py")).await;
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
