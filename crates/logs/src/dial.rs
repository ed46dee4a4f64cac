//! Connections to peers, whose failures are told in the words of Go's network library, which Docker's users know.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UdpSocket, UnixStream};
use tokio_rustls::TlsConnector;

use crate::limits::CONNECT_WAIT;
use crate::post::SendError;

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

pub(crate) type Line = Box<dyn Duplex>;

pub(crate) async fn tcp(address: &str) -> Result<TcpStream, SendError> {
    let stream = connected("tcp", address, TcpStream::connect(address)).await?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

pub(crate) async fn tls(address: &str, config: Arc<rustls::ClientConfig>) -> Result<Line, SendError> {
    let stream = tcp(address).await?;
    let host = host_of(address);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| SendError::Passing(format!("x509: certificate is not valid for any name: {host}")))?;
    let shaken = tokio::time::timeout(CONNECT_WAIT, TlsConnector::from(config).connect(name, stream)).await;
    match shaken {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(SendError::Passing(format!("tls: failed to connect to {address}: {error}"))),
        Err(_) => Err(SendError::Passing(format!("tls: handshake with {address} timed out"))),
    }
}

pub(crate) async fn unix(path: &Path) -> Result<UnixStream, SendError> {
    connected("unix", &path.display().to_string(), UnixStream::connect(path)).await
}

pub(crate) async fn udp(address: &str) -> Result<UdpSocket, SendError> {
    let connect = async {
        let peer = tokio::net::lookup_host(address).await?.next().ok_or(io::ErrorKind::NotFound)?;
        let local = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(peer).await?;
        Ok(socket)
    };
    connected("udp", address, connect).await
}

async fn connected<T>(
    network: &str,
    address: &str,
    connecting: impl Future<Output = io::Result<T>>,
) -> Result<T, SendError> {
    let failed = |reason: String| SendError::Passing(format!("dial {network} {address}: {reason}"));
    match tokio::time::timeout(CONNECT_WAIT, connecting).await {
        Err(_) => Err(failed("i/o timeout".to_owned())),
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_lookup(&error) => {
            Err(SendError::Passing(format!("dial {network}: lookup {}: no such host", host_of(address))))
        }
        Ok(Err(error)) => Err(failed(format!("connect: {}", words(&error)))),
    }
}

/// Names that mean nothing come as errors without a number of the system's.
fn is_lookup(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().contains("lookup")
}

/// The system's words in Go's lower case and without Rust's "(os error 2)".
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Whether the other side has hung up. What it says, which nobody asked for, is skipped.
pub(crate) fn is_closed(line: &mut Line) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut bytes = [0; 512];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *line).poll_read(&mut context, &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(_) => return true,
        }
    }
}

/// Writes everything, or fails within the time.
pub(crate) async fn write(line: &mut Line, bytes: &[u8], within: Duration) -> Result<(), SendError> {
    let writing = async {
        line.write_all(bytes).await?;
        line.flush().await
    };
    match tokio::time::timeout(within, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(SendError::Passing(format!("write: {}", words(&error)))),
        Err(_) => Err(SendError::Passing("write: i/o timeout".to_owned())),
    }
}

/// `host:port`, with a port of its own where none is given. In Go's words.
pub(crate) fn with_port(address: &str, default: u16) -> Result<String, String> {
    let port = match address.rsplit_once(':') {
        // Colons of an address in brackets, or of one without, which Go refuses.
        Some((host, port)) if !port.contains(']') => {
            if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
                return Err(format!("address {address}: too many colons in address"));
            }
            Some(port)
        }
        _ => None,
    };
    match port {
        None => Ok(format!("{address}:{default}")),
        Some("") => Ok(format!("{address}{default}")),
        Some(port) if port.parse::<u16>().is_ok() => Ok(address.to_owned()),
        Some(port) => Err(format!("invalid port {:?} after host", format!(":{port}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_ports() {
        for (given, expected) in [
            ("h", Ok("h:514")),
            ("h:", Ok("h:514")),
            ("h:1", Ok("h:1")),
            ("[::1]", Ok("[::1]:514")),
            ("[::1]:5", Ok("[::1]:5")),
            ("::1", Err("address ::1: too many colons in address")),
            ("h:x", Err("invalid port \":x\" after host")),
            ("h:70000", Err("invalid port \":70000\" after host")),
        ] {
            let found = with_port(given, 514);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{given}");
        }
        assert_eq!((host_of("[::1]:5"), host_of("h:5")), ("::1", "h"));
    }

    #[tokio::test]
    async fn failures_in_gos_words() {
        let told = |error: SendError| error.to_string();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert_eq!(
            told(tcp(&free).await.map(drop).unwrap_err()),
            format!("dial tcp {free}: connect: connection refused")
        );
        assert_eq!(
            told(unix(Path::new("/nonexistent/x")).await.map(drop).unwrap_err()),
            "dial unix /nonexistent/x: connect: no such file or directory"
        );
    }
}
