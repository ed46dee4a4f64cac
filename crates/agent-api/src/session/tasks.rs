//! The tasks that an agent has to hear of: which were sent, which it has, and which to send again.
//!
//! An agent may have thousands of them outstanding, and a step is taken for every one that changes. So what is due is kept in order
//! and never looked for.

use std::collections::{BTreeMap, BTreeSet};

use stdx::Timestamp;

use super::RESEND_AFTER;
use crate::payload::{DesiredStatus, Task};

#[derive(Clone, Debug)]
struct Wanted {
    task: Task,
    state: State,
    /// It was acknowledged, on this connection or an earlier one.
    remembered: bool,
    /// It was reported RUNNING.
    running: bool,
}

/// Where it is on the current connection.
#[derive(Clone, Debug)]
enum State {
    Unsent,
    Sent { message_id: String, at: Timestamp },
    Acked,
}

impl Wanted {
    fn done(&self) -> bool {
        self.task.desired_status == DesiredStatus::Running && self.remembered && self.running
    }

    fn place(&self) -> Place {
        (self.task.desired_status != DesiredStatus::Stopped, self.task.arn.clone())
    }
}

/// Stops first: they free what the starts may need.
type Place = (bool, String);

#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    wanted: BTreeMap<String, Wanted>,
    unsent: BTreeSet<Place>,
    /// Sent and not acknowledged, the oldest first.
    waiting: BTreeSet<(Timestamp, String)>,
    /// Those that a message carries which was not acknowledged.
    messages: BTreeMap<String, Vec<String>>,
}

impl Tasks {
    /// The ARNs of those whose acknowledgement or whose effect is still missing.
    pub fn outstanding(&self) -> impl Iterator<Item = &str> {
        self.wanted.keys().map(String::as_str)
    }

    /// A stop replaces a start; a start never replaces a stop, because a task does not come back.
    pub fn want(&mut self, task: Task) {
        let known = self.wanted.get(&task.arn).map(|wanted| wanted.task.desired_status);
        match (known, task.desired_status) {
            (Some(DesiredStatus::Stopped), _) | (Some(DesiredStatus::Running), DesiredStatus::Running) => {}
            (None, _) | (Some(DesiredStatus::Running), DesiredStatus::Stopped) => {
                self.forget(&task.arn);
                let wanted = Wanted { state: State::Unsent, remembered: false, running: false, task };
                self.unsent.insert(wanted.place());
                self.wanted.insert(wanted.task.arn.clone(), wanted);
            }
        }
    }

    pub fn forget(&mut self, arn: &str) {
        let Some(wanted) = self.wanted.remove(arn) else { return };
        match &wanted.state {
            State::Unsent => drop(self.unsent.remove(&wanted.place())),
            State::Sent { message_id, at } => self.unwait(arn, message_id, *at),
            State::Acked => {}
        }
    }

    fn unwait(&mut self, arn: &str, message_id: &str, at: Timestamp) {
        self.waiting.remove(&(at, arn.to_owned()));
        if let Some(carried) = self.messages.get_mut(message_id) {
            carried.retain(|one| one != arn);
            if carried.is_empty() {
                self.messages.remove(message_id);
            }
        }
    }

    /// The agent's API reported it.
    pub fn running(&mut self, arn: &str) {
        let Some(wanted) = self.wanted.get_mut(arn) else { return };
        wanted.running = true;
        if wanted.done() {
            self.forget(arn);
        }
    }

    /// A new connection knows nothing of what an earlier one carried.
    pub fn reconnected(&mut self) {
        self.waiting.clear();
        self.messages.clear();
        for wanted in self.wanted.values_mut() {
            wanted.state = State::Unsent;
            self.unsent.insert(wanted.place());
        }
    }

    pub fn acked(&mut self, message_id: &str) {
        for arn in self.messages.remove(message_id).unwrap_or_default() {
            let Some(wanted) = self.wanted.get_mut(&arn) else { continue };
            if let State::Sent { at, .. } = std::mem::replace(&mut wanted.state, State::Acked) {
                self.waiting.remove(&(at, arn.clone()));
            }
            wanted.remembered = true;
            if wanted.done() {
                self.forget(&arn);
            }
        }
    }

    /// The ARNs of those to send now, in the order to send them.
    pub fn due(&self, now: Timestamp) -> Vec<String> {
        let late = self.waiting.iter().take_while(|(at, _)| now.since(*at) >= RESEND_AFTER);
        let late = late.filter_map(|(_, arn)| self.wanted.get(arn)).map(Wanted::place);
        let mut due: Vec<Place> = self.unsent.iter().cloned().chain(late).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, arn)| arn).collect()
    }

    /// It goes out with a message.
    pub fn send(&mut self, arn: &str, message_id: &str, now: Timestamp) -> Option<Task> {
        let wanted = self.wanted.get_mut(arn)?;
        let sent = State::Sent { message_id: message_id.to_owned(), at: now };
        let (place, task) = (wanted.place(), wanted.task.clone());
        match std::mem::replace(&mut wanted.state, sent) {
            State::Unsent => drop(self.unsent.remove(&place)),
            State::Sent { message_id, at } => self.unwait(arn, &message_id, at),
            State::Acked => {}
        }
        self.waiting.insert((now, arn.to_owned()));
        self.messages.entry(message_id.to_owned()).or_default().push(arn.to_owned());
        Some(task)
    }

    /// When the first of them has to be sent again.
    pub fn next_look(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(at, _)| *at + RESEND_AFTER)
    }
}
