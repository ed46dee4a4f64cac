//! The `syslog` driver: over the machine's own socket, UDP, TCP with and without TLS, or unix sockets.
//!
//! `options.rs` understands what a task definition says, `message.rs` makes messages. The protocol knows no answers: what the
//! kernel has taken counts as delivered.

mod message;
mod options;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use runtime::LogLine;
use tokio::net::{UdpSocket, UnixDatagram};

pub use options::SyslogError;
pub(crate) use options::{Address, Format, SyslogOptions};

use crate::dial::{self, Line};
use crate::limits::ANSWER_WAIT;
use crate::post::{Part, Post, Protocol, SendError};
use crate::subject::Subject;
use crate::tls::{self, TlsError};
use message::Envelope;

/// Where programs on this machine find it. Source: the package syslog of Go, which Docker's library follows.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

pub(crate) struct Syslog {
    address: Address,
    tls: Option<Arc<rustls::ClientConfig>>,
    envelope: Envelope,
    connection: Option<Connection>,
}

enum Connection {
    Stream(Line),
    Udp(UdpSocket),
    Unixgram(UnixDatagram),
}

impl Syslog {
    pub fn new(options: SyslogOptions, tag: String, subject: &Subject) -> Result<Syslog, TlsError> {
        let is_tls = matches!(options.address, Address::Tls(_));
        let tls = if is_tls { Some(tls::config(&options.tls)?) } else { None };
        let counted = is_tls && matches!(options.format, Format::Rfc5424 | Format::Rfc5424Micro);
        let envelope = Envelope {
            facility: options.facility,
            format: options.format,
            counted,
            hostname: subject.hostname.clone(),
            tag,
            pid: std::process::id(),
        };
        Ok(Syslog { address: options.address, tls, envelope, connection: None })
    }

    async fn dial(&self) -> Result<Connection, SendError> {
        Ok(match (&self.address, &self.tls) {
            (Address::Udp(address), _) => Connection::Udp(dial::udp(address).await?),
            (Address::Tls(address), Some(config)) => Connection::Stream(dial::tls(address, config.clone()).await?),
            (Address::Tcp(address) | Address::Tls(address), _) => {
                Connection::Stream(Box::new(dial::tcp(address).await?))
            }
            (Address::Unix(path), _) => Connection::Stream(Box::new(dial::unix(path).await?)),
            (Address::Unixgram(path), _) => Connection::Unixgram(unixgram(path)?),
            (Address::Local, _) => return local().await,
        })
    }
}

fn unixgram(path: &Path) -> Result<UnixDatagram, SendError> {
    let connect = || {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(socket)
    };
    connect().map_err(|error: std::io::Error| {
        SendError::Passing(format!("dial unixgram {}: connect: {}", path.display(), dial::words(&error)))
    })
}

async fn local() -> Result<Connection, SendError> {
    for path in LOCAL.map(PathBuf::from) {
        if let Ok(socket) = unixgram(&path) {
            return Ok(Connection::Unixgram(socket));
        }
        if let Ok(stream) = dial::unix(&path).await {
            return Ok(Connection::Stream(Box::new(stream)));
        }
    }
    Err(SendError::Passing("Unix syslog delivery error".to_owned()))
}

#[async_trait]
impl Protocol for Syslog {
    fn encode(&mut self, line: &LogLine, _: Option<&Part>, out: &mut Vec<u8>) {
        message::encode(&self.envelope, line, out);
    }

    async fn connect(&mut self) -> Result<(), SendError> {
        if let Some(Connection::Stream(line)) = &mut self.connection
            && dial::is_closed(line)
        {
            self.connection = None;
        }
        if self.connection.is_none() {
            self.connection = Some(self.dial().await?);
        }
        Ok(())
    }

    async fn send(&mut self, post: &Post) -> Result<(), SendError> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let sent = match connection {
            Connection::Stream(line) => dial::write(line, post.bytes(), ANSWER_WAIT).await,
            Connection::Udp(socket) => {
                for message in post.messages() {
                    // That nobody listens is told by the answer to an earlier message, and UDP promises nothing.
                    let _ = socket.send(message).await;
                }
                Ok(())
            }
            Connection::Unixgram(socket) => datagrams(socket, post).await,
        };
        if sent.is_err() {
            self.connection = None;
        }
        sent
    }
}

async fn datagrams(socket: &UnixDatagram, post: &Post) -> Result<(), SendError> {
    let sending = async {
        for message in post.messages() {
            socket.send(message).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(ANSWER_WAIT, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let error: std::io::Error = error;
            Err(SendError::Passing(format!("write unixgram: {}", dial::words(&error))))
        }
        Err(_) => Err(SendError::Passing("write unixgram: i/o timeout".to_owned())),
    }
}
