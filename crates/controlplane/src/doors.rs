//! TLS and plain HTTP on one port: the first byte of a connection says which it is.
//!
//! The official ECS agent calls the API over TLS on any port, but opens its websockets over TLS on port 443 alone: on another one it
//! puts the port into the server name that it asks for, which rustls takes for the error that it is. So whoever comes over TLS to
//! this machine itself on another port is pointed back to the same port without TLS.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Extension, Request};
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a connection may take to say its first byte and to agree on TLS.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// The most connections that are about to do so; further ones wait in the kernel.
const HANDSHAKES_MAX: usize = 512;
/// The first byte of every TLS connection: a handshake record. No request begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// The certificate that we show, with its key.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("failed to read the certificates in {path}")]
    Certificates { path: PathBuf, source: pem::Error },
    #[error("{path} has no certificate")]
    NoCertificate { path: PathBuf },
    #[error("failed to read the key in {path}")]
    Key { path: PathBuf, source: pem::Error },
    #[error("the certificate and the key cannot be used together")]
    Together(#[source] rustls::Error),
}

impl Tls {
    /// Reads PEM files: a certificate with the chain that signed it, and its key. TLS 1.2 with the official ECS agent wants an RSA
    /// certificate; TLS 1.3 takes any.
    pub fn read(certificates: &Path, key: &Path) -> Result<Tls, TlsError> {
        let unreadable = |source| TlsError::Certificates { path: certificates.to_owned(), source };
        let found = CertificateDer::pem_file_iter(certificates).map_err(unreadable)?;
        let chain = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: certificates.to_owned() });
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(TlsError::Together)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(Arc::new(config)))
    }
}

/// A listener that hands out connections which have begun to speak.
pub(crate) struct Doors {
    opened: mpsc::Receiver<(Door, SocketAddr)>,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Doors {
    pub fn open(listener: TcpListener, tls: Tls) -> io::Result<Doors> {
        let address = listener.local_addr()?;
        let (sender, opened) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(listener, TlsAcceptor::from(tls.0), sender)).abort_handle();
        Ok(Doors { opened, address, accepting })
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One slow client holds up no other.
async fn accept(mut listener: TcpListener, tls: TlsAcceptor, opened: mpsc::Sender<(Door, SocketAddr)>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let (stream, from) = Listener::accept(&mut listener).await;
        let (tls, opened) = (tls.clone(), opened.clone());
        tokio::spawn(async move {
            let door = tokio::time::timeout(HANDSHAKE_WITHIN, Door::open(stream, &tls)).await;
            drop(place);
            match door {
                Ok(Ok(door)) => drop(opened.send((door, from)).await),
                Ok(Err(error)) => tracing::debug!(%from, %error, "a connection did not come about"),
                Err(_) => tracing::debug!(%from, "a connection said nothing"),
            }
        });
    }
}

impl Listener for Doors {
    type Io = Door;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Door, SocketAddr) {
        match self.opened.recv().await {
            Some(opened) => opened,
            // Whoever accepts ends only with us.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

pub(crate) enum Door {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Door {
    async fn open(stream: TcpStream, tls: &TlsAcceptor) -> io::Result<Door> {
        wire::serve::prepare(&stream)?;
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match first[0] {
            TLS_HANDSHAKE => Ok(Door::Tls(Box::new(tls.accept(stream).await?))),
            _ => Ok(Door::Plain(stream)),
        }
    }
}

impl AsyncRead for Door {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Door::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Door::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Door::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Door::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// How a request came in.
#[derive(Clone, Copy)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Door {
    /// Leaves with a connection's requests how they came in.
    pub fn tell(&self, extensions: &mut Extensions) {
        extensions.insert(match self {
            Door::Plain(_) => Scheme::Http,
            Door::Tls(_) => Scheme::Https,
        });
    }
}

/// Leaves word for whoever writes answers that point back here, in the way of a proxy.
pub(crate) async fn tell_scheme(Extension(scheme): Extension<Scheme>, mut request: Request, next: Next) -> Response {
    if let Scheme::Https = scheme {
        let told = if stays_on_tls(request.headers()) { "https" } else { "http" };
        request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static(told));
    }
    next.run(request).await
}

fn stays_on_tls(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else { return true };
    let name = authority.host().trim_matches(['[', ']']);
    let is_here = name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    matches!(authority.port_u16(), None | Some(443)) || !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_pointed_away_from_tls() {
        for (host, stays) in [
            ("localhost:4566", false),
            ("127.0.0.1:4566", false),
            ("[::1]:4566", false),
            ("localhost", true),
            ("localhost:443", true),
            ("ecs.example.test:4566", true),
            ("10.0.0.1:4566", true),
            ("", true),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(stays_on_tls(&headers), stays, "{host}");
        }
    }
}
