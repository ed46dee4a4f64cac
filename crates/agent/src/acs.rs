//! The agent communication socket: work comes down, acknowledgements go up. What is said and when is decided in [`crate::session`].

use std::sync::{Arc, Mutex, PoisonError};

use agent_api::close::UpgradeRefusal;
use agent_api::extras::ExecuteCommand;
use agent_api::query::AcsQuery;
use agent_api::{Decoded, FromAgent, ToAgent};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::{self, jitter};
use crate::endpoints::{EndpointCache, socket_url};
use crate::exec;
use crate::prepull::Prepulls;
use crate::registration::{AGENT_HASH, AGENT_VERSION, ENGINE_VERSION};
use crate::seams::ControlPlane;
use crate::session::{Due, Effect, Ended, Session};
use crate::socket::{ConnectError, Incoming, Socket};
use crate::tasks::{Accepted, Tasks};

pub struct Acs {
    pub control: Arc<dyn ControlPlane>,
    pub endpoints: Arc<EndpointCache>,
    pub tasks: Arc<Tasks>,
    pub cluster: String,
    pub container_instance_arn: String,
    /// Told at each upgrade that succeeded.
    pub connected: tokio::sync::watch::Sender<bool>,
    pub prepulls: Prepulls,
    /// They outlive a connection, and not this agent.
    pub sessions: Mutex<JoinSet<()>>,
}

impl Acs {
    /// Connects, and connects again, for ever.
    pub async fn run(self) {
        let mut session = Session::default();
        loop {
            session.line.begins(clock::steady());
            let ended = self.converse(&mut session).await;
            self.connected.send_replace(false);
            let wait = session.line.ended(ended, clock::steady(), &mut jitter);
            tokio::time::sleep(wait).await;
        }
    }

    async fn converse(&self, session: &mut Session) -> Ended {
        let mut socket = match self.connect(session).await {
            Ok(socket) => socket,
            Err(Some(ConnectError::Refused(UpgradeRefusal::InactiveInstance(message)))) => {
                tracing::warn!(message, "this container instance was deregistered");
                return Ended::Inactive;
            }
            Err(error) => {
                if let Some(error) = error {
                    self.endpoints.doubt_after(&error).await;
                    tracing::warn!(error = &error as &dyn std::error::Error, "no ACS connection");
                }
                return Ended::Failed;
            }
        };
        session.opened(clock::steady(), &mut jitter);
        self.connected.send_replace(true);
        let (outbox, mut outgoing) = mpsc::unbounded_channel();
        loop {
            tokio::select! {
                incoming = socket.next() => match incoming {
                    Incoming::Closed(code) => return Ended::Closed(code),
                    Incoming::Text(text) => if self.received(&text, session, &outbox) {
                        session.line.heard(clock::steady(), &mut jitter);
                    },
                },
                Some(message) = outgoing.recv() => {
                    let message: FromAgent = message;
                    socket.send(message.encode()).await;
                }
                () = clock::until(session.line.next()) => match session.line.due(clock::steady()) {
                    Some(Due::Silent) => {
                        tracing::warn!("the control plane is silent on ACS");
                        return Ended::Silent;
                    }
                    Some(Due::Expired) => socket.close("connection expired").await,
                    None => {}
                },
            }
        }
    }

    async fn connect(&self, session: &Session) -> Result<Socket, Option<ConnectError>> {
        let endpoint =
            self.endpoints.get(&*self.control, &self.container_instance_arn).await.and_then(|found| found.acs);
        let Some(endpoint) = endpoint else { return Err(None) };
        let query = AcsQuery {
            agent_hash: AGENT_HASH.to_owned(),
            agent_version: AGENT_VERSION.to_owned(),
            cluster_arn: self.cluster.clone(),
            container_instance_arn: self.container_instance_arn.clone(),
            docker_version: format!("DockerVersion: {ENGINE_VERSION}"),
            protocol_version: 2,
            send_credentials: session.asks_for_credentials(),
            seq_num: 1,
        };
        let url = socket_url(&endpoint, &query.encode()).ok_or(ConnectError::Url(endpoint))?;
        let headers = self.control.sign(&url, "");
        Ok(Socket::connect(&url, headers).await?)
    }

    /// True when it was a message; unknown types and broken ones keep nothing alive.
    fn received(&self, text: &str, session: &mut Session, outbox: &mpsc::UnboundedSender<FromAgent>) -> bool {
        let message = match ToAgent::decode(text) {
            Ok(Decoded::Known(message)) => message,
            Ok(Decoded::Unknown { message_type }) => {
                tracing::debug!(message_type, "an unknown ACS message is skipped");
                return false;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a broken ACS message is dropped");
                return false;
            }
        };
        for effect in session.received(message, |manifest| self.tasks.strangers(manifest)) {
            self.act(effect, outbox);
        }
        true
    }

    fn act(&self, effect: Effect, outbox: &mpsc::UnboundedSender<FromAgent>) {
        match effect {
            Effect::Send(message) => drop(outbox.send(message)),
            Effect::Accept(tasks, answer) => {
                let (accepted, outbox) = (self.tasks.accept(tasks), outbox.clone());
                tokio::spawn(async move {
                    if accepted.await == Accepted::Durably {
                        failpoint::place("agent.accepted");
                        // Nobody listens when the connection is gone: the payload comes again, and is known then.
                        let _ = outbox.send(answer);
                    }
                });
            }
            Effect::Stop(task) => self.tasks.stop(&task),
            Effect::RefreshKeys(task, keys, answer) => {
                if self.tasks.refresh_keys(&task, *keys) {
                    let _ = outbox.send(answer);
                }
            }
            Effect::Execute(order) => self.execute(order),
            Effect::Prepull(order) => self.prepulls.order(order, outbox),
        }
    }

    fn execute(&self, order: ExecuteCommand) {
        let (endpoints, control) = (self.endpoints.clone(), self.control.clone());
        let (tasks, instance) = (self.tasks.clone(), self.container_instance_arn.clone());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        while sessions.try_join_next().is_some() {}
        sessions.spawn(async move {
            let endpoint = endpoints.get(&*control, &instance).await.and_then(|found| found.acs);
            let Some(url) = endpoint.and_then(|endpoint| exec::channel_url(&endpoint, &order.path)) else { return };
            exec::serve(order, &url, &tasks, control).await;
        });
    }
}
