//! An engine that forgets: the fake for tests and for the simulator.
//!
//! It is deterministic. With a [`ManualClock`], leases expire inside `ManualClock::advance` and nowhere else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::engine::{
    Batch, COMMIT_OPS_MAX, Clock, CommitError, Engine, EngineError, Entry, Expect, LeaseError, LeaseId, Op, RawChanges,
    Revision, SystemClock, Watch, WatchError, WatchSource, lease_ttl,
};

/// How many revisions of history are kept when nobody says otherwise.
const HISTORY_REVISIONS: usize = 10_000;
/// How often a waiting watcher looks for expired leases when the clock cannot call.
const EXPIRY_LOOK: Duration = Duration::from_millis(50);

pub struct MemoryEngine {
    shared: Arc<Shared>,
}

struct Shared {
    data: Mutex<Data>,
    /// The revision that watchers wait for.
    head: watch::Sender<Revision>,
    clock: Arc<dyn Clock>,
}

struct Data {
    revision: Revision,
    entries: BTreeMap<Bytes, Stored>,
    leases: BTreeMap<LeaseId, Lease>,
    lease_last: u64,
    history: VecDeque<Arc<Batch>>,
    history_revisions: usize,
    /// History up to here, inclusive, is gone.
    compacted: Revision,
}

struct Stored {
    value: Bytes,
    mod_revision: Revision,
    lease: Option<LeaseId>,
}

struct Lease {
    ttl: Duration,
    deadline: Duration,
}

impl MemoryEngine {
    pub fn new() -> Self {
        Self::with(Arc::new(SystemClock::new()), HISTORY_REVISIONS)
    }

    /// An engine on the given clock that keeps the given number of revisions, at least one, for watchers.
    pub fn with(clock: Arc<dyn Clock>, history_revisions: usize) -> Self {
        let data = Data {
            revision: Revision(0),
            entries: BTreeMap::new(),
            leases: BTreeMap::new(),
            lease_last: 0,
            history: VecDeque::new(),
            history_revisions: history_revisions.max(1),
            compacted: Revision(0),
        };
        let shared =
            Arc::new(Shared { data: Mutex::new(data), head: watch::Sender::new(Revision(0)), clock: clock.clone() });
        let weak = Arc::downgrade(&shared);
        clock.on_jump(Box::new(move || {
            if let Some(shared) = weak.upgrade() {
                drop(shared.current());
            }
        }));
        MemoryEngine { shared }
    }
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    /// The data as of now: what has expired is gone.
    fn current(&self) -> MutexGuard<'_, Data> {
        // No code under this lock can leave the data half changed, so a poisoned lock protects sound data.
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let due: Vec<LeaseId> =
            data.leases.iter().filter(|(_, lease)| lease.deadline <= now).map(|(id, _)| *id).collect();
        for lease in due {
            data.end_lease(lease);
        }
        self.announce(&data);
        data
    }

    fn announce(&self, data: &Data) {
        self.head.send_if_modified(|head| std::mem::replace(head, data.revision) != data.revision);
    }
}

impl Data {
    fn holds(&self, key: &Bytes, expect: Expect) -> bool {
        match (self.entries.get(key), expect) {
            (None, Expect::Absent) => true,
            (Some(stored), Expect::At(revision)) => stored.mod_revision == revision,
            _ => false,
        }
    }

    fn apply(&mut self, ops: Vec<Op>) {
        let revision = Revision(self.revision.0 + 1);
        let mut changes = Vec::with_capacity(ops.len());
        for op in ops {
            match op {
                Op::Put { key, value, lease } => {
                    self.entries.insert(key.clone(), Stored { value: value.clone(), mod_revision: revision, lease });
                    changes.push((key, Some(value)));
                }
                Op::Delete { key } => {
                    if self.entries.remove(&key).is_some() {
                        changes.push((key, None));
                    }
                }
            }
        }
        if changes.is_empty() {
            return;
        }
        self.revision = revision;
        self.history.push_back(Arc::new(Batch { revision, changes }));
        while self.history.len() > self.history_revisions {
            if let Some(oldest) = self.history.pop_front() {
                self.compacted = oldest.revision;
            }
        }
    }

    fn end_lease(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
        let of_lease = self.entries.iter().filter(|(_, stored)| stored.lease == Some(lease));
        let ops: Vec<Op> = of_lease.map(|(key, _)| Op::Delete { key: key.clone() }).collect();
        for chunk in ops.chunks(COMMIT_OPS_MAX) {
            self.apply(chunk.to_vec());
        }
    }
}

