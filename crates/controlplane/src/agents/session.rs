//! One instance's session: an actor that owns the connection, around the pure [`Attendant`].

use std::sync::{Arc, Mutex, PoisonError};

use agent_api::close::code;
use agent_api::{FromAgent, ToAgent};
use state::Ledger;
use stdx::Timestamp;
use tokio::sync::Notify;

use super::attendant::{Arrival, Attendant, Effect, Look};
use super::connection::{Connected, Connection};
use super::{instance, prepull};
use crate::clock::Clock;
use crate::wake::Dirty;

/// What the rest of the control plane leaves for a session.
#[derive(Default)]
pub struct Mailbox {
    pub dirty: Dirty<Look>,
    /// The newest connection wins.
    fresh: Mutex<Option<Connected>>,
    arrived: Notify,
    /// What is for the agent alone, and no matter of the records.
    said: Mutex<Vec<ToAgent>>,
    spoke: Notify,
}

impl Mailbox {
    pub fn connect(&self, connected: Connected) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(connected);
        self.arrived.notify_one();
    }

    pub fn say(&self, message: ToAgent) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.spoke.notify_one();
    }

    async fn said(&self) -> Vec<ToAgent> {
        loop {
            let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
            if !said.is_empty() {
                return said;
            }
            self.spoke.notified().await;
        }
    }

    async fn arrival(&self) -> Connected {
        loop {
            if let Some(connected) = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return connected;
            }
            self.arrived.notified().await;
        }
    }
}

/// Serves an instance until it is deregistered.
pub async fn run(
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    replica: Arc<str>,
    name: String,
    mailbox: Arc<Mailbox>,
) {
    let time = clock.clone();
    let attendant = Attendant::new(name.clone());
    let mut actor = Actor { ledger, clock, replica, name, attendant, socket: None };
    loop {
        tokio::select! {
            // A fresh connection first: everything else is about an old one.
            biased;
            connected = mailbox.arrival() => actor.connected(connected).await,
            looks = mailbox.dirty.take() => {
                let effects = actor.attendant.looks(looks, &actor.ledger.snapshot(), actor.clock.now());
                actor.perform(effects).await;
                if actor.attendant.is_deregistered() {
                    return;
                }
            }
            said = mailbox.said() => {
                let effects = said.into_iter().map(|message| Effect::Send(Box::new(message))).collect();
                actor.perform(effects).await;
            }
            incoming = next(&mut actor.socket) => actor.received(incoming).await,
            () = until(&*time, actor.attendant.next()) => {
                let effects = actor.attendant.tick(&actor.ledger.snapshot(), actor.clock.now());
                actor.perform(effects).await;
            }
        }
    }
}

/// What has come over a connection.
enum Incoming {
    Message(FromAgent),
    /// A type we do not know, or no message at all: an agent may be newer than we are.
    Noise,
    Gone,
}

impl Incoming {
    fn read(text: &str) -> Incoming {
        match FromAgent::decode(text) {
            Ok(decoded) => decoded.known().map_or(Incoming::Noise, Incoming::Message),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a broken ACS message is skipped");
                Incoming::Noise
            }
        }
    }
}

async fn next(socket: &mut Option<Connection>) -> Incoming {
    match socket {
        Some(socket) => socket.next().await.map_or(Incoming::Gone, |text| Incoming::read(&text)),
        None => std::future::pending().await,
    }
}

async fn until(clock: &dyn Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.until(at).await,
        None => std::future::pending().await,
    }
}

struct Actor {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    replica: Arc<str>,
    /// Of the instance's record.
    name: String,
    attendant: Attendant,
    socket: Option<Connection>,
}

impl Actor {
    async fn connected(&mut self, connected: Connected) {
        let Connected { socket, send_credentials, version, endpoint } = connected;
        let connection = uuid::Uuid::new_v4().to_string();
        let arrival = Arrival { connection, send_credentials, version, endpoint };
        let Some(effects) = self.attendant.connected(arrival, &self.ledger.snapshot(), self.clock.now()) else {
            return;
        };
        if let Some(old) = self.socket.replace(socket) {
            // Not one of the codes that are followed by an immediate reconnect: two agents that share one identity, as copies of a
            // machine do, would push each other out without end.
            old.close(code::POLICY, "a newer connection of this instance");
        }
        self.perform(effects).await;
    }

    async fn received(&mut self, incoming: Incoming) {
        let (snapshot, now) = (self.ledger.snapshot(), self.clock.now());
        let effects = match incoming {
            Incoming::Message(message) => self.attendant.received(message, &snapshot, now),
            Incoming::Noise => return,
            Incoming::Gone => {
                self.socket = None;
                self.attendant.gone(&snapshot, now)
            }
        };
        self.perform(effects).await;
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(message) => {
                    // A connection that fails says so when it is read next.
                    if let Some(socket) = &mut self.socket {
                        socket.send(message.encode()).await;
                    }
                }
                Effect::Close { code, reason } => {
                    if let Some(socket) = self.socket.take() {
                        socket.close(code, reason);
                    }
                }
                Effect::RecordConnected(version) => {
                    // The time of the lease is compared with that of other machines.
                    let now = crate::clock::now();
                    let decide = |snapshot: &_| instance::connected(snapshot, &self.name, &version, &self.replica, now);
                    instance::record(&*self.ledger, &self.name, decide).await;
                }
                Effect::RecordPrepullFailure(failed) => {
                    let (now, id) = (crate::clock::now(), uuid::Uuid::new_v4().to_string());
                    let decide = |snapshot: &_| prepull::failed(snapshot, &self.name, &failed, now, &id);
                    instance::record(&*self.ledger, &self.name, decide).await;
                }
                Effect::RecordDisconnected => {
                    let decide = |snapshot: &_| instance::disconnected(snapshot, &self.name, &self.replica);
                    instance::record(&*self.ledger, &self.name, decide).await;
                }
            }
        }
    }
}
