//! A connection to a shim: requests go out, answers and changes come in.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shim_api::{Message, Refusal, Request, RequestBody, VERSION};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{oneshot, watch};

/// Why a request was not done.
#[derive(Debug)]
pub enum NotDone {
    Refused {
        reason: Refusal,
        message: String,
    },
    /// The connection ended before the answer.
    Gone,
}

type Answer = Result<(), NotDone>;

/// A message of a shim is about as long, and a node has a link for each task: the usual 8 KiB would be most of what one takes.
const READ_AHEAD_BYTES: usize = 512;

pub struct Link {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
    next_seq: AtomicU64,
    /// True once the connection has ended.
    ended: watch::Receiver<bool>,
}

/// What a link tells the task it belongs to.
pub trait Listener: Send + Sync + 'static {
    fn changed(&self, status: shim_api::ContainerStatus);
    /// The shim or its socket is gone. The last call.
    fn ended(self: Arc<Self>);
}

impl Link {
    /// Starts reading. The listener hears of every container's state, and from then on of every change.
    pub fn open(stream: UnixStream, listener: Arc<dyn Listener>) -> Link {
        let (reader, writer) = stream.into_split();
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        let (ended_sender, ended) = watch::channel(false);
        tokio::spawn(read(reader, waiting.clone(), listener, ended_sender));
        Link { writer: tokio::sync::Mutex::new(writer), waiting, next_seq: AtomicU64::new(1), ended }
    }

    /// Sends a request and waits for its answer.
    pub async fn request(&self, body: RequestBody) -> Answer {
        let seq = self.next_seq.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(seq, sender);
        let line = Request { seq, body }.encode();
        let sent = self.writer.lock().await.write_all(line.as_bytes()).await;
        if sent.is_err() || *self.ended.borrow() {
            lock(&self.waiting).remove(&seq);
            return Err(NotDone::Gone);
        }
        receiver.await.unwrap_or(Err(NotDone::Gone))
    }

    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Returns when the connection has ended.
    pub async fn wait_for_end(&self) {
        // An error means that the reader is gone, and with it the connection.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

async fn read(
    reader: OwnedReadHalf,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
    listener: Arc<dyn Listener>,
    ended: watch::Sender<bool>,
) {
    let mut lines = BufReader::with_capacity(READ_AHEAD_BYTES, reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match Message::decode(&line) {
            Ok(Message::Container(status)) => listener.changed(status),
            Ok(Message::Done { seq }) => answer(&waiting, seq, Ok(())),
            Ok(Message::Refused { seq, reason, message }) => {
                answer(&waiting, seq, Err(NotDone::Refused { reason, message }));
            }
            Ok(Message::Hello { version, .. }) if version != VERSION => {
                tracing::error!(version, ours = VERSION, "the shim speaks another version of the protocol");
                break;
            }
            Ok(Message::Hello { .. }) => {}
            // A newer shim may say more than we understand.
            Err(err) => tracing::warn!(%err, line, "the shim said something strange"),
        }
    }
    let _ = ended.send(true);
    // After the flag, so that a request that comes in between sees one or the other.
    lock(&waiting).clear();
    listener.ended();
}

fn answer(waiting: &Mutex<HashMap<u64, oneshot::Sender<Answer>>>, seq: u64, answer: Answer) {
    if let Some(sender) = lock(waiting).remove(&seq) {
        // Whoever asked may have given up.
        let _ = sender.send(answer);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing here panics with the lock held; if it did, the map would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects to the socket in a task's directory, however long the directory's path is.
pub async fn connect(dir: &Path) -> io::Result<UnixStream> {
    // A socket's address holds 107 bytes; a path by way of an open descriptor is always shorter.
    let dir = std::fs::File::open(dir)?;
    let path = format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), shim_api::SOCKET_NAME);
    UnixStream::connect(path).await
}