#[async_trait]
impl Engine for MemoryEngine {
    async fn range(&self, prefix: &[u8]) -> Result<(Revision, Vec<Entry>), EngineError> {
        let data = self.shared.current();
        let from = data.entries.range(Bytes::copy_from_slice(prefix)..);
        let entries = from.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, stored)| Entry {
            key: key.clone(),
            value: stored.value.clone(),
            mod_revision: stored.mod_revision,
        });
        Ok((data.revision, entries.collect()))
    }

    async fn commit(&self, changes: RawChanges) -> Result<Revision, CommitError> {
        changes.check()?;
        let mut data = self.shared.current();
        if let Some(broken) = changes.guards.iter().find(|guard| !data.holds(&guard.key, guard.expect)) {
            return Err(CommitError::Conflict { key: broken.key.clone() });
        }
        for op in &changes.ops {
            if let Op::Put { lease: Some(lease), .. } = op
                && !data.leases.contains_key(lease)
            {
                return Err(CommitError::LeaseNotFound { lease: *lease });
            }
        }
        data.apply(changes.ops);
        self.shared.announce(&data);
        Ok(data.revision)
    }

    fn watch(&self, after: Revision) -> Watch {
        let source = Follower { shared: Arc::downgrade(&self.shared), head: self.shared.head.subscribe(), after };
        Watch::new(source)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError> {
        let ttl = lease_ttl(ttl)?;
        let mut data = self.shared.current();
        data.lease_last += 1;
        let id = LeaseId(data.lease_last);
        let deadline = self.shared.clock.now() + ttl;
        data.leases.insert(id, Lease { ttl, deadline });
        Ok(id)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let mut data = self.shared.current();
        let now = self.shared.clock.now();
        let held = data.leases.get_mut(&lease).ok_or(LeaseError::NotFound { lease })?;
        held.deadline = now + held.ttl;
        Ok(())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let mut data = self.shared.current();
        if !data.leases.contains_key(&lease) {
            return Err(LeaseError::NotFound { lease });
        }
        data.end_lease(lease);
        self.shared.announce(&data);
        Ok(())
    }
}

/// A watcher. It keeps nothing but its place: the engine's history is in memory anyway.
struct Follower {
    shared: std::sync::Weak<Shared>,
    head: watch::Receiver<Revision>,
    after: Revision,
}

impl Follower {
    /// The next batch, if there is one already.
    fn look(&mut self) -> Result<Option<Arc<Batch>>, WatchError> {
        let shared = self.shared.upgrade().ok_or(WatchError::Closed)?;
        let data = shared.current();
        if self.after < data.compacted {
            return Err(WatchError::Compacted { through: data.compacted });
        }
        let at = data.history.partition_point(|batch| batch.revision <= self.after);
        let Some(batch) = data.history.get(at).cloned() else { return Ok(None) };
        self.after = batch.revision;
        Ok(Some(batch))
    }
}

#[async_trait]
impl WatchSource for Follower {
    async fn next(&mut self) -> Result<Arc<Batch>, WatchError> {
        loop {
            self.head.borrow_and_update();
            if let Some(batch) = self.look()? {
                return Ok(batch);
            }
            // The machine's clock does not call when a lease expires, so a waiting watcher looks by itself.
            if let Ok(Err(_)) = tokio::time::timeout(EXPIRY_LOOK, self.head.changed()).await {
                return Err(WatchError::Closed);
            }
        }
    }
}

/// A clock that a test moves by hand.
#[derive(Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl ManualClock {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += by;
        for wake in &*self.wakes.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner).push(wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn passes_the_exam() {
        crate::exam::run(
            |setup| async move { MemoryEngine::with(Arc::new(SystemClock::new()), setup.history_revisions) },
        )
        .await;
    }

    #[tokio::test]
    async fn leases_follow_a_clock_moved_by_hand() {
        let clock = ManualClock::new();
        let engine = MemoryEngine::with(clock.clone(), 100);
        let lease = engine.grant(Duration::from_secs(10)).await.unwrap();
        let put = engine.commit(RawChanges::new().put_leased("k", "v", lease)).await.unwrap();
        clock.advance(Duration::from_millis(9_999));
        engine.keep_alive(lease).await.unwrap();
        clock.advance(Duration::from_secs(9));
        assert_eq!(engine.range(b"").await.unwrap().1.len(), 1);
        clock.advance(Duration::from_secs(1));
        let gone = engine.watch(put).recv().await.unwrap();
        assert_eq!(gone.changes, [(Bytes::from("k"), None)]);
    }
}
