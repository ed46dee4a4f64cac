//! Blobs far larger than the memory that they may take. `BERTH_TEST_BLOB_MIB=5120` for one of 5 GiB.

mod support;

use std::convert::Infallible;

use blobs::{Digest, Hasher};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::Server;

const MIB: usize = 1 << 20;

/// No two pieces are alike, so nothing is saved by finding them so.
fn piece(number: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(MIB);
    let line = format!("{number:015}\n");
    (0..MIB / line.len()).for_each(|_| bytes.extend_from_slice(line.as_bytes()));
    bytes.freeze()
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_pushed_and_pulled_in_constant_memory() {
    let count = std::env::var("BERTH_TEST_BLOB_MIB").map_or(256, |text| text.parse().unwrap());
    let server = Server::start().await;
    let mut hasher = Hasher::new(Default::default());
    (0..count).for_each(|number| hasher.update(&piece(number)));
    let digest: Digest = hasher.finish();
    let before = peak();

    let upload = server.send("POST", "/v2/big/blobs/uploads/", &[], "").await.header("location").to_owned();
    let frames = futures::stream::iter((0..count).map(|number| Ok::<_, Infallible>(Frame::data(piece(number)))));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::put(format!("http://{}{upload}?digest={digest}", server.address));
    let answer = client.request(request.body(StreamBody::new(frames)).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 201);
    let pushed = peak();

    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::get(format!("http://{}/v2/big/blobs/{digest}", server.address));
    let answer = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-length"], (count * MIB).to_string());
    let (mut body, mut hasher) = (answer.into_body(), Hasher::new(Default::default()));
    while let Some(frame) = body.frame().await {
        hasher.update(&frame.unwrap().into_data().unwrap());
    }
    assert_eq!(hasher.finish(), digest);
    let pulled = peak();
    println!("{count} MiB: {} MiB at most, {} before, {} after the push", pulled / MIB, before / MIB, pushed / MIB);
    // The client is in this process too, with its pieces of 1 MiB.
    assert!(pulled - before < 48 * MIB, "{} MiB more for {count} MiB", (pulled - before) / MIB);
}
