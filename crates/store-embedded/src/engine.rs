//! The engine as its callers see it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use store::engine::{COMMIT_BYTES_MAX, lease_ttl};
use store::{
    Clock, CommitError, Engine, EngineError, Entry, LeaseError, LeaseId, Op, RawChanges, Revision, SystemClock, Watch,
};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::checkpoint::Checkpoints;
use crate::error::OpenError;
use crate::fault::opening;
use crate::follow::Follower;
use crate::readers::{Readers, range, scan};
use crate::recent::Recent;
use crate::schema;
use crate::writer::{Request, Requests, Writer};

/// Waiting commits may hold this many KiB of keys and values; the next one waits before it is queued.
const QUEUE_KIB: u32 = 2 * (COMMIT_BYTES_MAX / 1024) as u32;

#[derive(Clone)]
pub struct Options {
    /// How many revisions of history are kept for watchers, at least, while they fit into `history_bytes_max`.
    pub history_revisions: usize,
    /// How many bytes of history are kept, roughly.
    pub history_bytes_max: usize,
    /// The clock that leases are counted by.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Options { history_revisions: 50_000, history_bytes_max: 128 * 1024 * 1024, clock: Arc::new(SystemClock::new()) }
    }
}

/// A store in one SQLite file. Dropping it finishes what was handed over, and lets go of the file.
pub struct EmbeddedEngine {
    shared: Arc<Shared>,
    requests: Requests,
    places: Arc<Semaphore>,
    head: watch::Receiver<Revision>,
    writer: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub(crate) recent: Arc<Recent>,
    pub(crate) readers: Readers,
}

impl EmbeddedEngine {
    /// Opens the store in the file at `path`, and makes the file when it is not there. Its directory must exist.
    ///
    /// Blocks for as long as SQLite needs to recover from a crash: milliseconds.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_path_buf();
        let lock = lock(&path)?;
        let mut connection = schema::open_writer(&path)?;
        let checkpoints = Checkpoints::start(&mut connection, &path)?;
        sync_directory(&path)?;
        let (announced, head) = watch::channel(Revision(0));
        let clock = options.clock.clone();
        let mut recent = None;
        let start = |at| recent.insert(Arc::new(Recent::new(at))).clone();
        let writer = Writer::new((connection, checkpoints), path.clone(), lock, options, start, announced);
        let writer = writer.map_err(opening(&path))?;
        let recent = recent.expect("the writer has just been given it");
        let (requests, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&queue));
        let writer = thread.map_err(OpenError::io("start the writer thread of", &path))?;
        let wake = requests.clone();
        clock.on_jump(Box::new(move || drop(wake.send(Request::Look))));
        let shared = Arc::new(Shared { recent, readers: Readers::new(path) });
        let places = Arc::new(Semaphore::new(QUEUE_KIB as usize));
        Ok(EmbeddedEngine { shared, requests, places, head, writer: Some(writer) })
    }

    fn send(&self, request: Request) -> Result<(), Closed> {
        self.requests.send(request).map_err(|_| Closed)
    }
}

/// The writer thread is gone.
struct Closed;

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        let _ = self.send(Request::Close);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Engine for EmbeddedEngine {
    async fn range(&self, prefix: &[u8]) -> Result<(Revision, Vec<Entry>), EngineError> {
        let _turn = self.shared.readers.turn().await;
        let (shared, prefix) = (self.shared.clone(), prefix.to_vec());
        let read = tokio::task::spawn_blocking(move || shared.readers.read(|connection| range(connection, &prefix)));
        read.await.map_err(|error| EngineError::Engine(Box::new(error)))?.map_err(|fault| fault.read())
    }

    async fn scan(&self, prefix: &[u8], take: Box<dyn FnMut(Vec<Entry>) + Send>) -> Result<Revision, EngineError> {
        let _turn = self.shared.readers.turn().await;
        let (shared, prefix) = (self.shared.clone(), prefix.to_vec());
        let read =
            tokio::task::spawn_blocking(move || shared.readers.read(|connection| scan(connection, &prefix, take)));
        read.await.map_err(|error| EngineError::Engine(Box::new(error)))?.map_err(|fault| fault.read())
    }

    async fn commit(&self, changes: RawChanges) -> Result<Revision, CommitError> {
        changes.check()?;
        let bytes = weigh(&changes);
        let kib = (1 + bytes / 1024).min(QUEUE_KIB as usize) as u32;
        let place = self.places.clone().acquire_many_owned(kib).await.map_err(|_| CommitError::Unavailable)?;
        let (answer, told) = oneshot::channel();
        self.send(Request::Commit { changes, bytes, answer, place }).map_err(|_| CommitError::Unavailable)?;
        told.await.unwrap_or(Err(CommitError::Unavailable))
    }

    fn watch(&self, after: Revision) -> Watch {
        let shared = Arc::downgrade(&self.shared);
        Watch::new(Follower { shared, head: self.head.clone(), after, page: Default::default() })
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError> {
        let ttl = lease_ttl(ttl)?;
        let (answer, told) = oneshot::channel();
        self.send(Request::Grant { ttl, answer }).map_err(|_| LeaseError::Unavailable)?;
        told.await.unwrap_or(Err(LeaseError::Unavailable))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let (answer, told) = oneshot::channel();
        self.send(Request::KeepAlive { lease, answer }).map_err(|_| LeaseError::Unavailable)?;
        told.await.unwrap_or(Err(LeaseError::Unavailable))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let (answer, told) = oneshot::channel();
        self.send(Request::Revoke { lease, answer }).map_err(|_| LeaseError::Unavailable)?;
        told.await.unwrap_or(Err(LeaseError::Unavailable))
    }
}

fn weigh(changes: &RawChanges) -> usize {
    let of = |op: &Op| match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete { key } => key.len(),
    };
    changes.guards.iter().map(|guard| guard.key.len()).sum::<usize>() + changes.ops.iter().map(of).sum::<usize>()
}

/// A file beside the store says who uses it. SQLite's own locks would let a second process in between two transactions.
fn lock(path: &Path) -> Result<File, OpenError> {
    let beside = PathBuf::from(format!("{}.lock", path.display()));
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside);
    let mut file = open.map_err(OpenError::io("open the lock of the store,", &beside))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(OpenError::InUse { path: path.to_owned(), process: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(OpenError::io("lock", &beside)(source)),
    }
    // The number only helps a person; a full disk must not keep a store from opening.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

/// A new file is durable only when its name is.
fn sync_directory(path: &Path) -> Result<(), OpenError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory).and_then(|file| file.sync_all()).map_err(OpenError::io("make durable", directory))
}
