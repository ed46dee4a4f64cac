//! One instance's session, and what the records want of it. Pure: the actor around it owns the socket, reads the snapshot and
//! does what the effects say.

use std::sync::Arc;

use agent_api::extras::PrepullFailed;
use agent_api::session::{Action, Event, Session};
use agent_api::{FromAgent, ToAgent};
use model::container_instance::VersionInfo;
use model::{ContainerInstance, ContainerInstanceStatus};
use state::Snapshot;
use stdx::Timestamp;

use super::desired;

/// The agent understands manifests.
const FULL_SYNC: &str = "ecs.capability.full-sync";

/// What has changed, or may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// By the name of its record.
    Task(String),
    Instance,
    Everything,
}

/// Who has connected, and how.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// A fresh id.
    pub connection: String,
    pub send_credentials: bool,
    pub version: VersionInfo,
    /// Where the agent reached us: `http://127.0.0.1:4566`.
    pub endpoint: String,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Send(Box<ToAgent>),
    Close { code: u16, reason: &'static str },
    RecordConnected(VersionInfo),
    RecordDisconnected,
    RecordPrepullFailure(PrepullFailed),
}

pub struct Attendant {
    /// Of the instance's record.
    name: String,
    session: Option<Session>,
    version: VersionInfo,
    endpoint: String,
    look: Option<Timestamp>,
    deregistered: bool,
}

impl Attendant {
    pub fn new(name: String) -> Attendant {
        let (version, endpoint) = (VersionInfo::default(), String::new());
        Attendant { name, session: None, version, endpoint, look: None, deregistered: false }
    }

    /// When to [`tick`](Attendant::tick).
    pub fn next(&self) -> Option<Timestamp> {
        self.look
    }

    /// There is nothing more to serve.
    pub fn is_deregistered(&self) -> bool {
        self.deregistered
    }

    /// Tasks whose acknowledgement or whose effect is still missing.
    pub fn outstanding(&self) -> impl Iterator<Item = &str> {
        self.session.iter().flat_map(Session::outstanding)
    }

    /// Nothing when the instance is not there any more; the connection is of no use then. It takes the place of an older one.
    pub fn connected(&mut self, arrival: Arrival, snapshot: &Snapshot, now: Timestamp) -> Option<Vec<Effect>> {
        let instance = self.instance(snapshot)?;
        (self.version, self.endpoint) = (arrival.version, arrival.endpoint);
        let start = || {
            let cluster = model::ClusterArn::new(&instance.scope, &instance.cluster).to_string();
            // Larger than any number that an earlier control plane used.
            Session::new(cluster, instance.arn().to_string(), now.as_millis())
        };
        self.session.get_or_insert_with(start);
        let Arrival { connection, send_credentials, .. } = arrival;
        let mut effects = self.step(Event::Connected { connection, send_credentials }, snapshot, now);
        effects.extend(self.everything(&instance, snapshot, now));
        if instance.has_attribute(FULL_SYNC) {
            // Last: a manifest counts what was delivered before it.
            effects.extend(self.step(Event::Manifest(desired::manifest(snapshot, &instance)), snapshot, now));
        }
        effects.push(Effect::RecordConnected(self.version.clone()));
        Some(effects)
    }

    /// What has changed together is delivered together.
    pub fn looks(&mut self, looks: impl IntoIterator<Item = Look>, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        let (mut events, mut others) = (Vec::new(), Vec::new());
        for look in looks {
            match look {
                // A task that is not even a record any more was stopped long ago.
                Look::Task(task) => events.extend(desired::task(snapshot, &task, &self.endpoint)),
                other => others.push(other),
            }
        }
        let mut effects = self.steps(events, snapshot, now);
        others.into_iter().for_each(|look| effects.extend(self.look(look, snapshot, now)));
        effects
    }

    pub fn look(&mut self, look: Look, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        match (look, self.instance(snapshot)) {
            (Look::Task(task), _) => {
                // A task that is not even a record any more was stopped long ago.
                let event = desired::task(snapshot, &task, &self.endpoint);
                event.map_or_else(Vec::new, |event| self.step(event, snapshot, now))
            }
            // Another replica has lost an earlier connection of this agent, or has just started and found none.
            (Look::Instance, Some(instance)) if !instance.agent_connected && self.is_connected() => {
                vec![Effect::RecordConnected(self.version.clone())]
            }
            (Look::Instance, Some(_)) => Vec::new(),
            (Look::Everything, Some(instance)) => self.everything(&instance, snapshot, now),
            (Look::Instance | Look::Everything, None) => self.deregistered(),
        }
    }

    pub fn received(&mut self, message: FromAgent, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        match message {
            FromAgent::PrepullFailed(failed) => vec![Effect::RecordPrepullFailure(failed)],
            message => self.step(Event::Received(message), snapshot, now),
        }
    }

    /// The connection has ended.
    pub fn gone(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        let mut effects = self.step(Event::Disconnected, snapshot, now);
        effects.push(Effect::RecordDisconnected);
        effects
    }

    pub fn tick(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        self.step(Event::Tick, snapshot, now)
    }

    fn is_connected(&self) -> bool {
        self.session.as_ref().is_some_and(Session::connected)
    }

    fn instance(&self, snapshot: &Snapshot) -> Option<Arc<ContainerInstance>> {
        let known = snapshot.container_instances.get(&self.name);
        known.filter(|instance| instance.status != ContainerInstanceStatus::Inactive).cloned()
    }

    fn everything(&mut self, instance: &ContainerInstance, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        self.steps(desired::tasks(snapshot, instance, &self.endpoint), snapshot, now)
    }

    /// Not through one task after another: those that are delivered together travel together.
    fn steps(&mut self, events: impl IntoIterator<Item = Event>, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        let (mut together, mut effects) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Deliver(tasks) => together.extend(tasks),
                other => effects.extend(self.step(other, snapshot, now)),
            }
        }
        if !together.is_empty() {
            effects.extend(self.step(Event::Deliver(together), snapshot, now));
        }
        effects
    }

    /// A live agent learns it only by losing its connection, and by the refusal of the next one.
    fn deregistered(&mut self) -> Vec<Effect> {
        (self.session, self.look, self.deregistered) = (None, None, true);
        vec![Effect::Close { code: agent_api::close::code::NORMAL, reason: "the container instance was deregistered" }]
    }

    fn step(&mut self, event: Event, snapshot: &Snapshot, now: Timestamp) -> Vec<Effect> {
        let (mut events, mut effects) = (vec![event], Vec::new());
        while let Some(event) = events.pop() {
            let Some(session) = &mut self.session else { break };
            self.look = None;
            for action in session.step(event, now) {
                match action {
                    Action::Send(message) => effects.push(Effect::Send(message)),
                    Action::Close { code, reason } => {
                        effects.extend([Effect::Close { code, reason }, Effect::RecordDisconnected]);
                    }
                    // Task roles come with IAM; until then no task has keys that could end.
                    Action::RefreshCredentials { .. } => {}
                    Action::VerifyStops { message_id, candidates } => {
                        let instance = self.instance(snapshot);
                        events.extend(instance.map(|instance| {
                            let tasks = desired::confirmed(snapshot, &instance, candidates);
                            Event::ConfirmStops { message_id, tasks }
                        }));
                    }
                    Action::LookAgain { at } => self.look = Some(at),
                }
            }
        }
        effects
    }
}
