//! One open websocket of an agent, ACS or TCS.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use model::container_instance::VersionInfo;

/// What an upgrade leaves for the session.
pub struct Connected {
    pub socket: Connection,
    pub send_credentials: bool,
    pub version: VersionInfo,
    /// Where the agent reached us: `http://127.0.0.1:4566`.
    pub endpoint: String,
}

/// How long the other side has to finish a close. It is not waited for: what it sends until then is thrown away.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

pub struct Connection(WebSocket);

impl Connection {
    pub fn new(socket: WebSocket) -> Connection {
        Connection(socket)
    }

    /// The text of the next frame; nothing when the connection is gone. Pings are answered on the way. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Utf8Bytes> {
        loop {
            match self.0.recv().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                // Reading on sends the answer to a close, which the official agent waits for.
                Some(Ok(Message::Close(_))) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// False when the connection is gone.
    pub async fn send(&mut self, text: String) -> bool {
        self.0.send(Message::Text(text.into())).await.is_ok()
    }

    /// Says why, and waits aside until the other side has read it: a socket that is dropped while something unread lies in it takes its
    /// last words with it.
    pub fn close(mut self, code: u16, reason: &'static str) {
        tokio::spawn(async move {
            let frame = CloseFrame { code, reason: reason.into() };
            let ended = async {
                if self.0.send(Message::Close(Some(frame))).await.is_ok() {
                    while let Some(Ok(_)) = self.0.recv().await {}
                }
            };
            let _ = tokio::time::timeout(CLOSE_WITHIN, ended).await;
        });
    }
}
