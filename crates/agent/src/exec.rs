//! One session of ECS Exec: the loop between a data channel and a program. What is said and when is `ssm_session`'s.

mod program;
mod transcript;

use std::sync::Arc;
use std::time::Duration;

use agent_api::extras::ExecuteCommand;
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use ssm_session::contents::OpenDataChannel;
use ssm_session::limits::PAYLOAD_BYTES_MAX;
use ssm_session::{AgentAction, AgentEvent, AgentSession, Ended, SessionType, Stream};
use stdx::{Ids, Timestamp};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::clock;
use crate::registration::AGENT_VERSION;
use crate::seams::{ControlPlane, Execute, Run, Streams};
use crate::socket::Socket;
use crate::tasks::Tasks;
use program::{News, Program};
use transcript::Transcript;

/// Frames on their way to the socket. When half of them wait, nothing more is read from anywhere.
const OUTBOX_FRAMES: usize = 256;
/// How long the last frames may take to be taken.
const FLUSH_WITHIN: Duration = Duration::from_secs(30);
const NOT_RUNNING: &str = "The container is not running.";

/// `ws://host:port` of the control plane's endpoint, and the path that it named.
pub fn channel_url(endpoint: &str, path: &str) -> Option<String> {
    let rest = endpoint.strip_prefix("http://")?;
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty())?;
    path.starts_with('/').then(|| format!("ws://{authority}{path}"))
}

/// Until the program has ended, and that is said; or until the client has gone, and the program with it.
pub async fn serve(order: ExecuteCommand, url: &str, tasks: &Tasks, control: Arc<dyn ControlPlane>) {
    let session_id = order.session_id.clone();
    let socket = match Socket::connect(url, Vec::new()).await {
        Ok(socket) => socket.into_stream(),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            return tracing::warn!(session_id, error, "no data channel for a command");
        }
    };
    let (mut to_socket, mut from_socket) = socket.split();
    if to_socket.send(Message::text(opening(&order.token))).await.is_err() {
        return;
    }
    tracing::info!(session_id, task = order.task_arn, container = order.container, "a session begins");
    let (outbox, waiting) = mpsc::channel(OUTBOX_FRAMES);
    let writer = tokio::spawn(write(to_socket, waiting));
    let kind = match order.interactive {
        true => SessionType::InteractiveCommands,
        false => SessionType::NonInteractiveCommands,
    };
    let (session, hello) =
        AgentSession::new(&session_id, kind, Ids::from_seed(uuid::Uuid::new_v4().as_u128()), clock::steady());
    let transcript = Transcript::begin(&control, &order);
    let run = tasks.running(&order.task_arn, &order.container);
    let program = Program::new(tasks.node());
    let mut serving = Serving { order, run, session, program, transcript, outbox, closed: false };
    serving.perform(hello);
    if serving.run.is_none() {
        serving.step(AgentEvent::End(NOT_RUNNING));
    }
    while !serving.closed {
        if !serving.turn(&mut from_socket).await {
            break;
        }
    }
    let Serving { mut program, transcript, outbox, .. } = serving;
    drop(outbox);
    program.leave().await;
    if let Some(transcript) = transcript {
        transcript.finish().await;
    }
    let _ = timeout(FLUSH_WITHIN, writer).await;
    tracing::info!(session_id, "a session is over");
}

fn opening(token: &str) -> String {
    let open = OpenDataChannel {
        message_schema_version: "1.0".to_owned(),
        request_id: clock::new_id(),
        token_value: token.to_owned(),
        client_id: clock::new_id(),
        client_version: AGENT_VERSION.to_owned(),
    };
    serde_json::to_string(&open).unwrap_or_default()
}

/// So that whoever reads is never held up by who does not.
async fn write(mut socket: SplitSink<WebSocketStream<TcpStream>, Message>, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if socket.send(Message::binary(frame)).await.is_err() {
            return;
        }
    }
    let _ = socket.close().await;
}

struct Serving {
    order: ExecuteCommand,
    run: Option<Run>,
    session: AgentSession,
    program: Program,
    transcript: Option<Transcript>,
    outbox: mpsc::Sender<Vec<u8>>,
    closed: bool,
}

