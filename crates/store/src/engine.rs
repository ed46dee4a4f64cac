//! What the control plane asks of the place that keeps its records.
//!
//! The contract follows etcd, so that etcd itself can stand behind it and nothing above has to change.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// The longest key, in bytes. Our keys are ARNs with a short prefix; an ARN is far below this.
pub const KEY_BYTES_MAX: usize = 1024;
/// The longest value, in bytes. One record; bulky data lives elsewhere and the record points at it.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// The most guards, and the most operations, in one commit.
pub const COMMIT_OPS_MAX: usize = 10_000;
/// The most bytes of keys and values in one commit. It bounds what a queue of commits can hold in memory.
pub const COMMIT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest time to live of a lease. A holder that is silent for a day is gone.
pub const LEASE_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A point in the history of a store. Every commit that changes something gets a higher one than all before it.
///
/// Shape: a counter below 2⁴⁹. It says nothing about time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease: a promise to come back. The keys put under it are deleted when its holder does not.
///
/// Shape: positive; an engine never gives the same one out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One key with its value, and the revision of the commit that last put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Bytes,
    pub value: Bytes,
    pub mod_revision: Revision,
}

/// What a commit relied on: a key it read, and what it found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    pub key: Bytes,
    pub expect: Expect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// The key exists, and this is its `mod_revision`.
    At(Revision),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key. The key belongs to the given lease from now on, and to no other.
    Put { key: Bytes, value: Bytes, lease: Option<LeaseId> },
    /// Removes a key. Removing one that does not exist changes nothing.
    Delete { key: Bytes },
}

impl Op {
    pub fn key(&self) -> &Bytes {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

/// One commit: if every guard holds, every operation happens; otherwise nothing does.
///
/// Shape: the operations name each key at most once, as in etcd; their order has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawChanges {
    pub guards: Vec<Guard>,
    pub ops: Vec<Op>,
}

impl RawChanges {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn guard(mut self, key: impl Into<Bytes>, expect: Expect) -> Self {
        self.guards.push(Guard { key: key.into(), expect });
        self
    }

    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Put { key: key.into(), value: value.into(), lease: None });
        self
    }

    pub fn put_leased(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>, lease: LeaseId) -> Self {
        self.ops.push(Op::Put { key: key.into(), value: value.into(), lease: Some(lease) });
        self
    }

    pub fn delete(mut self, key: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// The limits and the shape that every engine enforces before it looks at its data.
    pub fn check(&self) -> Result<(), CommitError> {
        let too_large = |what, found, max| Err(CommitError::TooLarge { what, found, max });
        if self.guards.len() > COMMIT_OPS_MAX {
            return too_large("guards", self.guards.len(), COMMIT_OPS_MAX);
        }
        if self.ops.len() > COMMIT_OPS_MAX {
            return too_large("operations", self.ops.len(), COMMIT_OPS_MAX);
        }
        let mut bytes = 0;
        let mut keys: Vec<&Bytes> = Vec::with_capacity(self.ops.len());
        for key in self.guards.iter().map(|g| &g.key).chain(self.ops.iter().map(Op::key)) {
            if key.is_empty() {
                return Err(CommitError::EmptyKey);
            }
            if key.len() > KEY_BYTES_MAX {
                return too_large("bytes in a key", key.len(), KEY_BYTES_MAX);
            }
            bytes += key.len();
        }
        for op in &self.ops {
            if let Op::Put { value, .. } = op {
                if value.len() > VALUE_BYTES_MAX {
                    return too_large("bytes in a value", value.len(), VALUE_BYTES_MAX);
                }
                bytes += value.len();
            }
            keys.push(op.key());
        }
        if bytes > COMMIT_BYTES_MAX {
            return too_large("bytes", bytes, COMMIT_BYTES_MAX);
        }
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(CommitError::DuplicateKey { key: pair[0].clone() }),
            None => Ok(()),
        }
    }
}

/// A key with its new value, or `None` when it was deleted.
pub type Change = (Bytes, Option<Bytes>);

/// Everything one commit changed, each key once. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub revision: Revision,
    pub changes: Vec<Change>,
}

