//! Clients that are slow, silent or many, against the server with short limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use wire::serve::{Limits, Served, serve};

const SHORT: Duration = Duration::from_millis(300);
/// Far longer than any limit here, and far shorter than those of a real server.
const PATIENCE: Duration = Duration::from_secs(20);
const BIG: usize = 64 << 20;

async fn start(limits: Limits) -> (Served, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/big", get(|| async { Body::from(vec![b'x'; BIG]) }))
        .route(
            "/echo",
            post(|body: Body| async {
                to_bytes(body, 1 << 20).await.map_err(|error| (StatusCode::REQUEST_TIMEOUT, error.to_string()))
            }),
        );
    (serve(listener, router, limits), address)
}

fn short() -> Limits {
    Limits { connections_max: 8, head_within: SHORT, body_pause_max: SHORT, take_within: SHORT }
}

/// Patient where a test is not about patience.
fn only(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// A blocking client, away from the threads that serve.
async fn client<T: Send + 'static>(address: SocketAddr, act: impl FnOnce(TcpStream) -> T + Send + 'static) -> T {
    let blocking = tokio::task::spawn_blocking(move || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        act(stream)
    });
    blocking.await.unwrap()
}

/// Everything until the server closes.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";

/// Asks once, and gives the status line.
fn ask(mut stream: TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
    rest(stream).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (_served, address) = start(only(|limits| limits.head_within = SHORT)).await;
    let began = Instant::now();
    assert_eq!(client(address, rest).await, "", "a silent connection is closed");
    let dribble = move |mut stream: TcpStream| {
        for byte in b"GET / HTTP/1.1\r\nhost: h\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).is_err() || began.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        began.elapsed()
    };
    assert!(client(address, dribble).await < PATIENCE, "a head that dribbles in is cut off");
    let idle = client(address, |mut stream| {
        stream.write_all(GET).unwrap();
        rest(stream)
    });
    assert!(idle.await.ends_with("hello"), "an idle connection is closed after its answer");
    assert_eq!(client(address, ask).await, "HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_slow_and_not_stop() {
    let (_served, address) = start(only(|limits| limits.body_pause_max = SHORT)).await;
    let post = |mut stream: TcpStream, pause: Duration| {
        stream.write_all(b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 8\r\nconnection: close\r\n\r\n").unwrap();
        for _ in 0..8 {
            std::thread::sleep(pause);
            if stream.write_all(b"x").is_err() {
                break;
            }
        }
        rest(stream)
    };
    let slow = client(address, move |stream| post(stream, SHORT / 6)).await;
    assert!(slow.ends_with("xxxxxxxx"), "{slow}");
    let stopped = client(address, move |stream| post(stream, SHORT * 4)).await;
    assert!(stopped.starts_with("HTTP/1.1 408 "), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_is_given_up() {
    let (served, address) = start(short()).await;
    let taken = client(address, |mut stream| {
        stream.write_all(b"GET /big HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        // The server's patience must end while nothing is read, and what it had sent by then is not all.
        std::thread::sleep(SHORT * 5);
        rest(stream).len()
    });
    let taken = taken.await;
    assert!(taken < BIG, "{taken} bytes of the answer were sent to somebody who did not take them");
    let whole = client(address, |mut stream| {
        stream.write_all(b"GET /big HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
        rest(stream).len()
    });
    assert!(whole.await > BIG, "who takes it gets it all");
    served.leave(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so() {
    let (_served, address) = start(only(|limits| limits.connections_max = 4)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(
            client(address, |mut stream| {
                stream.write_all(GET).unwrap();
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).unwrap();
                stream
            })
            .await,
        );
    }
    let refused = client(address, |mut stream| {
        stream.write_all(GET).unwrap();
        rest(stream)
    });
    let refused = refused.await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1"), "{refused}");
    drop(held.pop());
    let until = Instant::now() + PATIENCE;
    // The server hears of the end a moment later.
    while client(address, ask).await != "HTTP/1.1 200 OK" {
        assert!(Instant::now() < until, "a place that became free is not given to anybody");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_sent_ahead_are_answered_in_turn() {
    let (_served, address) = start(Limits::default()).await;
    let answers = client(address, |mut stream| {
        let mut all = GET.repeat(499);
        all.extend(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(&all).unwrap();
        rest(stream)
    });
    assert_eq!(answers.await.matches("HTTP/1.1 200 OK").count(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_an_end() {
    let (_served, address) = start(Limits::default()).await;
    for head in [format!("x: {}\r\n", "y".repeat(100 * 1024)), "x: y\r\n".repeat(200)] {
        let refused = client(address, move |mut stream| {
            // The server may answer and close before all of it is sent.
            let _ = stream.write_all(format!("GET / HTTP/1.1\r\nhost: h\r\n{head}\r\n").as_bytes());
            rest(stream)
        });
        let refused = refused.await;
        assert!(refused.starts_with("HTTP/1.1 431 ") || refused.is_empty(), "{refused}");
    }
    assert_eq!(client(address, ask).await, "HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_answers_what_it_was_asked() {
    let (served, address) = start(Limits::default()).await;
    let asked = client(address, |mut stream| {
        stream
            .write_all(b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
            .unwrap();
        let mut go_on = [0; 25];
        // Its handler is at work now.
        stream.read_exact(&mut go_on).unwrap();
        stream
    });
    let mut stream = asked.await;
    let left = tokio::spawn(served.leave(PATIENCE));
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "it still accepts");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = tokio::task::spawn_blocking(move || {
        stream.write_all(b"ok").unwrap();
        rest(stream)
    });
    assert!(answer.await.unwrap().ends_with("ok"));
    left.await.unwrap();
}
