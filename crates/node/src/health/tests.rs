//! Probes against servers of this process, good and bad ones.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use ::http::{HeaderMap, Response};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const SOON: Duration = Duration::from_secs(20);

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn probe(ask: Ask, timeout: Duration) -> Result<(), String> {
    super::ask(&ask, timeout, async |port| TcpStream::connect((IpAddr::from(Ipv4Addr::LOCALHOST), port)).await).await
}

fn get(port: u16, path: &str) -> Ask {
    Ask::Http { port, path: path.to_owned() }
}

/// Says what it was asked, without the port, and what the probe makes of `answer`, of which it may not want all.
async fn answered(answer: impl Into<Vec<u8>>) -> (String, Result<(), String>) {
    let (listener, port) = listener().await;
    let answer = answer.into();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        String::from_utf8(asked).unwrap().replace(&port.to_string(), "PORT")
    });
    let result = probe(get(port, "/healthz?a=b"), SOON).await;
    (served.await.unwrap(), result.map_err(|said| said.replace(&port.to_string(), "PORT")))
}

#[tokio::test]
async fn the_status_of_a_get_decides() {
    let (asked, good) = answered("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(good, Ok(()));
    let agent = format!("user-agent: berth-probe/{}", env!("CARGO_PKG_VERSION"));
    let lines = ["GET /healthz?a=b HTTP/1.1", "host: 127.0.0.1:PORT", &agent, "accept: */*", "connection: close"];
    assert_eq!(asked, format!("{}\r\n\r\n", lines.join("\r\n")));
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Ok(())),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", Ok(())),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n", Ok(())),
        ("HTTP/1.1 399 Odd\r\n\r\n", Ok(())),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Ok(())),
        ("HTTP/1.1 400 Bad\r\n\r\n", Err("answered 400")),
        ("HTTP/1.1 503 Sick\r\ncontent-length: 5\r\n\r\nsick\n", Err("answered 503")),
        ("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", Err("answered 101")),
        ("SSH-2.0-OpenSSH\r\n", Err("failed: ")),
        ("", Err("failed: ")),
    ] {
        let (_, result) = answered(answer).await;
        match expected {
            Ok(()) => assert_eq!(result, Ok(()), "{answer}"),
            Err(said) => {
                let result = result.unwrap_err();
                assert!(result.starts_with(&format!("GET :PORT/healthz?a=b {said}")), "{answer}: {result}");
            }
        }
    }
}

#[tokio::test]
async fn of_an_endless_answer_little_is_read() {
    let endless_head = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(1 << 20));
    let (_, result) = answered(endless_head).await;
    assert!(result.unwrap_err().contains("failed: "));
    // The status has been said; what follows is cut, and so is a server that never ends it.
    let (_, result) = answered(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 24))).await;
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let (listener, port) = listener().await;
    let began = Instant::now();
    let said = probe(get(port, "/"), Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(said, format!("GET :{port}/ did not answer within 200ms"));
    let said = probe(Ask::Grpc { port, service: "shop".into() }, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(said, format!("gRPC :{port}/shop did not answer within 200ms"));
    assert!(began.elapsed() < SOON);
    assert_eq!(probe(Ask::Tcp { port }, SOON).await, Ok(()), "to listen is enough");
    drop(listener);
    let said = probe(Ask::Tcp { port }, SOON).await.unwrap_err();
    assert_eq!(said, format!("TCP :{port} found nobody who listens"));
}

/// A server that knows the service `shop`, whose health is `status`, and no other.
async fn grpc(service: &str, status: &'static [u8]) -> Result<(), String> {
    let (listener, port) = listener().await;
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            tokio::spawn(async move {
                let mut body = request.into_body();
                let mut asked = Vec::new();
                while let Some(Ok(chunk)) = body.data().await {
                    asked.extend_from_slice(&chunk);
                }
                let answer = Response::builder().header("content-type", "application/grpc");
                match asked.as_slice() {
                    b"\0\0\0\0\0" | b"\0\0\0\0\x06\x0a\x04shop" => {
                        let mut stream = respond.send_response(answer.body(()).unwrap(), false).unwrap();
                        stream.send_data(Bytes::from_static(status), false).unwrap();
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        stream.send_trailers(trailers).unwrap();
                    }
                    _ => {
                        let answer = answer.header("grpc-status", "5").header("grpc-message", "unknown service");
                        respond.send_response(answer.body(()).unwrap(), true).unwrap();
                    }
                }
            });
        }
    });
    let result = probe(Ask::Grpc { port, service: service.to_owned() }, SOON).await;
    served.await.unwrap();
    result.map_err(|said| said.replace(&port.to_string(), "PORT"))
}

#[tokio::test]
async fn grpc_health_is_understood() {
    for (service, status, expected) in [
        ("", &b"\0\0\0\0\x02\x08\x01"[..], Ok(())),
        ("shop", b"\0\0\0\0\x02\x08\x01", Ok(())),
        ("shop", b"\0\0\0\0\x02\x08\x02", Err("gRPC :PORT/shop answered NOT_SERVING")),
        ("", b"\0\0\0\0\0", Err("gRPC :PORT answered UNKNOWN")),
        ("", b"\0\0\0\0\x01", Err("gRPC :PORT answered something that is no health")),
        ("bank", b"", Err("gRPC :PORT/bank answered with the gRPC status 5: unknown service")),
    ] {
        assert_eq!(grpc(service, status).await, expected.map_err(str::to_owned), "{service} {status:?}");
    }
    // Who speaks HTTP/1 only.
    let (listener, port) = listener().await;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut asked = Vec::new();
        let _ = stream.read_to_end(&mut asked).await;
    });
    let said = probe(Ask::Grpc { port, service: String::new() }, SOON).await.unwrap_err();
    assert!(said.starts_with(&format!("gRPC :{port} failed: ")), "{said}");
    served.await.unwrap();
}

#[test]
fn a_health_message_is_read() {
    for (bytes, expected) in [
        (&b"\0\0\0\0\0"[..], Some(0)),
        (b"\0\0\0\0\x02\x08\x01", Some(1)),
        // Fields that a later version may bring: a number, eight bytes, a text, four bytes.
        (b"\0\0\0\0\x15\x10\x96\x01\x19........\x22\x02ab\x2d....\x08", None),
        (b"\0\0\0\0\x17\x10\x96\x01\x19........\x22\x02ab\x2d....\x08\x03", Some(3)),
        (b"\x01\0\0\0\x02\x08\x01", None),
        (b"\0\0\0\0\x03\x08\x01", None),
        (b"\0\0\0\0\x02\x08\x81", None),
        (b"\0\0\0\0\x02\x0b\x01", None),
        (b"\0\0\0\0\x02\x12\x7f", None),
        (b"\0\0\0", None),
        (b"", None),
    ] {
        assert_eq!(grpc::serving_status(bytes), expected, "{bytes:?}");
    }
    let endless = [&b"\0\0\0\0\x0c\x08"[..], &[0xff; 11]].concat();
    assert_eq!(grpc::serving_status(&endless), None);
}
