//! All sessions, by instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use state::Ledger;
use wire::AuthMode;

use super::connection::Connected;
use super::session::{self, Mailbox};
use super::usage::UsageBoard;
use crate::ledger::StoreLedger;
use crate::wake::{InstanceWake, Wakes};

pub struct Hub {
    pub ledger: Arc<StoreLedger>,
    pub auth: AuthMode,
    pub usage: UsageBoard,
    sessions: Mutex<BTreeMap<String, Arc<Mailbox>>>,
}

impl Hub {
    pub fn new(ledger: Arc<StoreLedger>, auth: AuthMode) -> Arc<Hub> {
        Arc::new(Hub { ledger, auth, usage: UsageBoard::default(), sessions: Mutex::default() })
    }

    /// Brings every change to the sessions it concerns, for ever.
    pub async fn deliver(self: Arc<Self>, wakes: Arc<Wakes>) {
        loop {
            for wake in wakes.instances.take().await {
                match wake {
                    InstanceWake::Task { instance, task } => {
                        if let Some(mailbox) = self.find(&instance) {
                            mailbox.dirty.mark([session::Look::Task(task)]);
                        }
                    }
                    InstanceWake::Instance(instance) => {
                        if let Some(mailbox) = self.find(&instance) {
                            mailbox.dirty.mark([session::Look::Instance]);
                        }
                    }
                    InstanceWake::Everything => {
                        let all: Vec<Arc<Mailbox>> = self.lock().values().cloned().collect();
                        all.iter().for_each(|mailbox| mailbox.dirty.mark([session::Look::Everything]));
                    }
                }
            }
        }
    }

    /// Hands a fresh connection to the instance's session, which drops an older one.
    pub fn connect(&self, instance: &str, connected: Connected) {
        let mut sessions = self.lock();
        let mailbox = sessions.entry(instance.to_owned()).or_insert_with(|| {
            let mailbox = Arc::new(Mailbox::default());
            let ledger: Arc<dyn Ledger> = self.ledger.clone();
            tokio::spawn(session::run(ledger, instance.to_owned(), mailbox.clone()));
            mailbox
        });
        mailbox.connect(connected);
    }

    fn find(&self, instance: &str) -> Option<Arc<Mailbox>> {
        self.lock().get(instance).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Mailbox>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
