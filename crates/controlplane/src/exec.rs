//! ECS Exec: a client and an agent meet here, and what either says goes to the other.
//!
//! Nothing of a session is on record. It is kept from ExecuteCommand to the client's coming, which must be soon, and ends with either
//! connection. The two ends speak the protocol of `ssm-session`; this side reads no more of it than who comes and whether it is over.

mod relay;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_api::ToAgent;
use agent_api::extras::{ExecuteCommand, SessionBucket, SessionLogs};
use axum::extract::ws::WebSocket;
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::response::Response;
use service_ecs::{ExecRequest, ExecSessions, TooManySessions};
use ssm_session::contents::OpenDataChannel;
use ssm_session::limits::FRAME_BYTES_MAX;
use stdx::Timestamp;
use tokio::sync::oneshot;

use crate::agents::Hub;

/// How long a token is good for: long enough for a client to come, as with Systems Manager.
const TOKEN_GOOD_FOR: Duration = Duration::from_secs(60);
/// How long a connection may take to say who it is.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How long an agent may take to come, once its client has.
const AGENT_WITHIN: Duration = Duration::from_secs(15);
/// The most sessions at once, those that wait for their client included.
const SESSIONS_MAX: usize = 1000;

const NO_AGENT: &str = "The agent of the container instance did not answer. Try again later.";

/// The sessions that wait, and those that are served.
#[derive(Default)]
pub struct ExecBoard(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    waiting: BTreeMap<String, Waiting>,
    served: usize,
}

/// One that somebody has yet to come for.
struct Waiting {
    expires: Timestamp,
    /// The record name of the container instance.
    instance: String,
    client: Option<Invitation>,
    agent: Option<(String, oneshot::Sender<WebSocket>)>,
}

struct Invitation {
    token: String,
    request: ExecRequest,
}

/// Who has come.
enum Guest {
    Client { instance: String, message: Box<ExecuteCommand>, agent: oneshot::Receiver<WebSocket> },
    Agent(oneshot::Sender<WebSocket>),
}

impl ExecBoard {
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a place.
    pub fn open(&self, request: ExecRequest, token: String, now: Timestamp) -> Result<(), TooManySessions> {
        let mut sessions = self.lock();
        sessions.waiting.retain(|_, waiting| waiting.expires > now);
        if sessions.waiting.len() + sessions.served >= SESSIONS_MAX {
            return Err(TooManySessions);
        }
        let (session, instance) = (request.session_id.clone(), request.instance.clone());
        let client = Some(Invitation { token, request });
        let waiting = Waiting { expires: now + TOKEN_GOOD_FOR, instance, client, agent: None };
        sessions.waiting.insert(session, waiting);
        Ok(())
    }

    /// Each token opens one connection. One that is wrong opens none, and spoils nothing.
    fn admit(&self, session: &str, token: &str, fresh_token: String, now: Timestamp) -> Option<Guest> {
        let mut sessions = self.lock();
        let waiting = sessions.waiting.get_mut(session).filter(|waiting| waiting.expires > now)?;
        if let Some(client) = waiting.client.take_if(|client| is_same(&client.token, token)) {
            let (place, agent) = oneshot::channel();
            waiting.agent = Some((fresh_token.clone(), place));
            waiting.expires = now + AGENT_WITHIN;
            let instance = waiting.instance.clone();
            let message = Box::new(message(client.request, session, fresh_token));
            sessions.served += 1;
            return Some(Guest::Client { instance, message, agent });
        }
        let (_, place) = waiting.agent.take_if(|(known, _)| is_same(known, token))?;
        sessions.waiting.remove(session);
        Some(Guest::Agent(place))
    }

    /// The client's part is over.
    fn close(&self, session: &str) {
        let mut sessions = self.lock();
        sessions.waiting.remove(session);
        sessions.served = sessions.served.saturating_sub(1);
    }
}

fn message(request: ExecRequest, session: &str, token: String) -> ExecuteCommand {
    ExecuteCommand {
        session_id: request.session_id,
        path: format!("/v1/data-channel/{session}?role=publish"),
        token,
        task_arn: request.task_arn,
        container: request.container,
        command: request.command,
        interactive: request.interactive,
        logs: request.logs.map(|logs| SessionLogs { group: logs.group, region: logs.region }),
        bucket: request.bucket.map(|bucket| SessionBucket {
            name: bucket.name,
            key_prefix: bucket.key_prefix,
            encrypted: bucket.is_encrypted,
            region: bucket.region,
        }),
    }
}

