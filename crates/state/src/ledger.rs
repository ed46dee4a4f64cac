//! The seam between what decides and what keeps: read a snapshot, commit changes.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use thiserror::Error;

use crate::{Changes, Revision, Snapshot};

/// How often a decision is made again before its author is told that the world moves too fast. Every conflict means that
/// somebody else has made progress.
const ATTEMPTS_MAX: u32 = 64;
/// After so many conflicts a decision waits for its turn: of many that want the same instance each would else lose too often.
/// Whoever has the turn then competes only with those who have just come.
const ATTEMPTS_OUT_OF_TURN: u32 = 1;

#[derive(Debug, Error)]
pub enum CommitError {
    /// Something the changes relied on is different now. Decide again on a newer snapshot.
    #[error("another change came first")]
    Conflict,
    /// The store could not take the changes. Whether it has them is not known.
    #[error("the store cannot be written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where records are read and written.
///
/// `snapshot` may be called at any time and never waits. `commit` returns when the changes are durable *and* visible: every
/// snapshot taken afterwards has them. Commits may run side by side. After `Conflict` nothing was written; after
/// `Unavailable` all of it may have been, or nothing.
#[async_trait]
pub trait Ledger: Send + Sync {
    fn snapshot(&self) -> Arc<Snapshot>;
    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError>;

    /// Waits for a turn among those who keep being overtaken; it ends when the answer is dropped. A ledger without a queue
    /// has turns for everybody.
    async fn turn(&self) -> Box<dyn Send + Sync> {
        Box::new(())
    }
}

/// Decides on the newest snapshot and commits, again if something came in between. Deciding must have no effects of its own.
///
/// What is written down nowhere but relied on is looked at too: a replica that hears late may else take for absent what is there.
pub async fn transact<T, E: From<CommitError>>(
    ledger: &dyn Ledger,
    mut decide: impl FnMut(&Snapshot) -> Result<(Changes, T), E>,
) -> Result<T, E> {
    let mut attempt = 0;
    let mut _turn = None;
    loop {
        let (changes, output) = decide(&ledger.snapshot())?;
        if changes.is_empty() && changes.relies_on_nothing() {
            return Ok(output);
        }
        match ledger.commit(changes).await {
            Ok(_) => return Ok(output),
            Err(CommitError::Conflict) if attempt < ATTEMPTS_MAX => {
                attempt += 1;
                if attempt == ATTEMPTS_OUT_OF_TURN {
                    _turn = Some(ledger.turn().await);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A ledger in memory: what tests and the simulator use.
#[derive(Default)]
pub struct MemoryLedger {
    current: Mutex<Arc<Snapshot>>,
}

impl MemoryLedger {
    pub fn new(snapshot: Snapshot) -> Self {
        MemoryLedger { current: Mutex::new(Arc::new(snapshot)) }
    }

    /// Commits without waiting, since there is nothing to wait for.
    pub fn commit_now(&self, changes: &Changes) -> Result<Revision, CommitError> {
        let mut current = self.current.lock().expect("no holder of the lock panics");
        if changes.guards().any(|guard| current.revision_of(&guard.key) != guard.revision) {
            return Err(CommitError::Conflict);
        }
        let revision = Revision(current.revision.0 + 1);
        let next = current.with(changes, revision).map_err(|error| CommitError::Unavailable(Box::new(error)))?;
        *current = Arc::new(next);
        Ok(revision)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.lock().expect("no holder of the lock panics"))
    }

    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError> {
        self.commit_now(&changes)
    }
}
