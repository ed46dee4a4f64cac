//! The OCI distribution protocol, request by request.

mod support;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use blobs::Digest;
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use registry::{Config, RepositoryKey, RepositorySettings, Scope, TagMutability};
use serde_json::json;
use support::{OCI_MANIFEST, Server, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn ping_says_which_protocol() {
    let server = Server::start().await;
    for path in ["/v2/", "/v2"] {
        let answer = server.get(path).await;
        assert_eq!(answer.expect(200).header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(answer.json(), json!({}));
    }
    // A login that nobody asked for does no harm.
    server.send("GET", "/v2/", &[("authorization", "Basic QVdTOnRva2Vu")], "").await.expect(200);
    server.send("DELETE", "/v2/", &[], "").await.expect_error(405, "UNSUPPORTED");
}

#[tokio::test]
async fn a_blob_is_pushed_in_one_request_and_read_in_parts() {
    let server = Server::start().await;
    let digest = server.push_blob("team/web", b"0123456789").await;
    let path = format!("/v2/team/web/blobs/{digest}");

    let head = server.send("HEAD", &path, &[], "").await;
    assert_eq!(head.expect(200).header("content-length"), "10");
    assert_eq!(head.header("docker-content-digest"), digest.to_string());

    assert_eq!(server.get(&path).await.expect(200).body, "0123456789");
    assert_eq!(server.get(&path.replace(':', "%3A")).await.expect(200).body, "0123456789");
    let part = server.send("GET", &path, &[("range", "bytes=2-5")], "").await;
    assert_eq!(part.expect(206).body, "2345");
    assert_eq!(part.header("content-range"), "bytes 2-5/10");
    let outside = server.send("GET", &path, &[("range", "bytes=10-")], "").await;
    assert_eq!(outside.expect(416).header("content-range"), "bytes */10");

    // Another repository does not have it, though the bytes are the same.
    server.push_blob("other", b"x").await;
    server.get(&format!("/v2/other/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    server.get(&format!("/v2/nowhere/blobs/{digest}")).await.expect_error(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_blob_is_pushed_in_chunks() {
    let server = Server::start().await;
    let start = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await;
    let upload = start.expect(202).header("location").to_owned();
    assert_eq!(start.header("range"), "0-0");

    let first = server.send("PATCH", &upload, &[("content-range", "0-2")], "abc").await;
    assert_eq!(first.expect(202).header("range"), "0-2");
    let gap = server.send("PATCH", &upload, &[("content-range", "5-6")], "xy").await;
    assert_eq!(gap.expect(416).header("range"), "0-2");
    server.send("PATCH", &upload, &[("content-range", "what")], "xy").await.expect_error(400, "BLOB_UPLOAD_INVALID");
    server.send("PATCH", &upload, &[], "def").await.expect(202);
    assert_eq!(server.get(&upload).await.expect(204).header("range"), "0-5");

    let digest = Digest::of(b"abcdefghi");
    let done = server.send("PUT", &format!("{upload}?digest={digest}"), &[("content-range", "6-8")], "ghi").await;
    assert_eq!(done.expect(201).header("location"), format!("/v2/web/blobs/{digest}"));
    assert_eq!(server.get(&format!("/v2/web/blobs/{digest}")).await.expect(200).body, "abcdefghi");
    server.get(&upload).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_body_without_a_length_is_streamed() {
    let server = Server::start().await;
    let upload = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    let chunk = Bytes::from(vec![9_u8; 64 * 1024]);
    let frames = futures::stream::iter((0..100).map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone()))));
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request =
        http::Request::patch(format!("http://{}{upload}", server.address)).body(StreamBody::new(frames)).unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 202);

    let digest = Digest::of(&vec![9; 6_553_600]);
    server.send("PUT", &format!("{upload}?digest={digest}"), &[], "").await.expect(201);
    let read = server.get(&format!("/v2/web/blobs/{digest}")).await;
    assert_eq!(Digest::of(&read.expect(200).body), digest);
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_an_upload_to_continue() {
    let server = Server::start().await;
    let upload = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    let mut connection = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let half = format!("PATCH {upload} HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\nhalf");
    connection.write_all(half.as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.get(&upload).await.expect(204).header("range") != "0-3" {
        assert!(Instant::now() < deadline, "the first half never arrived");
    }
    drop(connection);

    // Whether or not the server has noticed, the request that continues is the one that counts.
    let digest = Digest::of(b"halfwhole");
    let put = server.send("PUT", &format!("{upload}?digest={digest}"), &[("content-range", "4-8")], "whole").await;
    put.expect(201);
}

#[tokio::test]
async fn bad_blobs_are_refused_and_leave_nothing() {
    let server = Server::start().await;
    let other = Digest::of(b"other");
    server
        .send("POST", &format!("/v2/web/blobs/uploads/?digest={other}"), &[], "this")
        .await
        .expect_error(400, "DIGEST_INVALID");
    server.send("POST", "/v2/web/blobs/uploads/?digest=md5:1", &[], "this").await.expect_error(400, "DIGEST_INVALID");
    server.send("POST", "/v2/Web/blobs/uploads/", &[], "").await.expect_error(400, "NAME_INVALID");
    server.send("POST", "/v2/a/../b/blobs/uploads/", &[], "").await.expect_error(400, "NAME_INVALID");
    server.send("POST", "/v2/a/%2e%2e/b/blobs/uploads/", &[], "").await.expect_error(400, "NAME_INVALID");
    server.send("PUT", "/v2/web/blobs/uploads/nothing", &[], "").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let cancelled = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    server.send("DELETE", &cancelled, &[], "").await.expect(204);
    server.send("PATCH", &cancelled, &[], "x").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(server.registry.needed_blobs().unwrap().is_empty());
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let server = Server::start().await;
    let digest = server.push_blob("base", b"shared layer").await;
    let mounted = server.send("POST", &format!("/v2/app/blobs/uploads/?mount={digest}&from=base"), &[], "").await;
    assert_eq!(mounted.expect(201).header("docker-content-digest"), digest.to_string());
    assert_eq!(server.get(&format!("/v2/app/blobs/{digest}")).await.expect(200).body, "shared layer");
    // What the other repository does not have must be pushed.
    let missing = Digest::of(b"missing");
    server.send("POST", &format!("/v2/app/blobs/uploads/?mount={missing}&from=base"), &[], "").await.expect(202);
}

#[tokio::test]
async fn a_manifest_is_tagged_read_and_deleted() {
    let server = Server::start().await;
    let (digest, manifest) = server.push_image("web", "1", b"layer").await;
    server.put_manifest("web", "latest", &manifest).await.expect(201);

    for target in ["1", "latest", &digest.to_string()] {
        let answer = server.get(&format!("/v2/web/manifests/{target}")).await;
        assert_eq!(answer.expect(200).body, manifest);
        assert_eq!(answer.header("content-type"), OCI_MANIFEST);
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        let head = server.send("HEAD", &format!("/v2/web/manifests/{target}"), &[], "").await;
        assert_eq!(head.expect(200).header("content-length"), manifest.len().to_string());
    }
    server.send("DELETE", "/v2/web/manifests/1", &[], "").await.expect(202);
    server.get("/v2/web/manifests/1").await.expect_error(404, "MANIFEST_UNKNOWN");
    server.get("/v2/web/manifests/latest").await.expect(200);
    server.send("DELETE", &format!("/v2/web/manifests/{digest}"), &[], "").await.expect(202);
    server.get("/v2/web/manifests/latest").await.expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.get("/v2/web/tags/list").await.json(), json!({"name": "web", "tags": []}));
    let unknown = server.send("HEAD", "/v2/web/manifests/latest", &[], "").await;
    assert!(unknown.expect(404).body.is_empty());
    let message = &server.get("/v2/none/manifests/latest").await.json()["errors"][0]["message"];
    assert_eq!(message, "The repository with name 'none' does not exist in the registry with id '000000000000'");
}

#[tokio::test]
async fn bad_manifests_are_refused() {
    let server = Server::start().await;
    let config = server.push_blob("web", b"{}").await;
    let missing = Digest::of(b"never pushed");
    let descriptor = |digest: Digest| json!({"mediaType": "application/octet-stream", "digest": digest, "size": 2});
    let check = async |manifest: serde_json::Value, status: u16, code: &str| {
        server.put_manifest("web", "1", manifest.to_string().as_bytes()).await.expect_error(status, code);
    };
    check(
        json!({"schemaVersion": 2, "config": descriptor(config), "layers": [descriptor(missing)]}),
        400,
        "MANIFEST_BLOB_UNKNOWN",
    )
    .await;
    check(json!({"schemaVersion": 1}), 400, "MANIFEST_INVALID").await;
    check(json!({"schemaVersion": 2}), 400, "MANIFEST_INVALID").await;
    check(json!([]), 400, "MANIFEST_INVALID").await;
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    check(json!({"schemaVersion": 2, "mediaType": list, "config": descriptor(config)}), 400, "MANIFEST_INVALID").await;
    server.put_manifest("web", "1", b"{").await.expect_error(400, "MANIFEST_INVALID");
    server.put_manifest("web", "1", &vec![b' '; 5 << 20]).await.expect_error(413, "SIZE_INVALID");

    let good = json!({"schemaVersion": 2, "config": descriptor(config), "layers": []}).to_string();
    server.put_manifest("web", ".bad", good.as_bytes()).await.expect_error(400, "TAG_INVALID");
    server.put_manifest("web", &missing.to_string(), good.as_bytes()).await.expect_error(400, "DIGEST_INVALID");
    server
        .send("PUT", "/v2/web/manifests/1", &[("content-type", "text/plain")], good.clone())
        .await
        .expect_error(400, "MANIFEST_INVALID");
    server.put_manifest("web", "1", good.as_bytes()).await.expect(201);

    // Layers that lie elsewhere by licence are never pushed.
    let foreign =
        json!({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": missing, "size": 2});
    let windows = json!({"schemaVersion": 2, "config": descriptor(config), "layers": [foreign]}).to_string();
    server.put_manifest("web", "windows", windows.as_bytes()).await.expect(201);
}

#[tokio::test]
async fn an_index_needs_its_manifests() {
    let server = Server::start().await;
    let (child, bytes) = server.push_image("web", "amd64", b"layer").await;
    let index = |digest: Digest| {
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest, "size": bytes.len(),
                           "platform": {"os": "linux", "architecture": "amd64"}}],
        })
        .to_string()
    };
    let put = async |body: String| {
        let headers = [("content-type", "application/vnd.oci.image.index.v1+json")];
        server.send("PUT", "/v2/web/manifests/multi", &headers, body).await
    };
    put(index(Digest::of(b"missing"))).await.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    put(index(child)).await.expect(201);
    let answer = server.get("/v2/web/manifests/multi").await;
    assert_eq!(answer.expect(200).header("content-type"), "application/vnd.oci.image.index.v1+json");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = Server::start().await;
    let (_, manifest) = server.push_image("web", "a", b"layer").await;
    for tag in ["c", "b", "d"] {
        server.put_manifest("web", tag, &manifest).await.expect(201);
    }
    server.push_image("team/api", "1", b"layer").await;
    server.push_image("web/sub", "1", b"layer").await;

    let first = server.get("/v2/web/tags/list?n=2").await;
    assert_eq!(first.expect(200).json()["tags"], json!(["a", "b"]));
    assert_eq!(first.header("link"), "</v2/web/tags/list?n=2&last=b>; rel=\"next\"");
    let rest = server.get("/v2/web/tags/list?n=2&last=b").await;
    assert_eq!(rest.json()["tags"], json!(["c", "d"]));
    assert!(rest.headers.get("link").is_none());
    assert_eq!(server.get("/v2/web/tags/list?n=0").await.json()["tags"], json!([]));
    assert_eq!(server.get("/v2/_catalog").await.json(), json!({"repositories": ["team/api", "web", "web/sub"]}));
    assert_eq!(server.get("/v2/_catalog?last=team/api&n=1").await.json(), json!({"repositories": ["web"]}));
    server.get("/v2/none/tags/list").await.expect_error(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn referrers_are_found_by_subject() {
    let server = Server::start().await;
    let (subject, _) = server.push_image("web", "1", b"layer").await;
    let empty = server.push_blob("web", b"{}").await;
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.signature",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2}, "layers": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1}, "annotations": {"by": "me"},
    })
    .to_string();
    let digest = Digest::of(signature.as_bytes());
    let put = server.put_manifest("web", &digest.to_string(), signature.as_bytes()).await;
    assert_eq!(put.expect(201).header("oci-subject"), subject.to_string());

    let all = server.get(&format!("/v2/web/referrers/{subject}")).await.expect(200).json();
    assert_eq!(all["manifests"][0]["digest"], digest.to_string());
    assert_eq!(all["manifests"][0]["artifactType"], "application/vnd.example.signature");
    assert_eq!(all["manifests"][0]["annotations"]["by"], "me");
    let filtered = server.get(&format!("/v2/web/referrers/{subject}?artifactType=other")).await;
    assert_eq!(filtered.expect(200).json()["manifests"], json!([]));
    server.send("DELETE", &format!("/v2/web/manifests/{digest}"), &[], "").await.expect(202);
    assert_eq!(server.get(&format!("/v2/web/referrers/{subject}")).await.json()["manifests"], json!([]));
}

