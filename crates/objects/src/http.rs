//! The store's requests, through hyper and the TLS of the rest of Berth.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use tokio::time::{Instant, Sleep};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// From the first byte of a request to the head of its answer; a part of some megabytes is sent in between.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long an answer's body may say nothing.
const CHUNK_WITHIN: Duration = Duration::from_secs(30);
/// Servers close connections that rest for longer than this.
const REST_FOR: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        tcp.set_nodelay(true);
        let roots =
            HttpsConnectorBuilder::new().with_provider_and_native_roots(rustls::crypto::ring::default_provider());
        let roots = roots.map_err(|source| object_store::Error::Generic { store: "S3", source: Box::new(source) })?;
        let connector = roots.https_or_http().enable_http1().wrap_connector(tcp);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(REST_FOR);
        Ok(HttpClient::new(Service(builder.build(connector))))
    }
}

#[derive(Debug)]
struct Service(Client<HttpsConnector<TcpConnector>, HttpRequestBody>);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.0.request(request)).await;
        let answer = answer.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        let answer = answer.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { kind(&error) };
            HttpError::new(kind, error)
        })?;
        Ok(answer.map(|body| HttpResponseBody::new(Patient { body, late: Box::pin(tokio::time::sleep(CHUNK_WITHIN)) })))
    }
}

/// A body that breaks off when its sender says nothing for too long.
struct Patient {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.late.as_mut().reset(Instant::now() + CHUNK_WITHIN);
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| HttpError::new(kind(&error), error))));
        }
        ready!(this.late.as_mut().poll(context));
        let late = io::Error::from(io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What went wrong decides whether the store tries again.
fn kind(error: &(dyn Error + 'static)) -> HttpErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            if hyper.is_timeout() {
                return HttpErrorKind::Timeout;
            }
            if hyper.is_closed()
                || hyper.is_incomplete_message()
                || hyper.is_canceled()
                || hyper.is_body_write_aborted()
            {
                return HttpErrorKind::Request;
            }
        }
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut) => return HttpErrorKind::Timeout,
            Some(
                io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof,
            ) => return HttpErrorKind::Interrupted,
            _ => next = error.source(),
        }
    }
    HttpErrorKind::Unknown
}
