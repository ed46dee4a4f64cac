//! A server that is gone, fails, or breaks off.

use blobs::Digest;

use crate::moto::{Moto, noise, serve, store};
use crate::proxy::{Mode, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_outlives_a_bucket_that_does_not_answer() {
    let moto = Moto::start().await;
    let proxy = Proxy::to(moto.address).await;
    let server = serve(store(proxy.address), 1 << 30).await;
    let bytes = noise(20 << 20, 7);
    let digest = Digest::of(&bytes);
    let upload = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    server.send("PATCH", &upload, &[], bytes.clone()).await.expect(202);

    proxy.set(Mode::Down);
    let refused = server.send("PUT", &format!("{upload}?digest={digest}"), &[], "").await;
    refused.expect_error(503, "UNAVAILABLE");
    // All that was sent is still here, and nothing was promised.
    proxy.set(Mode::Pass);
    assert_eq!(server.get(&upload).await.expect(204).header("range"), format!("0-{}", bytes.len() - 1));
    server.get(&format!("/v2/web/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");

    // A few failures are nobody's business.
    proxy.set(Mode::Fails(3));
    server.send("PUT", &format!("{upload}?digest={digest}"), &[], "").await.expect(201);
    assert_eq!(proxy.mode(), Mode::Pass, "no request failed");
    assert_eq!(serve(moto.store(), 0).await.get(&format!("/v2/web/blobs/{digest}")).await.expect(200).body, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_goes_on_where_the_bucket_broke_off() {
    let moto = Moto::start().await;
    let bytes = noise(10 << 20, 9);
    let digest = serve(moto.store(), 0).await.push_blob("web", &bytes).await;
    let proxy = Proxy::to(moto.address).await;
    for cache_bytes_max in [0, 1 << 30] {
        let server = serve(store(proxy.address), cache_bytes_max).await;
        let path = format!("/v2/web/blobs/{digest}");
        // What is looked at first is known by then.
        server.send("HEAD", &path, &[], "").await.expect(200);
        let before = |mode| {
            proxy.set(mode);
            server.get(&path)
        };
        // Whichever answer it is that breaks: a listing, a look or the bytes.
        let answer = before(Mode::Cut { times: 2, after: 3 << 20 }).await;
        assert!(answer.expect(200).body == bytes, "the bytes are others");
        proxy.set(Mode::Pass);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bucket_damaged_is_served_to_nobody() {
    use object_store::ObjectStoreExt;
    let moto = Moto::start().await;
    let bytes = noise(100_000, 3);
    let digest = serve(moto.store(), 0).await.push_blob("web", &bytes).await;
    let mut wrong = bytes.clone();
    wrong[50_000] ^= 1;
    let name = object_store::path::Path::from(format!("blobs/sha256/{}", digest.hex()));
    moto.store().put(&name, wrong.into()).await.unwrap();
    for cache_bytes_max in [0, 1 << 30] {
        let server = serve(moto.store(), cache_bytes_max).await;
        let url = format!("http://{}/v2/web/blobs/{digest}", server.address);
        let got = tokio::process::Command::new("curl").args(["-s", &url]).output().await.expect("curl runs");
        assert!(!got.status.success(), "curl took it for whole");
        assert!(got.stdout.len() < bytes.len());
    }
}
