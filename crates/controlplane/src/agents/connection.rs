//! One open ACS websocket, seen from a session.

use agent_api::FromAgent;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use model::container_instance::VersionInfo;

/// What an upgrade leaves for the session.
pub struct Connected {
    pub socket: Connection,
    pub send_credentials: bool,
    pub version: VersionInfo,
    /// Where the agent reached us: `http://127.0.0.1:4566`.
    pub endpoint: String,
}

pub struct Connection(WebSocket);

pub enum Incoming {
    Message(FromAgent),
    /// A type we do not know, or no message at all: an agent may be newer than we are.
    Noise,
    Gone,
}

impl Connection {
    pub fn new(socket: WebSocket) -> Connection {
        Connection(socket)
    }

    /// Cancelling loses nothing.
    pub async fn next(&mut self) -> Incoming {
        loop {
            let text = match self.0.recv().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Incoming::Gone,
            };
            return match FromAgent::decode(&text) {
                Ok(decoded) => decoded.known().map_or(Incoming::Noise, Incoming::Message),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a broken ACS message is skipped");
                    Incoming::Noise
                }
            };
        }
    }

    /// False when the connection is gone.
    pub async fn send(&mut self, text: String) -> bool {
        self.0.send(Message::Text(text.into())).await.is_ok()
    }

    /// Says why, and drops it: the agent answers by reconnecting, and nobody waits for its close frame.
    pub async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = self.0.send(Message::Close(Some(frame))).await;
    }
}
