//! One instance's session: an actor that owns the connection and the pure `agent_api::session::Session`.

use std::sync::{Arc, Mutex, PoisonError};

use agent_api::FromAgent;
use agent_api::close::code;
use agent_api::session::{Action, Event, Session};
use model::{ContainerInstance, ContainerInstanceStatus};
use state::Ledger;
use stdx::Timestamp;
use tokio::sync::Notify;

use super::connection::{Connected, Connection};
use super::{desired, instance};
use crate::clock::Clock;
use crate::wake::Dirty;

/// What the rest of the control plane leaves for a session.
#[derive(Default)]
pub struct Mailbox {
    pub dirty: Dirty<Look>,
    /// The newest connection wins.
    fresh: Mutex<Option<Connected>>,
    arrived: Notify,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// By the name of its record.
    Task(String),
    Instance,
    Everything,
}

impl Mailbox {
    pub fn connect(&self, connected: Connected) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(connected);
        self.arrived.notify_one();
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
pub async fn run(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, name: String, mailbox: Arc<Mailbox>) {
    let time = clock.clone();
    let mut actor = Actor {
        ledger,
        clock,
        name,
        session: None,
        socket: None,
        endpoint: String::new(),
        look: None,
        deregistered: false,
    };
    loop {
        tokio::select! {
            // A fresh connection first: everything else is about an old one.
            biased;
            connected = mailbox.arrival() => actor.connected(connected).await,
            looks = mailbox.dirty.take() => {
                for look in looks {
                    actor.look(look).await;
                }
                if actor.deregistered {
                    return;
                }
            }
            incoming = next(&mut actor.socket) => actor.received(incoming).await,
            () = until(&*time, actor.look) => actor.step(Event::Tick).await,
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

/// The agent understands manifests.
const FULL_SYNC: &str = "ecs.capability.full-sync";

struct Actor {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    /// Of the instance's record.
    name: String,
    session: Option<Session>,
    socket: Option<Connection>,
    endpoint: String,
    look: Option<Timestamp>,
    deregistered: bool,
}

impl Actor {
    fn instance(&self) -> Option<Arc<ContainerInstance>> {
        let snapshot = self.ledger.snapshot();
        let known = snapshot.container_instances.get(&self.name);
        known.filter(|instance| instance.status != ContainerInstanceStatus::Inactive).cloned()
    }

    async fn connected(&mut self, connected: Connected) {
        let Some(instance) = self.instance() else { return };
        if let Some(old) = self.socket.replace(connected.socket) {
            // Not one of the codes that are followed by an immediate reconnect: two agents that share one identity, as copies of a
            // machine do, would push each other out without end.
            old.close(code::POLICY, "a newer connection of this instance");
        }
        self.endpoint = connected.endpoint;
        let start = || {
            let cluster = model::ClusterArn::new(&instance.scope, &instance.cluster).to_string();
            // Larger than any number that an earlier control plane used.
            Session::new(cluster, instance.arn().to_string(), self.clock.now().as_millis())
        };
        self.session.get_or_insert_with(start);
        let connection = uuid::Uuid::new_v4().to_string();
        self.step(Event::Connected { connection, send_credentials: connected.send_credentials }).await;
        self.everything(&instance).await;
        if instance.has_attribute(FULL_SYNC) {
            let snapshot = self.ledger.snapshot();
            // Last: a manifest counts what was delivered before it.
            self.step(Event::Manifest(desired::manifest(&snapshot, &instance))).await;
        }
        instance::connected(&*self.ledger, &self.name, &connected.version).await;
    }

    async fn everything(&mut self, instance: &ContainerInstance) {
        let snapshot = self.ledger.snapshot();
        // Not through one task after another: those that are delivered together travel together.
        let mut together = Vec::new();
        for event in desired::tasks(&snapshot, instance, &self.endpoint) {
            match event {
                Event::Deliver(tasks) => together.extend(tasks),
                other => self.step(other).await,
            }
        }
        self.step(Event::Deliver(together)).await;
    }

    async fn look(&mut self, look: Look) {
        match look {
            Look::Task(task) => {
                let event = desired::task(&self.ledger.snapshot(), &task, &self.endpoint);
                // A task that is not even a record any more was stopped long ago.
                if let Some(event) = event {
                    self.step(event).await;
                }
            }
            Look::Instance => {
                if self.instance().is_none() {
                    self.deregistered().await;
                }
            }
            Look::Everything => match self.instance() {
                Some(instance) => self.everything(&instance).await,
                None => self.deregistered().await,
            },
        }
    }

    /// A live agent learns it only by losing its connection, and by the refusal of the next one.
    async fn deregistered(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.close(code::NORMAL, "the container instance was deregistered");
        }
        (self.session, self.look, self.deregistered) = (None, None, true);
    }

    async fn received(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Message(message) => self.step(Event::Received(message)).await,
            Incoming::Noise => {}
            Incoming::Gone => {
                self.socket = None;
                self.step(Event::Disconnected).await;
                instance::disconnected(&*self.ledger, &self.name).await;
            }
        }
    }

    async fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let Some(session) = &mut self.session else { return };
            self.look = None;
            for action in session.step(event, self.clock.now()) {
                events.extend(self.act(action).await);
            }
        }
    }

    async fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Send(message) => {
                // A connection that fails says so when it is read next.
                if let Some(socket) = &mut self.socket {
                    socket.send(message.encode()).await;
                }
                None
            }
            Action::Close { code, reason } => {
                if let Some(socket) = self.socket.take() {
                    socket.close(code, reason);
                }
                instance::disconnected(&*self.ledger, &self.name).await;
                None
            }
            // Task roles come with IAM; until then no task has keys that could end.
            Action::RefreshCredentials { .. } => None,
            Action::VerifyStops { message_id, candidates } => {
                let instance = self.instance()?;
                let tasks = desired::confirmed(&self.ledger.snapshot(), &instance, candidates);
                Some(Event::ConfirmStops { message_id, tasks })
            }
            Action::LookAgain { at } => {
                self.look = Some(at);
                None
            }
        }
    }
}