impl Batch {
    /// How much memory the batch holds on to, roughly, in bytes.
    pub fn weight(&self) -> usize {
        let payload: usize =
            self.changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, |v| v.len())).sum();
        payload + self.changes.len() * size_of::<Change>() + size_of::<Batch>()
    }
}

/// The cause inside an engine, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a read did not work.
#[derive(Debug, Error)]
pub enum EngineError {
    #[error("the store is closed or cannot be reached")]
    Unavailable,
    #[error("the store is damaged; restore its file from a backup")]
    Damaged(#[source] Cause),
    #[error("failed to read from the store")]
    Engine(#[source] Cause),
}

/// Why a commit did not happen.
///
/// After `Unavailable` and `Engine` nobody knows whether it did: read again before you decide. After all others,
/// nothing was changed.
#[derive(Debug, Error)]
pub enum CommitError {
    #[error("the key {} is no longer as the commit expected", .key.escape_ascii())]
    Conflict { key: Bytes },
    #[error("the lease {lease} does not exist or has expired")]
    LeaseNotFound { lease: LeaseId },
    #[error("the disk of the store is full; nothing was written")]
    Full,
    #[error("the commit has {found} {what}; at most {max} are allowed")]
    TooLarge { what: &'static str, found: usize, max: usize },
    #[error("the commit contains an empty key")]
    EmptyKey,
    #[error("the commit changes the key {} twice", .key.escape_ascii())]
    DuplicateKey { key: Bytes },
    #[error("the store is closed or cannot be reached")]
    Unavailable,
    #[error("the store is damaged; restore its file from a backup")]
    Damaged(#[source] Cause),
    #[error("failed to write to the store")]
    Engine(#[source] Cause),
}

/// Why a lease could not be granted, kept alive or revoked.
#[derive(Debug, Error)]
pub enum LeaseError {
    #[error("the lease {lease} does not exist or has expired")]
    NotFound { lease: LeaseId },
    #[error("the time to live of a lease must be above zero and at most {} seconds", LEASE_TTL_MAX.as_secs())]
    Ttl,
    #[error("the disk of the store is full; nothing was written")]
    Full,
    #[error("the store is closed or cannot be reached")]
    Unavailable,
    #[error("failed to write to the store")]
    Engine(#[source] Cause),
}

/// Why a watch cannot go on.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The history that the watcher needs next is gone. Range again, and watch from the revision that came with it.
    #[error("the history of the store up to revision {through} is gone; read everything again")]
    Compacted { through: Revision },
    #[error("the store is closed")]
    Closed,
    #[error("failed to read the history of the store")]
    Engine(#[source] Cause),
}

/// Bytes and revisions. An engine does not know what a task is.
///
/// Every call may run at the same time as every other, and may be dropped while it waits; a commit that was already
/// handed over then still happens. `range` and `watch` may be repeated freely. What a commit that returned `Ok` has
/// written is still there after a crash, in every engine that calls itself durable.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Every key that begins with `prefix`, ordered by key, and the revision at which this was true.
    /// It contains every commit that was acknowledged before the call. An empty prefix means everything.
    async fn range(&self, prefix: &[u8]) -> Result<(Revision, Vec<Entry>), EngineError>;

    /// The same as [`range`](Self::range), a part at a time and in the same order: for whoever would not hold all of it at
    /// once. `take` is called where it may block; nothing is read meanwhile.
    async fn scan(&self, prefix: &[u8], mut take: Box<dyn FnMut(Vec<Entry>) + Send>) -> Result<Revision, EngineError> {
        let (revision, entries) = self.range(prefix).await?;
        take(entries);
        Ok(revision)
    }

    /// All or nothing. The answer is the revision that every change of this commit now carries. A commit that turns out
    /// to change nothing (only guards, or only deletions of absent keys) answers with the current revision and makes
    /// no new one. Guards see all commits before this one in the order of revisions.
    async fn commit(&self, changes: RawChanges) -> Result<Revision, CommitError>;

    /// Every batch after the given revision, in order, without gaps; first the past, then the future as it happens.
    fn watch(&self, after: Revision) -> Watch;

    /// A new lease that expires when nobody keeps it alive for `ttl`, rounded up to whole seconds.
    /// A restart of the engine gives every lease its whole time again.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError>;

    /// Gives the lease its whole time again.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError>;

    /// Ends the lease and deletes its keys, as if it had expired: in one commit, or in a few when there are more keys
    /// than one commit may hold.
    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError>;
}

/// Where the batches of one watcher come from; each engine has its own.
#[async_trait]
pub trait WatchSource: Send {
    /// The next batch. Safe to drop while it waits: nothing is lost. After an error it may be called again, and
    /// answers with the same error for as long as that error is true.
    async fn next(&mut self) -> Result<Arc<Batch>, WatchError>;
}

/// One watcher's place in the history of a store.
///
/// It holds a bounded page of batches at most: a slow watcher reads history again and costs no memory.
pub struct Watch(Box<dyn WatchSource>);

impl Watch {
    pub fn new(source: impl WatchSource + 'static) -> Self {
        Watch(Box::new(source))
    }

    /// Waits for the next batch. Safe to use in `select!`.
    pub async fn recv(&mut self) -> Result<Arc<Batch>, WatchError> {
        self.0.next().await
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// The time by which an engine counts its leases. It never goes backwards, and has nothing to do with the wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;

    /// Asks to be called after every jump. Only clocks that are moved by hand jump; an engine that sleeps until a lease
    /// expires must look again then. The clock keeps the callback, so the callback holds its engine weakly.
    fn on_jump(&self, _wake: Box<dyn Fn() + Send + Sync>) {}
}

/// The monotonic clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    pub fn new() -> Self {
        SystemClock(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time to live that an engine uses when it is asked for `ttl`.
pub fn lease_ttl(ttl: Duration) -> Result<Duration, LeaseError> {
    if ttl.is_zero() || ttl > LEASE_TTL_MAX {
        return Err(LeaseError::Ttl);
    }
    Ok(Duration::from_secs(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)))
}

/// The first key after all keys that begin with `prefix`; `None` when there is no such key.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_end_carries_over_the_highest_byte() {
        for (prefix, end) in [
            (&b""[..], None),
            (b"a", Some(&b"b"[..])),
            (b"a/", Some(b"a0")),
            (b"a\xff", Some(b"b")),
            (b"a\xff\xff", Some(b"b")),
            (b"\xff\xff", None),
            (b"\x00", Some(b"\x01")),
        ] {
            assert_eq!(prefix_end(prefix).as_deref(), end, "the end of {}", prefix.escape_ascii());
        }
    }

    #[test]
    fn lease_times_are_whole_seconds_within_the_limit() {
        assert_eq!(lease_ttl(Duration::from_millis(1)).unwrap(), Duration::from_secs(1));
        assert_eq!(lease_ttl(Duration::from_secs(7)).unwrap(), Duration::from_secs(7));
        assert_eq!(lease_ttl(LEASE_TTL_MAX).unwrap(), LEASE_TTL_MAX);
        assert!(matches!(lease_ttl(Duration::ZERO), Err(LeaseError::Ttl)));
        assert!(matches!(lease_ttl(LEASE_TTL_MAX + Duration::from_nanos(1)), Err(LeaseError::Ttl)));
    }

    #[test]
    fn errors_name_the_key() {
        let twice = RawChanges::new().put("a\n", "1").delete("a\n").check().unwrap_err();
        assert_eq!(twice.to_string(), r"the commit changes the key a\n twice");
        let conflict = CommitError::Conflict { key: Bytes::from_static(b"task/1") };
        assert_eq!(conflict.to_string(), "the key task/1 is no longer as the commit expected");
    }

    #[test]
    fn a_commit_is_bounded_as_a_whole() {
        let value = Bytes::from(vec![0; VALUE_BYTES_MAX]);
        let many = |n: usize| (0..n).fold(RawChanges::new(), |all, i| all.put(format!("{i}"), value.clone()));
        assert!(many(63).check().is_ok());
        assert!(matches!(many(65).check(), Err(CommitError::TooLarge { what: "bytes", .. })));
    }
}
