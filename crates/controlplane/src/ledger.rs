//! The snapshot that everybody reads, kept up to date from the store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use state::{Changes, CommitError, DecodeError, Ledger, Op, Revision, Snapshot, Touched};
use store::{Batch, Engine, Expect, RawChanges, Watch, WatchError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::wake::Wakes;

/// The most batches that are taken in before readers see them.
const BATCHES_PER_TURN: usize = 1000;
/// How long a commit that collided waits for the snapshot to show with what.
const MOVED_WITHIN: Duration = Duration::from_secs(1);

/// Why the records cannot be read.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("failed to read the store")]
    Read(#[source] store::EngineError),
    #[error("failed to understand the record {key}")]
    Record {
        key: String,
        #[source]
        source: DecodeError,
    },
}

/// A ledger over any store engine. A commit returns when it is durable and when every later snapshot has it.
pub struct StoreLedger {
    engine: Arc<dyn Engine>,
    current: Arc<ArcSwap<Snapshot>>,
    seen: watch::Receiver<Revision>,
    /// First come, first served.
    turns: Arc<tokio::sync::Mutex<()>>,
    follower: AbortHandle,
}

impl StoreLedger {
    /// Reads everything, and follows the store from there. Everybody is woken once.
    pub(crate) async fn open(engine: Arc<dyn Engine>, wakes: Arc<Wakes>) -> Result<Arc<StoreLedger>, LoadError> {
        let snapshot = load(&*engine).await?;
        let watch = engine.watch(store::Revision(snapshot.revision.0));
        let (announce, seen) = watch::channel(snapshot.revision);
        let current = Arc::new(ArcSwap::from_pointee(snapshot.clone()));
        wakes.everything();
        let follower = Follower { engine: engine.clone(), snapshot, current: current.clone(), announce, wakes };
        let follower = tokio::spawn(follower.run(watch)).abort_handle();
        Ok(Arc::new(StoreLedger { engine, current, seen, turns: Arc::default(), follower }))
    }

    /// Waits until the newest snapshot is so; for ever, when the store is closed before.
    pub(crate) async fn until(&self, so: impl Fn(&Snapshot) -> bool) {
        let mut seen = self.seen.clone();
        while !so(&self.current.load()) {
            if seen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the snapshot has what a commit collided with: whoever decides again on the same snapshot collides again.
    async fn until_moved(&self, changes: &Changes, key: &[u8]) {
        let Some(guard) = changes.guards().find(|guard| guard.key.as_bytes() == key) else { return };
        let moved = self.until(|snapshot| snapshot.revision_of(&guard.key) != guard.revision);
        // A store that is closing tells nothing any more.
        let _ = tokio::time::timeout(MOVED_WITHIN, moved).await;
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
        self.current.load_full()
    }

    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError> {
        let revision = match self.engine.commit(raw(&changes)).await {
            Ok(revision) => Revision(revision.0),
            Err(store::CommitError::Conflict { key }) => {
                self.until_moved(&changes, &key).await;
                return Err(CommitError::Conflict);
            }
            Err(other) => return Err(CommitError::Unavailable(Box::new(other))),
        };
        let mut seen = self.seen.clone();
        let followed = seen.wait_for(|seen| *seen >= revision).await;
        followed.map_err(|error| CommitError::Unavailable(Box::new(error)))?;
        Ok(revision)
    }

    async fn turn(&self) -> Box<dyn Send + Sync> {
        Box::new(self.turns.clone().lock_owned().await)
    }
}

fn raw(changes: &Changes) -> RawChanges {
    let bytes = |key: &state::Key| Bytes::copy_from_slice(key.as_bytes());
    let mut raw = RawChanges::new();
    for guard in changes.guards() {
        let expect = guard.revision.map_or(Expect::Absent, |revision| Expect::At(store::Revision(revision.0)));
        raw = raw.guard(bytes(&guard.key), expect);
    }
    for op in changes.ops() {
        raw = match op {
            Op::Put { key, value } => raw.put(bytes(key), value.clone()),
            Op::Delete { key } => raw.delete(bytes(key)),
        };
    }
    raw
}

async fn load(engine: &dyn Engine) -> Result<Snapshot, LoadError> {
    let (revision, entries) = engine.range(b"").await.map_err(LoadError::Read)?;
    let mut snapshot = Snapshot::default();
    for entry in entries {
        let key = String::from_utf8_lossy(&entry.key);
        snapshot
            .absorb(&key, Some(&entry.value), Revision(entry.mod_revision.0))
            .map_err(|source| LoadError::Record { key: key.into_owned(), source })?;
    }
    snapshot.revision = Revision(revision.0);
    Ok(snapshot)
}

/// The one writer of the snapshot.
struct Follower {
    engine: Arc<dyn Engine>,
    snapshot: Snapshot,
    current: Arc<ArcSwap<Snapshot>>,
    announce: watch::Sender<Revision>,
    wakes: Arc<Wakes>,
}

impl Follower {
    async fn run(mut self, mut watch: Watch) {
        loop {
            match watch.recv().await {
                Ok(batch) => {
                    let mut touched = self.absorb(&batch);
                    // What is there already goes along: one new snapshot then serves many commits.
                    for _ in 1..BATCHES_PER_TURN {
                        let Some(Ok(batch)) = watch.recv().now_or_never() else { break };
                        touched.extend(self.absorb(&batch));
                    }
                    self.publish();
                    self.wakes.touched(&touched);
                }
                Err(WatchError::Closed) => return,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the store is read anew");
                    watch = self.reload().await;
                }
            }
        }
    }

    fn absorb(&mut self, batch: &Batch) -> Vec<Touched> {
        let revision = Revision(batch.revision.0);
        let mut touched = Vec::with_capacity(batch.changes.len());
        for (key, value) in &batch.changes {
            let key = String::from_utf8_lossy(key);
            match self.snapshot.absorb(&key, value.as_deref(), revision) {
                Ok(one) => touched.push(one),
                // Every replica writes what every other can read; a replica that is newer than this one may not.
                Err(error) => {
                    tracing::error!(%key, error = &error as &dyn std::error::Error, "a record is passed over")
                }
            }
        }
        self.snapshot.revision = revision;
        touched
    }

    fn publish(&self) {
        self.current.store(Arc::new(self.snapshot.clone()));
        self.announce.send_replace(self.snapshot.revision);
    }

    async fn reload(&mut self) -> Watch {
        loop {
            match load(&*self.engine).await {
                Ok(snapshot) => {
                    self.snapshot = snapshot;
                    self.publish();
                    self.wakes.everything();
                    return self.engine.watch(store::Revision(self.snapshot.revision.0));
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be read");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}
