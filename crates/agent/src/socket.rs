//! One websocket to the control plane: connect, refuse, read, write. ACS and TCS differ only in what they say.

use agent_api::close::{UpgradeRefusal, code};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

use crate::limits::{CONNECT_TIMEOUT, FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, WRITE_TIMEOUT};

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{0} is not the URL of a plain websocket; TLS is not available yet")]
    Url(String),
    #[error("failed to connect to {host}")]
    Connect {
        host: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the control plane did not answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    #[error("the websocket was refused: {}: {}", .0.exception(), .0.message())]
    Refused(UpgradeRefusal),
    #[error("the websocket handshake failed")]
    Handshake(#[source] Box<tokio_tungstenite::tungstenite::Error>),
}

pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// Its end, once it is known.
    closed: Option<u16>,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    /// With its code; 1006 when there was no close frame.
    Closed(u16),
}

impl Socket {
    pub async fn connect(url: &str, headers: Vec<(String, String)>) -> Result<Socket, ConnectError> {
        timeout(CONNECT_TIMEOUT, connect(url, headers)).await.map_err(|_| ConnectError::Timeout)?
    }

    /// For those who speak in bytes.
    pub fn into_stream(self) -> WebSocketStream<TcpStream> {
        self.stream
    }

    /// Pings are answered on the way, and are no news. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Incoming {
        loop {
            if let Some(code) = self.closed {
                // Our half of the closing handshake; whether it arrives makes no difference any more.
                let _ = timeout(WRITE_TIMEOUT, self.stream.flush()).await;
                return Incoming::Closed(code);
            }
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Incoming::Text(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    self.closed = Some(frame.map_or(code::NO_STATUS, |frame| u16::from(frame.code)));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => self.closed = Some(code::ABNORMAL),
            }
        }
    }

    /// When it cannot be sent, or nobody takes it, the connection is gone and `next` says so.
    pub async fn send(&mut self, text: String) {
        self.write(Message::text(text)).await;
    }

    pub async fn close(&mut self, reason: &'static str) {
        self.write(Message::Close(Some(CloseFrame { code: code::NORMAL.into(), reason: reason.into() }))).await;
    }

    async fn write(&mut self, message: Message) {
        if !matches!(timeout(WRITE_TIMEOUT, self.stream.send(message)).await, Ok(Ok(()))) {
            self.closed.get_or_insert(code::ABNORMAL);
        }
    }
}

async fn connect(url: &str, headers: Vec<(String, String)>) -> Result<Socket, ConnectError> {
    let bad_url = || ConnectError::Url(url.to_owned());
    let rest = url.strip_prefix("ws://").ok_or_else(bad_url)?;
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = if authority.rsplit(']').next().unwrap_or(authority).contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let stream =
        TcpStream::connect(&host).await.map_err(|source| ConnectError::Connect { host: host.clone(), source })?;
    // A payload must not wait for a timer of the kernel.
    let _ = stream.set_nodelay(true);
    let mut request = url.into_client_request().map_err(|_| bad_url())?;
    for (name, value) in headers {
        let name = name.parse::<tokio_tungstenite::tungstenite::http::HeaderName>().map_err(|_| bad_url())?;
        request.headers_mut().insert(name, value.parse().map_err(|_| bad_url())?);
    }
    let limits =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(FRAME_BYTES_MAX));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await {
        Ok((stream, _)) => Ok(Socket { stream, closed: None }),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(ConnectError::Refused(refusal(&answer))),
        Err(error) => Err(ConnectError::Handshake(Box::new(error))),
    }
}

fn refusal(answer: &tokio_tungstenite::tungstenite::http::Response<Option<Vec<u8>>>) -> UpgradeRefusal {
    let body = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    UpgradeRefusal::decode(&body).unwrap_or_else(|| UpgradeRefusal::Other {
        exception: format!("HTTP status {}", answer.status().as_u16()),
        message: body.chars().take(200).collect(),
    })
}
