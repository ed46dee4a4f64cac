//! The snapshot that everybody reads, kept up to date from the store.

mod decide;
mod follow;
mod load;
mod own;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use state::{Changes, CommitError, Decision, Ledger, Op, Revision, Snapshot};
use store::{Engine, Expect, RawChanges};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::decide::Decisions;
use self::follow::Follower;
pub use self::load::LoadError;
use self::own::{Own, Written};
use crate::wake::Wakes;

/// How long a commit that collided waits for the snapshot to show with what.
const MOVED_WITHIN: Duration = Duration::from_secs(1);

/// A ledger over any store engine. A commit returns when it is durable and when every later snapshot has it.
pub struct StoreLedger {
    records: Arc<Records>,
    decisions: Decisions,
    follower: AbortHandle,
}

/// Where all commits go through.
struct Records {
    engine: Arc<dyn Engine>,
    current: Arc<ArcSwap<Snapshot>>,
    seen: watch::Receiver<Revision>,
    own: Arc<Own>,
}

impl StoreLedger {
    /// Reads everything, and follows the store from there. Everybody is woken once.
    pub(crate) async fn open(engine: Arc<dyn Engine>, wakes: Arc<Wakes>) -> Result<Arc<StoreLedger>, LoadError> {
        let snapshot = load::load(&*engine).await?;
        let watch = engine.watch(store::Revision(snapshot.revision.0));
        let (announce, seen) = watch::channel(snapshot.revision);
        let current = Arc::new(ArcSwap::from_pointee(snapshot.clone()));
        wakes.everything();
        let own = Arc::new(Own::default());
        let follower =
            Follower { engine: engine.clone(), snapshot, current: current.clone(), announce, wakes, own: own.clone() };
        let follower = tokio::spawn(follower.run(watch)).abort_handle();
        let records = Arc::new(Records { engine, current, seen, own });
        let decisions = Decisions::start(records.clone());
        Ok(Arc::new(StoreLedger { records, decisions, follower }))
    }

    /// Waits until the newest snapshot is so; for ever, when the store is closed before.
    pub(crate) async fn until(&self, so: impl Fn(&Snapshot) -> bool) {
        self.records.until(so).await;
    }
}

impl Drop for StoreLedger {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[async_trait]
impl Ledger for StoreLedger {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.records.snapshot()
    }

    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError> {
        self.records.commit(changes).await
    }

    async fn decide(&self, decision: Decision) -> Result<(), CommitError> {
        self.decisions.decide(decision).await
    }
}

impl Records {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError> {
        let guards: Vec<state::Guard> = changes.guards().collect();
        let (raw, written) = raw(changes, &guards);
        let _remembered = self.own.remember(written);
        let revision = match self.engine.commit(raw).await {
            Ok(revision) => Revision(revision.0),
            Err(store::CommitError::Conflict { key }) => {
                self.until_moved(&guards, &key).await;
                return Err(CommitError::Conflict);
            }
            Err(other) => return Err(CommitError::Unavailable(Box::new(other))),
        };
        let mut seen = self.seen.clone();
        let followed = seen.wait_for(|seen| *seen >= revision).await;
        followed.map_err(|error| CommitError::Unavailable(Box::new(error)))?;
        Ok(revision)
    }

    async fn until(&self, so: impl Fn(&Snapshot) -> bool) {
        let mut seen = self.seen.clone();
        while !so(&self.current.load()) {
            if seen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the snapshot has what a commit collided with: whoever decides again on the same snapshot collides again.
    async fn until_moved(&self, guards: &[state::Guard], key: &[u8]) {
        let Some(guard) = guards.iter().find(|guard| guard.key.as_bytes() == key) else { return };
        let moved = self.until(|snapshot| snapshot.revision_of(&guard.key) != guard.revision);
        // A store that is closing tells nothing any more.
        let _ = tokio::time::timeout(MOVED_WITHIN, moved).await;
    }
}

/// The changes as an engine takes them, and their records.
fn raw(changes: Changes, guards: &[state::Guard]) -> (RawChanges, Vec<Written>) {
    let (mut raw, mut written) = (RawChanges::new(), Vec::with_capacity(changes.len()));
    for guard in guards {
        let expect = guard.revision.map_or(Expect::Absent, |revision| Expect::At(store::Revision(revision.0)));
        raw = raw.guard(Bytes::copy_from_slice(guard.key.as_bytes()), expect);
    }
    for op in changes.into_ops() {
        let bytes = Bytes::copy_from_slice(op.key().as_bytes());
        raw = match op {
            Op::Put { key, value, record } => {
                let value = Bytes::from(value);
                written.extend(record.map(|record| Written { key, record, value: value.clone() }));
                raw.put(bytes, value)
            }
            Op::Delete { .. } => raw.delete(bytes),
        };
    }
    (raw, written)
}
