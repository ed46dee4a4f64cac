//! All sessions, by instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent_api::ToAgent;
use state::Ledger;
use tokio::task::AbortHandle;
use wire::AuthMode;

use super::attendant::Look;
use super::connection::Connected;
use super::session::{self, Mailbox};
use super::telemetry::Telemetry;
use super::usage::UsageBoard;
use crate::clock::Clock;
use crate::exec::ExecBoard;
use crate::ledger::StoreLedger;
use crate::wake::{InstanceWake, Wakes};

pub struct Hub {
    pub ledger: Arc<StoreLedger>,
    pub clock: Arc<dyn Clock>,
    pub auth: AuthMode,
    /// Which run of the control plane this is, among all that share the records.
    pub replica: Arc<str>,
    pub usage: UsageBoard,
    pub telemetry: Telemetry,
    pub exec: ExecBoard,
    sessions: Mutex<BTreeMap<String, Serving>>,
}

/// A session, and the task that serves it.
struct Serving {
    mailbox: Arc<Mailbox>,
    serving: AbortHandle,
}

impl Hub {
    pub fn new(ledger: Arc<StoreLedger>, clock: Arc<dyn Clock>, auth: AuthMode) -> Arc<Hub> {
        let (usage, telemetry) = (UsageBoard::default(), Telemetry::default());
        let replica = crate::clock::seed().hex().into();
        let (exec, sessions) = (ExecBoard::default(), Mutex::default());
        Arc::new(Hub { ledger, clock, auth, replica, usage, telemetry, exec, sessions })
    }

    /// Brings every change to the sessions it concerns, for ever.
    pub async fn deliver(self: Arc<Self>, wakes: Arc<Wakes>) {
        loop {
            for wake in wakes.instances.take().await {
                match wake {
                    InstanceWake::Task { instance, task } => {
                        if let Some(mailbox) = self.find(&instance) {
                            mailbox.dirty.mark([Look::Task(task)]);
                        }
                    }
                    InstanceWake::Instance(instance) => {
                        if let Some(mailbox) = self.find(&instance) {
                            mailbox.dirty.mark([Look::Instance]);
                        }
                        if self.is_gone(&instance) {
                            // Its session ends by itself once it has looked.
                            self.lock().remove(&instance);
                            self.telemetry.close(&instance);
                        }
                    }
                    InstanceWake::Everything => {
                        let all: Vec<Arc<Mailbox>> = self.lock().values().map(|one| one.mailbox.clone()).collect();
                        all.iter().for_each(|mailbox| mailbox.dirty.mark([Look::Everything]));
                    }
                }
            }
        }
    }

    /// Hands a fresh connection to the instance's session, which drops an older one.
    pub fn connect(&self, instance: &str, connected: Connected) {
        let mut sessions = self.lock();
        let known = sessions.entry(instance.to_owned()).or_insert_with(|| {
            let mailbox = Arc::new(Mailbox::default());
            let ledger: Arc<dyn Ledger> = self.ledger.clone();
            let (clock, replica) = (self.clock.clone(), self.replica.clone());
            let session = session::run(ledger, clock, replica, instance.to_owned(), mailbox.clone());
            Serving { mailbox, serving: tokio::spawn(session).abort_handle() }
        });
        known.mailbox.connect(connected);
    }

    /// Says something to an agent that is connected; to one that is not, nothing is said.
    pub fn say(&self, instance: &str, message: ToAgent) {
        if let Some(mailbox) = self.find(instance) {
            mailbox.say(message);
        }
    }

    /// Ends every session and every connection.
    pub fn abandon(&self) {
        std::mem::take(&mut *self.lock()).into_values().for_each(|one| one.serving.abort());
        self.telemetry.abandon();
    }

    fn is_gone(&self, instance: &str) -> bool {
        let snapshot = self.ledger.snapshot();
        let known = snapshot.container_instances.get(instance);
        known.is_none_or(|instance| instance.status == model::ContainerInstanceStatus::Inactive)
    }

    fn find(&self, instance: &str) -> Option<Arc<Mailbox>> {
        self.lock().get(instance).map(|one| one.mailbox.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Serving>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
