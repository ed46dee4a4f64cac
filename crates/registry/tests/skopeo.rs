//! skopeo, unmodified, against the registry.

mod support;

use std::path::Path;
use std::process::Output;

use blobs::Digest;
use serde_json::{Value, json};
use support::{OCI_MANIFEST, Server};

/// An OCI layout with two images of one index, whose layers are larger than a chunk.
fn write_layout(dir: &Path) {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let put = |media_type: &str, bytes: &[u8]| -> Value {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        // A tar without entries is zeros; the length tells the architectures apart.
        let layer = vec![0_u8; 1024 * if architecture == "amd64" { 1000 } else { 2000 }];
        let config = json!({"architecture": architecture, "os": "linux", "config": {},
                            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]}});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
            "layers": [put("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let mut descriptor = put(OCI_MANIFEST, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        manifests.push(descriptor);
    }
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": manifests});
    let mut descriptor = put(index_type, index.to_string().as_bytes());
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let root = json!({"schemaVersion": 2, "manifests": [descriptor]});
    std::fs::write(dir.join("index.json"), root.to_string()).unwrap();
}

async fn skopeo(arguments: &[&str]) -> Output {
    let output = tokio::process::Command::new("skopeo").args(arguments).output().await.expect("skopeo runs");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pushes_inspects_pulls_and_deletes() {
    let server = Server::start().await;
    let work = tempfile::tempdir().unwrap();
    let layout = work.path().join("layout");
    write_layout(&layout);
    let source = format!("oci:{}:1", layout.display());
    let remote = format!("docker://{}/team/web:1", server.address);

    skopeo(&["copy", "--all", "--insecure-policy", "--dest-tls-verify=false", &source, &remote]).await;
    let inspected = skopeo(&["inspect", "--tls-verify=false", "--raw", &remote]).await;
    let index: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);

    // Docker's own format, by a login that the registry accepts; the layers are mounted or found, not sent again.
    let copy = format!("docker://{}/copy:v2s2", server.address);
    skopeo(&[
        "copy",
        "--insecure-policy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--format=v2s2",
        "--dest-creds=AWS:token",
        &remote,
        &copy,
    ])
    .await;
    let back = format!("dir:{}", work.path().join("back").display());
    skopeo(&["copy", "--insecure-policy", "--src-tls-verify=false", &copy, &back]).await;

    let tags = skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{}/copy", server.address)]).await;
    let tags: Value = serde_json::from_slice(&tags.stdout).unwrap();
    assert_eq!(tags["Tags"], json!(["v2s2"]));
    skopeo(&["delete", "--tls-verify=false", &copy]).await;
    server.get("/v2/copy/manifests/v2s2").await.expect_error(404, "MANIFEST_UNKNOWN");
}
