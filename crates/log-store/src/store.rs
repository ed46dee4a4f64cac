//! The log store as its callers see it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;

use stdx::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use crate::error::{ChangeError, ReadError, StoreError};
use crate::event::{GroupKey, LogEvent, StreamKey};
use crate::group::Group;
use crate::limits::{QUEUE_KIB_MAX, RECORD_BYTES_MAX};
use crate::meta::{GroupChange, Meta, NewGroup};
use crate::query::{Page, Query};
use crate::scan;
use crate::writer::{Change, Groups, Request, Writer};

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
    requests: Option<mpsc::Sender<Request>>,
    places: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
}

impl LogStore {
    /// Opens the store in a directory, and makes the directory when it is not there.
    pub fn open(directory: impl AsRef<Path>) -> Result<LogStore, StoreError> {
        let root = directory.as_ref().to_path_buf();
        fs::create_dir_all(&root).map_err(StoreError::io("create", &root))?;
        let lock = lock(&root)?;
        let (groups, next_directory) = load_groups(&root)?;
        let groups: Groups = Arc::new(RwLock::new(groups));
        let writer = Writer {
            root: root.clone(),
            groups: groups.clone(),
            next_directory,
            files: Default::default(),
            _lock: lock,
        };
        let (requests, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("log-writer".into()).spawn(move || writer.run(&queue));
        let writer = thread.map_err(StoreError::io("start the writer thread of", &root))?;
        let places = Arc::new(Semaphore::new(QUEUE_KIB_MAX as usize));
        Ok(LogStore { groups, requests: Some(requests), places, writer: Some(writer) })
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
        scan::page(&group, query, accept)
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
        // The writer ends when nobody can send to it any more.
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
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

fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join("lock");
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path)(source)),
    }
}

/// Every group by its small file, and the number of the next directory. What a crash left half made or half deleted goes.
fn load_groups(root: &Path) -> Result<(BTreeMap<GroupKey, Arc<Group>>, u64), StoreError> {
    let (mut groups, mut next) = (BTreeMap::new(), 1);
    for entry in fs::read_dir(root).map_err(StoreError::io("list", root))? {
        let directory: PathBuf = entry.map_err(StoreError::io("list", root))?.path();
        let Some(name) = directory.file_name().and_then(|name| name.to_str()) else { continue };
        let digits = name.trim_end_matches(".deleted");
        let number = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16);
        // Whatever else lies here is not ours to touch.
        let Some(number) = number else { continue };
        next = next.max(number + 1);
        match Meta::load(&directory)? {
            Some(meta) if !name.ends_with(".deleted") => {
                groups.insert(meta.key(), Arc::new(Group::new(directory, meta)));
            }
            _ => fs::remove_dir_all(&directory).map_err(StoreError::io("remove", &directory))?,
        }
    }
    Ok((groups, next))
}
