//! An HTTP server that nobody can stop by being slow, many or silent.
//!
//! A connection has one request at a time, a bounded head, and deadlines: for the head of the next request, for each
//! part of a body, and for the client to take what is sent. Beyond [`Limits::connections_max`] a connection is told so
//! and closed. What a handler does with a body, and how long it may take, is its own affair.

mod body;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use http::{Extensions, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use self::body::Patient;
use self::stream::Steady;
pub use self::stream::prepare;
use crate::limits;

/// What a server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections_max: usize,
    /// For the head of a request, from the moment that the connection could have sent it.
    pub head_within: Duration,
    /// For the next bytes of a body.
    pub body_pause_max: Duration,
    /// For the client to take the next bytes of an answer.
    pub take_within: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: limits::CONNECTIONS_MAX,
            head_within: limits::HEAD_WITHIN,
            body_pause_max: limits::BODY_PAUSE_MAX,
            take_within: limits::TAKE_WITHIN,
        }
    }
}

/// A server that answers until it is told to leave, or is dropped.
pub struct Served {
    leave: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    places: Arc<Semaphore>,
    all: u32,
}

/// Answers on a bound socket.
pub fn serve(listener: TcpListener, router: Router, limits: Limits) -> Served {
    serve_from(listener, router, limits, |stream: &TcpStream, _: &mut Extensions| {
        if let Err(error) = prepare(stream) {
            tracing::debug!(%error, "a connection is gone before it began");
        }
    })
}

/// Answers whoever comes from a listener. `greet` sees each connection first, and may leave something for its requests.
pub fn serve_from<L, G>(listener: L, router: Router, limits: Limits, greet: G) -> Served
where
    L: Listener<Addr = SocketAddr>,
    G: Fn(&L::Io, &mut Extensions) + Send + 'static,
{
    let (leave, left) = watch::channel(false);
    let all = u32::try_from(limits.connections_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let places = Arc::new(Semaphore::new(all as usize));
    let accepting = tokio::spawn(accept(listener, router, limits, places.clone(), left, greet));
    Served { leave, accepting, places, all }
}

impl Served {
    /// Takes no new connections, and waits so long for the requests that are under way. What never ends by itself, such
    /// as a websocket, is not waited for.
    pub async fn leave(self, within: Duration) {
        self.leave.send_replace(true);
        // Once every place is free, every connection is gone.
        drop(tokio::time::timeout(within, self.places.acquire_many(self.all)).await);
        self.accepting.abort();
    }
}

async fn accept<L, G>(
    mut listener: L,
    router: Router,
    limits: Limits,
    places: Arc<Semaphore>,
    mut left: watch::Receiver<bool>,
    greet: G,
) where
    L: Listener<Addr = SocketAddr>,
    G: Fn(&L::Io, &mut Extensions) + Send + 'static,
{
    let refusals = Arc::new(Semaphore::new(limits::REFUSALS_AT_ONCE));
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut left) => return,
        };
        match places.clone().try_acquire_owned() {
            Ok(place) => {
                let mut left_by_greeter = Extensions::new();
                left_by_greeter.insert(ConnectInfo(peer));
                greet(&stream, &mut left_by_greeter);
                let connection = Connection { stream, peer, left: left.clone(), extensions: left_by_greeter };
                drop(tokio::spawn(connection.serve(router.clone(), limits, place)));
            }
            Err(_) => {
                tracing::warn!(%peer, max = limits.connections_max, "there are too many connections");
                // Without a place even for a refusal it is closed without a word.
                if let Ok(place) = refusals.clone().try_acquire_owned() {
                    drop(tokio::spawn(refuse(stream, place)));
                }
            }
        }
    }
}

/// Ends when the server is told to leave, or dropped.
async fn told(left: &mut watch::Receiver<bool>) {
    drop(left.wait_for(|left| *left).await);
}

struct Connection<S> {
    stream: S,
    peer: SocketAddr,
    left: watch::Receiver<bool>,
    extensions: Extensions,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection<S> {
    async fn serve(self, router: Router, limits: Limits, _place: OwnedSemaphorePermit) {
        let Connection { stream, peer, mut left, extensions } = self;
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().extend(extensions.clone());
            router.call(request.map(|body| Patient::new(body, limits.body_pause_max)))
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_within)
            .max_buf_size(limits::BUFFER_BYTES_MAX)
            .max_header_size(limits::HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Steady::new(stream, limits.take_within)), service)
            .with_upgrades();
        tokio::pin!(served);
        let ended = tokio::select! {
            ended = &mut served => ended,
            () = told(&mut left) => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection broke off");
        }
    }
}

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Says why, and reads what the client sends meanwhile: a socket that is closed with unread bytes takes the answer back.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, _place: OwnedSemaphorePermit) {
    let told = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        let mut buffer = [0; 1024];
        while stream.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    drop(tokio::time::timeout(limits::REFUSE_WITHIN, told).await);
}