#[tokio::test]
async fn accounts_and_regions_are_apart() {
    let server = Server::start().await;
    server.push_image("web", "1", b"layer").await;
    let host = [("host", "123456789012.dkr.ecr.eu-west-1.amazonaws.com:4566")];
    server.send("GET", "/v2/web/manifests/1", &host, "").await.expect_error(404, "NAME_UNKNOWN");
    let same = [("host", "000000000000.dkr.ecr.us-east-1.amazonaws.com")];
    server.send("GET", "/v2/web/manifests/1", &same, "").await.expect(200);
    assert_eq!(server.send("GET", "/v2/_catalog", &host, "").await.json(), json!({"repositories": []}));
}

#[tokio::test]
async fn an_immutable_tag_stays() {
    let server = Server::start().await;
    let scope = Scope::new("000000000000", "us-east-1").unwrap();
    let key = RepositoryKey::new(&scope, "web".parse().unwrap());
    let settings = RepositorySettings { tag_mutability: TagMutability::Immutable, ..Default::default() };
    server.registry.create_repository(&key, settings).unwrap();
    let (_, first) = server.push_image("web", "1", b"one").await;
    server.put_manifest("web", "1", &first).await.expect(201);
    let (_, second) = server.push_image("web", "2", b"two").await;
    server.put_manifest("web", "1", &second).await.expect_error(400, "TAG_INVALID");
    assert_eq!(server.get("/v2/web/manifests/1").await.body, first);
}

