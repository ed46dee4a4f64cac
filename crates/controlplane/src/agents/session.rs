//! One instance's session: an actor that owns the connection and the pure `agent_api::session::Session`.

use std::sync::{Arc, Mutex, PoisonError};

use agent_api::close::code;
use agent_api::session::{Action, Event, Session};
use model::{ContainerInstance, ContainerInstanceStatus};
use state::Ledger;
use stdx::Timestamp;
use tokio::sync::Notify;

use super::connection::{Connected, Connection, Incoming};
use super::{desired, instance};
use crate::clock::now;
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

/// Serves an instance for as long as the control plane runs.
pub async fn run(ledger: Arc<dyn Ledger>, name: String, mailbox: Arc<Mailbox>) {
    let mut actor = Actor { ledger, name, session: None, socket: None, endpoint: String::new(), look: None };
    loop {
        tokio::select! {
            // A fresh connection first: everything else is about an old one.
            biased;
            connected = mailbox.arrival() => actor.connected(connected).await,
            looks = mailbox.dirty.take() => {
                for look in looks {
                    actor.look(look).await;
                }
            }
            incoming = next(&mut actor.socket) => actor.received(incoming).await,
            () = until(actor.look) => actor.step(Event::Tick).await,
        }
    }
}

async fn next(socket: &mut Option<Connection>) -> Incoming {
    match socket {
        Some(socket) => socket.next().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(now())).await,
        None => std::future::pending().await,
    }
}

struct Actor {
    ledger: Arc<dyn Ledger>,
    /// Of the instance's record.
    name: String,
    session: Option<Session>,
    socket: Option<Connection>,
    endpoint: String,
    look: Option<Timestamp>,
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
            old.close(code::NORMAL, "a newer connection of this instance").await;
        }
        self.endpoint = connected.endpoint;
        let start = || {
            let cluster = model::ClusterArn::new(&instance.scope, &instance.cluster).to_string();
            // Larger than any number that an earlier control plane used.
            Session::new(cluster, instance.arn().to_string(), now().as_millis())
        };
        self.session.get_or_insert_with(start);
        let connection = uuid::Uuid::new_v4().to_string();
        self.step(Event::Connected { connection, send_credentials: connected.send_credentials }).await;
        self.everything(&instance).await;
        let snapshot = self.ledger.snapshot();
        // Last: a manifest counts what was delivered before it.
        self.step(Event::Manifest(desired::manifest(&snapshot, &instance))).await;
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
            socket.close(code::NORMAL, "the container instance was deregistered").await;
        }
        (self.session, self.look) = (None, None);
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
            for action in session.step(event, now()) {
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
                    socket.close(code, reason).await;
                }
                instance::disconnected(&*self.ledger, &self.name).await;
                None
            }
            // Task roles come with IAM; until then no task has credentials.
            Action::SendCredentials => None,
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
