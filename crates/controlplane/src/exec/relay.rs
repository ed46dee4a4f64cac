//! Two websockets, and what goes from one to the other. Each direction waits for its own reader, and for nobody else's.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures::{Sink, SinkExt, Stream, StreamExt};
use ssm_session::{Ended, Frame, MessageType, channel_closed};

use crate::clock::Clock;

/// How long a frame may take to be taken. Who is silent for so long is hung up by the agent.
const SEND_WITHIN: Duration = Duration::from_secs(20 * 60);
/// How long the other side has to finish a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

const LOST: &str = "The connection to the container instance was lost. The session has ended; the container goes on.";

/// Until either side is gone. A client whose agent is lost in the middle is told so.
pub async fn relay(session: &str, clock: &dyn Clock, client: WebSocket, agent: WebSocket) {
    let (mut to_client, mut from_client) = client.split();
    let (mut to_agent, mut from_agent) = agent.split();
    let mut over = false;
    let agent_left = tokio::select! {
        () = pump(&mut from_client, &mut to_agent, |_| ()) => false,
        () = pump(&mut from_agent, &mut to_client, |bytes| over |= is_last(bytes)) => true,
    };
    let to_agent = async {
        let _ = to_agent.send(close(close_code::NORMAL, "the client has gone")).await;
        drain(&mut from_agent).await;
    };
    let to_client = async {
        if agent_left && !over {
            let _ = to_client.send(last(session, clock, LOST)).await;
        }
        let _ = to_client.send(close(close_code::NORMAL, "the session is over")).await;
        drain(&mut from_client).await;
    };
    let _ = tokio::time::timeout(CLOSE_WITHIN, async { tokio::join!(to_agent, to_client) }).await;
}

/// Tells a client why nothing came of it.
pub async fn goodbye(session: &str, clock: &dyn Clock, mut client: WebSocket, sentence: &'static str) {
    let said = async {
        let _ = client.send(last(session, clock, sentence)).await;
        let _ = client.send(close(close_code::NORMAL, "the session is over")).await;
        drain(&mut client).await;
    };
    let _ = tokio::time::timeout(CLOSE_WITHIN, said).await;
}

pub async fn refuse(mut socket: WebSocket) {
    let said = async {
        let _ = socket.send(close(close_code::POLICY, "the token is not good")).await;
        drain(&mut socket).await;
    };
    let _ = tokio::time::timeout(CLOSE_WITHIN, said).await;
}

/// Resolves when a client that has nothing to say yet has gone.
pub async fn gone(client: &mut WebSocket) {
    while let Some(Ok(message)) = client.recv().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
    }
}

async fn pump<In, Out>(from: &mut In, to: &mut Out, mut look: impl FnMut(&[u8]))
where
    In: Stream<Item = Result<Message, axum::Error>> + Unpin,
    Out: Sink<Message> + Unpin,
{
    while let Some(Ok(message)) = from.next().await {
        match message {
            Message::Binary(bytes) => {
                look(&bytes);
                let sent = tokio::time::timeout(SEND_WITHIN, to.send(Message::Binary(bytes))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
            Message::Close(_) => return,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

async fn drain<In: Stream<Item = Result<Message, axum::Error>> + Unpin>(from: &mut In) {
    while let Some(Ok(_)) = from.next().await {}
}

fn is_last(bytes: &[u8]) -> bool {
    Frame::decode(bytes).is_ok_and(|frame| frame.message_type == MessageType::ChannelClosed)
}

fn last(session: &str, clock: &dyn Clock, sentence: &str) -> Message {
    let ended = Ended { message: sentence.to_owned(), exit_code: None };
    Message::Binary(channel_closed(session, &ended, *uuid::Uuid::new_v4().as_bytes(), clock.now()).into())
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}