impl Serving {
    /// One thing that happens. False when there is nobody to talk to any more.
    async fn turn(&mut self, from_socket: &mut futures::stream::SplitStream<WebSocketStream<TcpStream>>) -> bool {
        let has_room =
            self.outbox.capacity() > OUTBOX_FRAMES / 2 && self.transcript.as_ref().is_none_or(Transcript::has_room);
        let wants_output = has_room && self.session.wants_output();
        let look = self.session.look_at();
        tokio::select! {
            biased;
            news = self.program.news(wants_output) => self.heard(news),
            // Whatever else it is, it is no frame; and the end of the connection comes of its own accord.
            message = from_socket.next(), if has_room => match message {
                Some(Ok(Message::Binary(bytes))) => self.step(AgentEvent::Frame(&bytes)),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
            },
            () = until(look) => self.step(AgentEvent::Tick),
            () = self.outbox.closed() => return false,
            () = room(&self.outbox, self.transcript.as_ref()), if !has_room => {}
        }
        true
    }

    fn heard(&mut self, news: News) {
        match news {
            News::Output(stream, bytes) => {
                if let Some(transcript) = &self.transcript {
                    transcript.note(&bytes);
                }
                self.step(AgentEvent::Output(stream, &bytes));
            }
            News::Consumed(bytes) => self.step(AgentEvent::Consumed(bytes)),
            News::Ended(ended) => self.step(AgentEvent::Ended(ended)),
        }
    }

    fn step(&mut self, event: AgentEvent<'_>) {
        let actions = self.session.step(event, clock::steady());
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<AgentAction>) {
        for action in actions {
            match action {
                // There was room for more than one turn can say.
                AgentAction::Send(frame) => drop(self.outbox.try_send(frame)),
                AgentAction::Begin(size) => {
                    let size = size.map(|size| (size.columns, size.rows));
                    let streams = if self.order.interactive { Streams::Terminal(size) } else { Streams::Pipes };
                    let execute = Execute { command: std::mem::take(&mut self.order.command), streams };
                    if let Some(run) = self.run.take() {
                        self.program.begin(run, execute);
                    }
                }
                AgentAction::Input(bytes) => {
                    // A terminal shows what is typed; of a pipe nothing else is left.
                    if let Some(transcript) = self.transcript.as_ref().filter(|_| !self.order.interactive) {
                        transcript.note(&bytes);
                    }
                    self.program.input(bytes);
                }
                AgentAction::EndInput => self.program.end_input(),
                AgentAction::Resize(size) => self.program.resize(size.columns, size.rows),
                AgentAction::HangUp => self.program.hang_up(),
                AgentAction::Close => self.closed = true,
            }
        }
    }
}

/// Resolves when more may be read.
async fn room(outbox: &mpsc::Sender<Vec<u8>>, transcript: Option<&Transcript>) {
    // An error is a writer that is gone, and then its end is noticed elsewhere.
    let _ = outbox.reserve_many(OUTBOX_FRAMES / 2 + 1).await;
    if let Some(transcript) = transcript {
        transcript.room().await;
    }
}

async fn until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::steady())).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_on_the_control_planes_host() {
        let url = |endpoint, path| channel_url(endpoint, path);
        assert_eq!(url("http://10.0.0.1:4566/acs/", "/v1/x?y").unwrap(), "ws://10.0.0.1:4566/v1/x?y");
        for (endpoint, path) in [("http://h/", "evil/"), ("h", "/v1"), ("http://", "/v1"), ("ftp://h/", "/v1")] {
            assert_eq!(url(endpoint, path), None, "{endpoint} {path}");
        }
        // No host but that one is reached.
        assert_eq!(url("http://h:1/acs/", "/@other/").unwrap(), "ws://h:1/@other/");
    }

    #[test]
    fn the_opening_is_what_the_plugin_says() {
        let said: serde_json::Value = serde_json::from_str(&opening("t")).unwrap();
        assert_eq!((&said["MessageSchemaVersion"], &said["TokenValue"]), (&"1.0".into(), &"t".into()));
        assert_eq!(said.as_object().unwrap().len(), 5, "{said}");
    }
}
