//! The log store as its callers see it.

mod open;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::JoinHandle;

use object_store::ObjectStore;
use stdx::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use crate::damage::Damages;
use crate::error::{ChangeError, ReadError, StoreError};
use crate::event::{GroupKey, LogEvent, StreamKey};
use crate::gate::Gate;
use crate::group::Group;
use crate::limits::RECORD_BYTES_MAX;
use crate::meta::{GroupChange, Meta, NewGroup};
use crate::objects::Objects;
use crate::options::Options;
use crate::query::{Page, Query};
use crate::scan;
use crate::writer::{Change, Groups, Request};

/// A log group as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    pub key: GroupKey,
    pub created: Timestamp,
    pub retention_days: Option<u32>,
    pub tags: BTreeMap<String, String>,
    pub class: Option<String>,
}

/// A log stream as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    pub name: Arc<str>,
    pub created: Timestamp,
    /// The timestamps of the oldest and the newest event.
    pub first_event: Option<Timestamp>,
    pub last_event: Option<Timestamp>,
    pub last_ingestion: Option<Timestamp>,
}

/// Log groups, streams and events in one directory.
///
/// Changes wait for the disk and are `async`. Reading blocks its thread for as long as the disk takes: call it where
/// that is allowed. Dropping the store finishes what was handed over.
pub struct LogStore {
    groups: Groups,
    objects: Objects,
    damages: Damages,
    requests: Option<mpsc::Sender<Request>>,
    places: Arc<Semaphore>,
    stopping: Arc<AtomicBool>,
    reads: Gate,
    threads: Vec<JoinHandle<()>>,
}

impl LogStore {
    /// Opens the store in a directory, and makes the directory when it is not there.
    pub fn open(directory: impl AsRef<Path>) -> Result<LogStore, StoreError> {
        LogStore::open_with(directory, Options::default())
    }

    pub fn open_with(directory: impl AsRef<Path>, options: Options) -> Result<LogStore, StoreError> {
        let root = directory.as_ref();
        open::open(root, options, || Objects::local(root.join("segments")))
    }

    /// Opens a store whose segments lie elsewhere; all else lies in the directory. A store that needs a tokio runtime is
    /// opened in one.
    pub fn open_in(
        directory: impl AsRef<Path>,
        segments: Arc<dyn ObjectStore>,
        options: Options,
    ) -> Result<LogStore, StoreError> {
        open::open(directory.as_ref(), options, || Ok(Objects::shared(segments)))
    }

    /// Appends a batch in chronological order; all of it is durable when this returns, or none of it is there.
    pub async fn put(&self, stream: StreamKey, events: Vec<LogEvent>, ingestion: Timestamp) -> Result<(), ChangeError> {
        if events.is_empty() {
            return Ok(());
        }
        // Numbers and lengths take at most twenty bytes beside each message.
        let bytes = events.iter().map(|event| event.message.len() + 20).sum::<usize>() + 64;
        if bytes > RECORD_BYTES_MAX {
            return Err(ChangeError::TooLarge { bytes });
        }
        self.change(bytes, Change::Put { stream, events, ingestion_ms: ingestion.as_millis() }).await
    }

    pub async fn create_group(&self, key: GroupKey, new: NewGroup, now: Timestamp) -> Result<(), ChangeError> {
        self.change(0, Change::CreateGroup { key, created_ms: now.as_millis(), new }).await
    }

    pub async fn delete_group(&self, key: GroupKey) -> Result<(), ChangeError> {
        self.change(0, Change::DeleteGroup { key }).await
    }

    pub async fn change_group(&self, key: GroupKey, change: GroupChange) -> Result<(), ChangeError> {
        self.change(0, Change::AlterGroup { key, change }).await
    }

    pub async fn create_stream(&self, stream: StreamKey, now: Timestamp) -> Result<(), ChangeError> {
        self.change(0, Change::CreateStream { stream, created_ms: now.as_millis() }).await
    }

