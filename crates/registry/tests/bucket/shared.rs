//! Pushes and pulls by a real client, two servers over one bucket, and what a collection takes.

use std::process::Output;
use std::time::Duration;

use blobs::{Digest, Hasher};
use object_store::ObjectStore;
use serde_json::json;

use crate::moto::{Moto, noise, serve};
use crate::support::Server;

async fn skopeo(arguments: &[&str]) -> Output {
    let output = tokio::process::Command::new("skopeo").args(arguments).output().await.expect("skopeo runs");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn layout(dir: &std::path::Path, layer: &[u8]) {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer)]}});
    let manifest = json!({"schemaVersion": 2, "mediaType": crate::support::OCI_MANIFEST,
        "config": put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
        "layers": [put("application/vnd.oci.image.layer.v1.tar", layer)]});
    let mut descriptor = put(crate::support::OCI_MANIFEST, manifest.to_string().as_bytes());
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
}

async fn collect(server: &Server, unused_for: Duration) -> registry::Collected {
    let registry = server.registry.clone();
    tokio::task::spawn_blocking(move || registry.collect(unused_for).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_bucket() {
    let moto = Moto::start().await;
    // The second one has no room for files of its own.
    let (one, two) = (serve(moto.store(), 1 << 30).await, serve(moto.store(), 0).await);
    let work = tempfile::tempdir().unwrap();
    // More than a part of an upload.
    let layer = noise(20 << 20, 1);
    layout(&work.path().join("layout"), &layer);

    let source = format!("oci:{}:1", work.path().join("layout").display());
    let (to, from) = (format!("docker://{}/team/web:1", one.address), format!("docker://{}/team/web:1", two.address));
    skopeo(&["copy", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false", &source, &to]).await;
    let back = format!("dir:{}", work.path().join("back").display());
    skopeo(&["copy", "--insecure-policy", "--src-tls-verify=false", &from, &back]).await;
    let digest = Digest::of(&layer);
    assert_eq!(std::fs::read(work.path().join("back").join(digest.hex())).unwrap(), layer);

    // Ranges, from the bucket and from the file; and what is signed here is good there.
    let path = format!("/v2/team/web/blobs/{digest}");
    for server in [&one, &two] {
        let part = server.send("GET", &path, &[("range", "bytes=9000000-9000009")], "").await;
        assert_eq!(part.expect(206).body[..], layer[9_000_000..9_000_010]);
    }
    assert_eq!(two.get("/v2/_catalog").await.json(), json!({"repositories": ["team/web"]}));
    assert_eq!(two.get("/v2/team/web/tags/list").await.json()["tags"], json!(["1"]));

    // A collection on a server that did not see the push takes nothing that is needed, and what nobody needs is gone for both.
    let stray = one.push_blob("team/web", b"nobody needs this").await;
    assert_eq!(collect(&two, Duration::from_secs(3600)).await, registry::Collected::default());
    let collected = collect(&two, Duration::ZERO).await;
    assert_eq!((collected.forgotten, collected.blobs), (1, 1));
    one.get(&format!("/v2/team/web/blobs/{stray}")).await.expect_error(404, "BLOB_UNKNOWN");
    two.get(&path).await.expect(200);

    let manifest =
        one.send("HEAD", "/v2/team/web/manifests/1", &[], "").await.header("docker-content-digest").to_owned();
    two.send("DELETE", &format!("/v2/team/web/manifests/{manifest}"), &[], "").await.expect(202);
    one.get("/v2/team/web/manifests/1").await.expect_error(404, "MANIFEST_UNKNOWN");
    collect(&one, Duration::ZERO).await;
    let left = futures::TryStreamExt::try_collect::<Vec<_>>(moto.store().list(None)).await.unwrap();
    let left: Vec<_> = left.iter().map(|meta| meta.location.to_string()).collect();
    assert_eq!(left, ["settings/000000000000/us-east-1/team/web/_repository.json", "signing-key.json"]);
}

/// The most memory that this process ever had, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_blob_passes_in_constant_memory() {
    use http_body_util::{BodyExt, Empty, StreamBody};
    const COUNT: u8 = 160;
    let moto = Moto::start().await;
    let piece = |number: u8| bytes::Bytes::from(vec![number; 1 << 20]);
    let mut hasher = Hasher::new(Default::default());
    (0..COUNT).for_each(|number| hasher.update(&piece(number)));
    let digest = hasher.finish();
    let client = || hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    // Through the file before the bucket, and straight from the bucket.
    let (caching, bare) = (serve(moto.store(), 1 << 30).await, serve(moto.store(), 0).await);
    let before = peak();
    let upload = bare.send("POST", "/v2/big/blobs/uploads/", &[], "").await.header("location").to_owned();
    let frames =
        (0..COUNT).map(move |number| Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(piece(number))));
    let request = http::Request::put(format!("http://{}{upload}?digest={digest}", bare.address));
    let body = StreamBody::new(futures::stream::iter(frames));
    let answer = client().build_http().request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 201);
    for server in [&bare, &caching, &caching] {
        let request = http::Request::get(format!("http://{}/v2/big/blobs/{digest}", server.address));
        let answer = client().build_http().request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        let (mut body, mut hasher) = (answer.into_body(), Hasher::new(Default::default()));
        while let Some(frame) = body.frame().await {
            hasher.update(&frame.unwrap().into_data().unwrap());
        }
        assert_eq!(hasher.finish(), digest);
    }
    let more = peak() - before;
    // Four parts of 8 MiB on their way, and the client's pieces.
    assert!(more < 96, "{more} MiB more for {COUNT} MiB");
}
