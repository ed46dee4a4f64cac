//! `berth exec`: a program in a container, with this terminal or in this pipe.
//!
//! It asks ExecuteCommand for a session, as the AWS CLI does, and is itself what `session-manager-plugin` is for that.

mod console;

use std::io;
use std::process::ExitCode;

use api_ecs::operations::ExecuteCommand;
use api_ecs::{ExecuteCommandRequest, ExecuteCommandResponse, Task};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use ssm_session::limits::FRAME_BYTES_MAX;
use ssm_session::{ClientAction, ClientEvent, ClientSession, Ended, Stream};
use stdx::Ids;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::target::{self, Target};
use super::{Endpoint, now};
use console::{Console, Heard};

#[derive(clap::Args)]
pub struct Args {
    /// A task by its id, the beginning of it or its ARN; or a service, of which a running task is taken.
    task: String,
    /// The container, where the task has several.
    #[arg(long, short, value_name = "NAME")]
    container: Option<String>,
    /// The cluster to look in.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// No terminal, though there is one here.
    #[arg(long)]
    no_terminal: bool,
    /// The program and its arguments, after `--`; else a shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What is started when nothing is named.
const SHELL: &str = "/bin/sh";
/// What a command ends with that could not be asked for, as with docker.
const NOT_ASKED: u8 = 125;

#[derive(Debug, Error)]
pub enum ExecError {
    #[error("{0} is a {1}; a command runs in a task: `berth ps` shows them")]
    NoTask(String, &'static str),
    #[error("service {0} has no running task: `berth explain {0}` says why")]
    NoneRuns(String),
    #[error("the word {0:?} cannot be sent: it has a zero byte")]
    Word(String),
    #[error("the answer names no session")]
    NoSession,
    #[error("{0} is not the URL of a plain websocket")]
    Url(String),
    #[error("failed to connect to {url}")]
    Connect { url: String, source: io::Error },
    #[error("failed to open the session at {url}")]
    Open { url: String, source: Box<tungstenite::Error> },
    #[error("the connection to Berth was lost; what was started has been hung up")]
    Lost,
    #[error("failed to use the terminal")]
    Terminal(#[source] io::Error),
}

/// Ends as the command ended.
pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<ExitCode> {
    match execute(endpoint, args).await {
        Ok(ended) => {
            if !ended.message.is_empty() {
                super::note(&ended.message);
            }
            Ok(ExitCode::from(ended.exit_code.map_or(1, |code| u8::try_from(code).unwrap_or(u8::MAX))))
        }
        Err(error) => {
            super::note(&super::endpoint::sentence(&error));
            Ok(ExitCode::from(NOT_ASKED))
        }
    }
}

async fn execute(endpoint: &Endpoint, args: Args) -> anyhow::Result<Ended> {
    let (cluster, task) = find(endpoint, &args).await?;
    let console = Console::new(args.no_terminal);
    let words = if args.command.is_empty() { vec![SHELL.to_owned()] } else { args.command };
    let command = shlex::try_join(words.iter().map(String::as_str));
    let command = command.map_err(|_| ExecError::Word(words.join(" ")))?;
    let request = ExecuteCommandRequest {
        cluster: Some(cluster),
        container: args.container,
        command: Some(command),
        interactive: Some(console.is_terminal()),
        task: Some(task.clone()),
    };
    let answer = endpoint.client_for(&task)?.call::<ExecuteCommand>(request).await?;
    let (url, token) = session(answer)?;
    let socket = connect(&url).await?;
    let ids = Ids::from_seed(uuid::Uuid::new_v4().as_u128());
    let (session, open) = ClientSession::new(env!("CARGO_PKG_VERSION"), &token, ids, now());
    let (mut to_socket, from_socket) = socket.split();
    to_socket.send(Message::text(open)).await.map_err(|_| ExecError::Lost)?;
    let console = console.open().map_err(ExecError::Terminal)?;
    talk(session, console, to_socket, from_socket).await
}

/// The cluster and the ARN of the task that was meant.
async fn find(endpoint: &Endpoint, args: &Args) -> anyhow::Result<(String, String)> {
    let (cluster, target) = target::find(endpoint, args.cluster.as_deref(), &args.task).await?;
    let name = cluster.name().to_owned();
    let arn = |task: Task| task.task_arn.unwrap_or_default();
    match target {
        Target::Task(task) => Ok((name, arn(*task))),
        Target::Service(service) => {
            let service = service.service_name.unwrap_or_default();
            let running = cluster.tasks(super::cluster::Which::Running, Some(&service)).await?;
            let running = running.tasks.unwrap_or_default().into_iter();
            let found = running.filter(|task| task.last_status.as_deref() == Some("RUNNING")).map(arn).min();
            Ok((name, found.ok_or(ExecError::NoneRuns(service))?))
        }
        Target::Instance(_) => Err(ExecError::NoTask(args.task.clone(), "container instance").into()),
        Target::Family(_) => Err(ExecError::NoTask(args.task.clone(), "task definition").into()),
    }
}

fn session(answer: ExecuteCommandResponse) -> Result<(String, String), ExecError> {
    let session = answer.session.ok_or(ExecError::NoSession)?;
    session.stream_url.zip(session.token_value).ok_or(ExecError::NoSession)
}

async fn connect(url: &str) -> Result<WebSocketStream<TcpStream>, ExecError> {
    let bad = || ExecError::Url(url.to_owned());
    let rest = url.strip_prefix("ws://").ok_or_else(bad)?;
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let has_port = authority.rsplit(']').next().unwrap_or(authority).contains(':');
    let host = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let stream = TcpStream::connect(host).await;
    let stream = stream.map_err(|source| ExecError::Connect { url: url.to_owned(), source })?;
    // A key must not wait for a timer of the kernel.
    let _ = stream.set_nodelay(true);
    let limits =
        WebSocketConfig::default().max_message_size(Some(FRAME_BYTES_MAX)).max_frame_size(Some(FRAME_BYTES_MAX));
    let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(limits)).await;
    match opened {
        Ok((socket, _)) => Ok(socket),
        Err(source) => Err(ExecError::Open { url: url.to_owned(), source: Box::new(source) }),
    }
}

type ToSocket = SplitSink<WebSocketStream<TcpStream>, Message>;
type FromSocket = SplitStream<WebSocketStream<TcpStream>>;

/// Until it is over.
async fn talk(
    mut session: ClientSession,
    mut console: Console,
    mut to_socket: ToSocket,
    mut from_socket: FromSocket,
) -> anyhow::Result<Ended> {
    loop {
        let look = session.look_at();
        let actions = tokio::select! {
            message = from_socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => session.step(ClientEvent::Frame(&bytes), now()),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(ExecError::Lost.into()),
            },
            heard = console.next(), if session.wants_input() => match heard {
                Heard::Bytes(bytes) => session.step(ClientEvent::Input(&bytes), now()),
                Heard::End => session.step(ClientEvent::EndInput, now()),
                Heard::Resized => match console.size() {
                    Some(size) => session.step(ClientEvent::Resize(size), now()),
                    None => continue,
                },
            },
            () = until(look) => session.step(ClientEvent::Tick, now()),
        };
        for action in actions {
            match action {
                ClientAction::Send(frame) => {
                    to_socket.send(Message::binary(frame)).await.map_err(|_| ExecError::Lost)?;
                }
                ClientAction::Ready => {
                    if let Some(size) = console.size() {
                        for action in session.step(ClientEvent::Resize(size), now()) {
                            if let ClientAction::Send(frame) = action {
                                to_socket.send(Message::binary(frame)).await.map_err(|_| ExecError::Lost)?;
                            }
                        }
                    }
                }
                ClientAction::Output(Stream::Out, bytes) => console.show(&bytes).map_err(ExecError::Terminal)?,
                ClientAction::Output(Stream::Err, bytes) => console.warn(&bytes).map_err(ExecError::Terminal)?,
                ClientAction::Closed(ended) => return Ok(ended),
                ClientAction::Lost => return Err(ExecError::Lost.into()),
            }
        }
    }
}

async fn until(at: Option<stdx::Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(now())).await,
        None => std::future::pending().await,
    }
}
