//! Keeps the snapshot up to date from the store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::FutureExt;
use state::{Revision, Snapshot, Touched};
use store::{Batch, Engine, Watch, WatchError};
use tokio::sync::watch;

use super::load::load;
use super::own::Own;
use crate::wake::Wakes;

/// The most batches that are taken in before readers see them.
const BATCHES_PER_TURN: usize = 1000;

/// How long a store that cannot be read is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The one writer of the snapshot.
pub(super) struct Follower {
    pub engine: Arc<dyn Engine>,
    pub snapshot: Snapshot,
    pub current: Arc<ArcSwap<Snapshot>>,
    pub announce: watch::Sender<Revision>,
    pub wakes: Arc<Wakes>,
    pub own: Arc<Own>,
}

impl Follower {
    pub async fn run(mut self, mut watch: Watch) {
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
            if let Some((key, record)) = value.as_ref().and_then(|value| self.own.find(value)) {
                touched.push(self.snapshot.take(key, record, revision));
                continue;
            }
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
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }
}
