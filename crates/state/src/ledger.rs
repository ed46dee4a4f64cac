//! The seam between what decides and what keeps: read a snapshot, commit changes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use thiserror::Error;

use crate::{Changes, Revision, Snapshot};

/// How often a decision is made again before its author is told that the world moves too fast. Every conflict means that
/// somebody else has made progress.
const ATTEMPTS_MAX: u32 = 64;

/// A decision as others make it for its author: asked on a snapshot, it says what to change, and keeps what it found for the
/// author. It may be asked again, on another snapshot; what it kept last counts.
pub type Decision = Box<dyn FnMut(&Snapshot) -> Changes + Send>;

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

    /// Makes a decision together with those that others want at the same time: one after another on one snapshot, each on
    /// top of what the ones before it change, and then all of it in one commit. So they do not collide with each other, however much
    /// they want the same. Returns when the changes are durable and visible. A ledger without a queue lets everybody decide alone.
    async fn decide(&self, mut decision: Decision) -> Result<(), CommitError> {
        for _ in 0..ATTEMPTS_MAX {
            let changes = decision(&self.snapshot());
            if changes.is_empty() && changes.relies_on_nothing() {
                return Ok(());
            }
            match self.commit(changes).await {
                Err(CommitError::Conflict) => {}
                committed => return committed.map(drop),
            }
        }
        Err(CommitError::Conflict)
    }
}

/// Why a decision was not made, for those whose own errors cannot say why a commit failed.
#[derive(Debug)]
pub enum Refused<E> {
    By(E),
    Commit(CommitError),
}

impl<E> From<CommitError> for Refused<E> {
    fn from(error: CommitError) -> Self {
        Refused::Commit(error)
    }
}

/// Decides on the newest snapshot and commits, again if something came in between. Deciding must have no effects of its own.
///
/// What is written down nowhere but relied on is looked at too: a replica that hears late may else take for absent what is there.
///
/// For those who seldom collide; who often does had better [decide with the others](together).
pub async fn transact<T, E: From<CommitError>>(
    ledger: &dyn Ledger,
    mut decide: impl FnMut(&Snapshot) -> Result<(Changes, T), E>,
) -> Result<T, E> {
    for _ in 0..ATTEMPTS_MAX {
        let (changes, output) = decide(&ledger.snapshot())?;
        if changes.is_empty() && changes.relies_on_nothing() {
            return Ok(output);
        }
        match ledger.commit(changes).await {
            Ok(_) => return Ok(output),
            Err(CommitError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommitError::Conflict.into())
}

/// Decides with the others, as [`Ledger::decide`] says. A decision that is refused changes nothing.
pub async fn together<T, E>(
    ledger: &dyn Ledger,
    mut decide: impl FnMut(&Snapshot) -> Result<(Changes, T), E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<CommitError> + Send + 'static,
{
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let decision = move |snapshot: &Snapshot| {
        let (changes, found) = match decide(snapshot) {
            Ok((changes, output)) => (changes, Ok(output)),
            Err(error) => (Changes::new(), Err(error)),
        };
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        changes
    };
    ledger.decide(Box::new(decision)).await?;
    let found = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    found.expect("a ledger asks before it answers")
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
