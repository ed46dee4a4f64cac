//! Pushes that break off, at any byte, and go on.

mod support;

use std::time::{Duration, Instant};

use blobs::{Blobs, Digest};
use registry::Config;
use support::{Answer, Server, open};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const BLOB: &[u8] = b"what is pushed in spite of everything";

/// How many bytes have arrived, as far as `Range: 0-<last>` says it: none and one look alike.
fn arrived(answer: &Answer) -> usize {
    match answer.header("range").strip_prefix("0-").unwrap().parse().unwrap() {
        0 => 0,
        last => last + 1_usize,
    }
}

async fn offset(server: &Server, upload: &str) -> usize {
    arrived(server.get(upload).await.expect(204))
}

/// Continues as a client does: from where the server is, which may have moved when a broken request was still being read.
async fn finish(server: &Server, upload: &str) {
    let digest = Digest::of(BLOB);
    let mut next = offset(server, upload).await;
    loop {
        let range = format!("{next}-{}", BLOB.len() - 1);
        let headers: &[(&str, &str)] = if next == BLOB.len() { &[] } else { &[("content-range", &range)] };
        let answer = server.send("PUT", &format!("{upload}?digest={digest}"), headers, BLOB[next..].to_vec()).await;
        if answer.status == 201 {
            break;
        }
        let moved = arrived(answer.expect(416));
        next = if moved == next { 1 } else { moved };
    }
    assert_eq!(server.get(&format!("/v2/web/blobs/{digest}")).await.expect(200).body, BLOB);
    server.send("DELETE", &format!("/v2/web/blobs/{digest}"), &[], "").await.expect(202);
}

#[tokio::test]
async fn a_push_goes_on_wherever_it_broke_off() {
    let server = Server::start().await;
    let text = String::from_utf8(BLOB.to_vec()).unwrap();
    let whole = format!("content-length: {}\r\n\r\n{text}", BLOB.len());
    let (first, second) = text.split_at(10);
    let chunked =
        format!("transfer-encoding: chunked\r\n\r\na\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
    for rest in [whole, chunked] {
        let mut cut = 0;
        loop {
            let upload = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
            let request = format!("PATCH {upload} HTTP/1.1\r\nhost: here\r\n{rest}");
            let mut connection = TcpStream::connect(server.address).await.unwrap();
            connection.write_all(&request.as_bytes()[..cut]).await.unwrap();
            drop(connection);
            // Whether the server has seen all of that is not waited for: the later request is the one that counts.
            finish(&server, &upload).await;
            if cut == request.len() {
                break;
            }
            cut += 1;
        }
    }
}

#[tokio::test]
async fn a_half_open_connection_does_not_keep_an_upload_from_its_client() {
    let server = Server::start().await;
    let upload = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let half = format!("PATCH {upload} HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\nwhat is", BLOB.len());
    connection.write_all(half.as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while offset(&server, &upload).await != 7 {
        assert!(Instant::now() < deadline, "the first bytes never arrived");
    }
    // It stays open, and nothing more comes over it.
    let began = Instant::now();
    finish(&server, &upload).await;
    assert!(began.elapsed() < Duration::from_secs(5), "the client had to wait for its own earlier request");
    drop(connection);
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository_and_outlives_a_restart() {
    let server = Server::start().await;
    let upload = server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    server.send("PATCH", &upload, &[], BLOB[..7].to_vec()).await.expect(202);
    let elsewhere = upload.replace("/web/", "/other/");
    server.push_blob("other", b"x").await;
    for method in ["GET", "PATCH", "DELETE"] {
        server.send(method, &elsewhere, &[], "x").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let digest = Digest::of(BLOB);
    let put = server.send("PUT", &format!("{elsewhere}?digest={digest}"), &[], BLOB.to_vec()).await;
    put.expect_error(404, "BLOB_UPLOAD_UNKNOWN");

    let server = server.restart().await;
    assert_eq!(server.get(&upload).await.expect(204).header("range"), "0-6");
    finish(&server, &upload).await;
}

#[tokio::test]
async fn an_upload_that_nobody_continues_expires() {
    let server = Server::start().await;
    let start = async || server.send("POST", "/v2/web/blobs/uploads/", &[], "").await.header("location").to_owned();
    let (abandoned, busy) = (start().await, start().await);
    server.send("PATCH", &abandoned, &[], "some").await.expect(202);
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let half = format!("PATCH {busy} HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\nwhat is", BLOB.len());
    connection.write_all(half.as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while offset(&server, &busy).await != 7 {
        assert!(Instant::now() < deadline, "the first bytes never arrived");
    }
    assert_eq!(server.registry.collect(Duration::from_secs(3600)).unwrap().abandoned, 0);
    assert_eq!(server.registry.collect(Duration::ZERO).unwrap().abandoned, 1);
    server.get(&abandoned).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    connection.write_all(&BLOB[7..]).await.unwrap();
    while offset(&server, &busy).await != BLOB.len() {
        assert!(Instant::now() < deadline, "the rest never arrived");
    }
    finish(&server, &busy).await;
    let files = std::fs::read_dir(server.dir.path().join(support::BLOBS).join("uploads")).unwrap().count();
    assert_eq!(files, 0);
    // Opened again, it finds the same, and no mark of what is gone.
    let again = open(server.dir.path(), Config::default());
    assert_eq!(again.collect(Duration::ZERO).unwrap().abandoned, 0);
    Blobs::open(server.dir.path().join(support::BLOBS)).unwrap();
}