#[tokio::test]
async fn without_create_on_push_a_repository_must_exist() {
    let server = Server::start_with(Config { create_on_push: false, ..Config::default() }).await;
    server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.expect_error(404, "NAME_UNKNOWN");
    server.get("/v2/web/tags/list").await.expect_error(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = Server::start().await;
    let (digest, manifest) = server.push_image("team/web", "1", b"layer").await;
    let again = open(server.dir.path(), Config::default());
    let key = RepositoryKey::new(&Scope::new("000000000000", "us-east-1").unwrap(), "team/web".parse().unwrap());
    let (found, record) = again.resolve(&key, &"1".parse().unwrap()).unwrap();
    assert_eq!(found, digest);
    assert_eq!(again.manifest_bytes(&found).unwrap(), manifest);
    assert_eq!((record.size, record.content_size), (manifest.len() as u64, 7));
    assert_eq!(again.needed_blobs().unwrap().len(), 3);

    assert!(again.delete_repository(&key).is_err(), "it still has an image");
    again.delete_repository_and_images(&key).unwrap();
    assert!(again.repository_names(&key.scope).unwrap().is_empty());
    assert!(again.needed_blobs().unwrap().is_empty());
}

#[tokio::test]
async fn only_so_many_blobs_are_sent_at_once() {
    let server = Server::start_with(Config { streams_max: 2, ..Config::default() }).await;
    // More than the sockets between us hold.
    let digest = server.push_blob("web", &vec![7; 16 << 20]).await;
    let path = format!("/v2/web/blobs/{digest}");
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        slow.push(stream);
    }
    let refused = server.get(&path).await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.expect_error(429, "TOOMANYREQUESTS");
    // A look costs nothing, and neither does a blob that the client has.
    server.send("HEAD", &path, &[], "").await.expect(200);
    server.send("GET", &path, &[("if-none-match", &format!("\"{digest}\""))], "").await.expect(304);
    // Whoever leaves makes room, and so does who has all.
    drop(slow.pop());
    for _ in 0..3 {
        server.get(&path).await.expect(200);
    }
}