    pub async fn delete_stream(&self, stream: StreamKey) -> Result<(), ChangeError> {
        self.change(0, Change::DeleteStream { stream }).await
    }

    /// Gives back the space of events that retention has outlived. To be called now and then.
    pub async fn expire(&self, now: Timestamp) -> Result<(), ChangeError> {
        self.change(0, Change::Expire { now }).await
    }

    /// Seals all that is in the write-ahead log, without waiting for it to be full or old.
    pub async fn seal(&self) -> Result<(), ChangeError> {
        self.change(0, Change::Seal).await
    }

    /// What was found damaged since the store was opened, and lived with. Pages that need it fail as well.
    pub fn damages(&self) -> Vec<StoreError> {
        self.damages.all()
    }

    pub fn group(&self, key: &GroupKey) -> Option<GroupInfo> {
        self.find(key).map(|group| info(&group.meta()))
    }

    /// The groups of an account and region whose names begin with `prefix`, in the order of their names.
    pub fn groups(&self, account: &str, region: &str, prefix: &str) -> Vec<GroupInfo> {
        let from = GroupKey::new(account, region, prefix);
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let of_caller =
            |key: &GroupKey| key.account == account && key.region == region && key.group.starts_with(prefix);
        groups.range(from..).take_while(|(key, _)| of_caller(key)).map(|(_, group)| info(&group.meta())).collect()
    }

    /// How many bytes the events of a group take. Blocks.
    pub fn stored_bytes(&self, key: &GroupKey) -> Result<u64, ReadError> {
        let group = self.find(key).ok_or(ReadError::GroupNotFound)?;
        group.read(|state| state.stored_bytes()).map_err(ReadError::Store)
    }

    /// The streams of a group whose names begin with `prefix`, in the order of their names. Blocks.
    pub fn streams(&self, key: &GroupKey, prefix: &str) -> Result<Vec<StreamInfo>, ReadError> {
        let group = self.find(key).ok_or(ReadError::GroupNotFound)?;
        let read = group.read(|state| {
            let from = state.streams.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
            from.take_while(|(name, _)| name.starts_with(prefix))
                .map(|(name, stream)| StreamInfo {
                    name: name.clone(),
                    created: Timestamp::from_millis(stream.created_ms),
                    first_event: stream.stats.map(|stats| Timestamp::from_millis(stats.first_ms)),
                    last_event: stream.stats.map(|stats| Timestamp::from_millis(stats.last_ms)),
                    last_ingestion: stream.stats.map(|stats| Timestamp::from_millis(stats.ingestion_ms)),
                })
                .collect()
        });
        read.map_err(ReadError::Store)
    }

    /// One page of the events whose messages `accept` wants. Blocks.
    pub fn read(&self, query: &Query, accept: &dyn Fn(&str) -> bool) -> Result<Page, ReadError> {
        let group = self.find(&query.group).ok_or(ReadError::GroupNotFound)?;
        let _place = self.reads.enter();
        scan::page(&group, &self.objects, query, accept)
    }

    fn find(&self, key: &GroupKey) -> Option<Arc<Group>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    async fn change(&self, bytes: usize, change: Change) -> Result<(), ChangeError> {
        let kib = 1 + (bytes / 1024) as u32;
        let place = self.places.clone().acquire_many_owned(kib).await.map_err(|_| ChangeError::Closed)?;
        let (answer, told) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(ChangeError::Closed)?;
        requests.send(Request { change, bytes, answer, place }).map_err(|_| ChangeError::Closed)?;
        told.await.unwrap_or(Err(ChangeError::Closed))
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        // The writer ends when nobody can send to it any more, and the sealer after the segment it is at: the next start
        // seals the rest.
        self.stopping.store(true, Ordering::Relaxed);
        self.requests = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn info(meta: &Meta) -> GroupInfo {
    GroupInfo {
        key: meta.key(),
        created: Timestamp::from_millis(meta.created_ms),
        retention_days: meta.retention_days,
        tags: meta.tags.clone(),
        class: meta.class.clone(),
    }
}