/// Takes as long for a token that is nearly right as for one that is not at all.
fn is_same(known: &str, given: &str) -> bool {
    let differs = known.bytes().zip(given.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    known.len() == given.len() && differs == 0
}

/// 244 bits of the system's randomness.
fn token() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

impl ExecSessions for Hub {
    fn open(&self, request: ExecRequest) -> Result<String, TooManySessions> {
        let token = token();
        self.exec.open(request, token.clone(), self.clock.now())?;
        Ok(token)
    }
}

/// `GET /v1/data-channel/{session}`: for clients, and for agents that were asked to come.
pub async fn data_channel(
    State(hub): State<Arc<Hub>>,
    Path(session): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    upgrade.on_upgrade(move |socket| serve(hub, session, socket))
}

async fn serve(hub: Arc<Hub>, session: String, mut socket: WebSocket) {
    let said = tokio::time::timeout(OPEN_WITHIN, opening(&mut socket)).await.ok().flatten();
    let guest = said.and_then(|open| hub.exec.admit(&session, &open.token_value, token(), hub.clock.now()));
    match guest {
        // Whoever waited may have left.
        Some(Guest::Agent(place)) => drop(place.send(socket)),
        Some(Guest::Client { instance, message, agent }) => {
            hub.say(&instance, ToAgent::ExecuteCommand(*message));
            let agent = tokio::select! {
                agent = tokio::time::timeout(AGENT_WITHIN, agent) => agent.ok().and_then(Result::ok),
                () = relay::gone(&mut socket) => None,
            };
            match agent {
                Some(agent) => relay::relay(&session, &*hub.clock, socket, agent).await,
                None => relay::goodbye(&session, &*hub.clock, socket, NO_AGENT).await,
            }
            hub.exec.close(&session);
        }
        None => {
            tracing::info!(session, "a data channel was refused: its token is not, or no longer, good");
            relay::refuse(socket).await;
        }
    }
}

/// The text message that a connection begins with.
async fn opening(socket: &mut WebSocket) -> Option<OpenDataChannel> {
    use axum::extract::ws::Message;

    loop {
        return match socket.recv().await?.ok()? {
            Message::Text(text) => serde_json::from_str(&text).ok(),
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Binary(_) | Message::Close(_) => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session: &str) -> ExecRequest {
        ExecRequest {
            session_id: session.into(),
            instance: "000000000000/us-east-1/default/i".into(),
            task_arn: "arn".into(),
            container: "web".into(),
            command: vec!["sh".into()],
            interactive: true,
            logs: None,
            bucket: None,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000) + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_once_and_not_for_long() {
        let board = ExecBoard::default();
        board.open(request("a"), "client".into(), at(0)).unwrap();
        board.open(request("b"), "other".into(), at(0)).unwrap();
        let admit = |session, token, now| board.admit(session, token, "agent".into(), at(now));
        for wrong in ["", "clien", "clienu", "client1", "other", "agent"] {
            assert!(admit("a", wrong, 1).is_none(), "{wrong}");
        }
        let Some(Guest::Client { instance, message, agent }) = admit("a", "client", 1) else { panic!("refused") };
        assert_eq!((&*instance, &*message.token), ("000000000000/us-east-1/default/i", "agent"));
        assert_eq!(message.path, "/v1/data-channel/a?role=publish");
        assert!(admit("a", "client", 1).is_none(), "twice");
        assert!(admit("b", "agent", 1).is_none(), "another session's");
        assert!(matches!(admit("a", "agent", 2), Some(Guest::Agent(_))));
        assert!(admit("a", "agent", 2).is_none(), "twice");
        drop(agent);
        assert!(admit("b", "other", 61).is_none(), "late");
        assert!(!format!("{message:?}").contains("agent"), "{message:?}");
    }

    #[test]
    fn there_is_an_end_of_sessions() {
        let board = ExecBoard::default();
        for number in 0..SESSIONS_MAX {
            board.open(request(&number.to_string()), "t".into(), at(0)).unwrap();
        }
        assert!(board.admit("0", "t", "agent".into(), at(1)).is_some());
        assert_eq!(board.open(request("more"), "t".into(), at(1)), Err(TooManySessions));
        board.open(request("more"), "t".into(), at(61)).unwrap();
        board.close("0");
        assert_eq!(board.lock().served, 0);
    }
}
