//! What is known of a task's containers now, and who wants to hear of changes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::broadcast;

use crate::link::lock;
use crate::{ContainerId, ContainerState, ContainerStatus, Event};

/// A receiver that lags further than this looks at the status instead. Their room is taken for each task.
const EVENTS_KEPT: usize = 4;

pub struct Board {
    states: Mutex<BTreeMap<ContainerId, ContainerState>>,
    events: broadcast::Sender<Event>,
}

impl Board {
    pub fn new() -> Board {
        Board { states: Mutex::default(), events: broadcast::channel(EVENTS_KEPT).0 }
    }

    pub fn get(&self, id: &ContainerId) -> Option<ContainerState> {
        lock(&self.states).get(id).cloned()
    }

    pub fn list(&self) -> Vec<ContainerStatus> {
        lock(&self.states).iter().map(|(id, state)| ContainerStatus { id: id.clone(), state: state.clone() }).collect()
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Notes a state; says so only if it is new.
    pub fn set(&self, id: &ContainerId, state: ContainerState) {
        let mut states = lock(&self.states);
        let old = states.insert(id.clone(), state.clone());
        if old.as_ref() != Some(&state) {
            // Sent with the lock held, so that events come in the order of the states. Nobody listening is fine.
            let _ = self.events.send(Event::Container(ContainerStatus { id: id.clone(), state }));
        }
    }

    pub fn remove(&self, id: &ContainerId) {
        let mut states = lock(&self.states);
        if states.remove(id).is_some() {
            let _ = self.events.send(Event::Gone(id.clone()));
        }
    }

    /// A container that is starting or running, if there is one.
    pub fn any_alive(&self) -> Option<ContainerId> {
        lock(&self.states).iter().find(|(_, state)| state.is_alive()).map(|(id, _)| id.clone())
    }
}
