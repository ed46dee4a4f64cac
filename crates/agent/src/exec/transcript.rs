//! What is typed and shown in a session, as lines of a log stream that has the session's name, and as an object in a bucket.

mod object;

use std::sync::Arc;
use std::time::Duration;

use agent_api::extras::{ExecuteCommand, SessionLogs};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock;
use crate::seams::{ApiError, ControlPlane};

/// Pieces that wait to be written down. When half of them do, the session waits too.
const PIECES: usize = 256;
/// A line that is longer becomes several. CloudWatch Logs takes 256 KiB.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines are written together: after this while, or when there are so many bytes.
const WRITE_AFTER: Duration = Duration::from_secs(1);
const WRITE_BYTES: usize = 256 * 1024;
/// How often a write is tried, and how long is waited in between.
const TRIES: u32 = 5;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// What the end of a session waits for its last lines.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// To wherever it is kept: a log group, a bucket, or both.
pub struct Transcript(Vec<Copy>);

struct Copy {
    pieces: mpsc::Sender<Vec<u8>>,
    writer: JoinHandle<()>,
}

impl Transcript {
    /// None when nothing is kept.
    pub fn begin(control: &Arc<dyn ControlPlane>, order: &ExecuteCommand) -> Option<Transcript> {
        let stream = order.session_id.clone();
        let mut copies = Vec::new();
        if let Some(logs) = order.logs.clone() {
            let control = Arc::clone(control);
            let writer =
                Writer { control, logs, stream: stream.clone(), line: Vec::new(), lines: Vec::new(), bytes: 0 };
            copies.push(Copy::begin(|waiting| writer.run(waiting)));
        }
        if let Some(bucket) = order.bucket.clone() {
            let control = Arc::clone(control);
            copies.push(Copy::begin(|waiting| object::write(control, bucket, stream, waiting)));
        }
        (!copies.is_empty()).then_some(Transcript(copies))
    }

    pub fn has_room(&self) -> bool {
        self.0.iter().all(|copy| copy.pieces.capacity() > PIECES / 2)
    }

    pub async fn room(&self) {
        for copy in &self.0 {
            let _ = copy.pieces.reserve_many(PIECES / 2 + 1).await;
        }
    }

    pub fn note(&self, bytes: &[u8]) {
        for copy in &self.0 {
            // There is room: it is looked for before anything is read.
            let _ = copy.pieces.try_send(bytes.to_vec());
        }
    }

    pub async fn finish(self) {
        let writers = self.0.into_iter().map(|copy| copy.writer);
        if timeout(FINISH_WITHIN, futures::future::join_all(writers)).await.is_err() {
            tracing::warn!("the last lines of a session are still being written down");
        }
    }
}

impl Copy {
    fn begin<W: Future<Output = ()> + Send + 'static>(write: impl FnOnce(mpsc::Receiver<Vec<u8>>) -> W) -> Copy {
        let (pieces, waiting) = mpsc::channel(PIECES);
        Copy { pieces, writer: tokio::spawn(write(waiting)) }
    }
}

struct Writer {
    control: Arc<dyn ControlPlane>,
    logs: SessionLogs,
    stream: String,
    line: Vec<u8>,
    lines: Vec<(i64, String)>,
    bytes: usize,
}

impl Writer {
    async fn run(mut self, mut pieces: mpsc::Receiver<Vec<u8>>) {
        let mut due = None;
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Some(Vec::new()),
            };
            let Some(piece) = piece else { break };
            self.take(&piece);
            if self.bytes >= WRITE_BYTES || (piece.is_empty() && !self.lines.is_empty()) {
                self.write().await;
            }
            due = due.filter(|_| !piece.is_empty());
            if due.is_none() && !self.lines.is_empty() {
                due = Some(Instant::now() + WRITE_AFTER);
            }
        }
        if !self.line.is_empty() {
            self.end_line();
        }
        self.write().await;
    }

    fn take(&mut self, piece: &[u8]) {
        for &byte in piece {
            if byte == b'\n' || self.line.len() >= LINE_BYTES_MAX {
                self.end_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
        // CloudWatch Logs takes no empty events.
        if !line.is_empty() {
            self.bytes += line.len();
            self.lines.push((clock::now().as_millis(), line));
        }
    }

    async fn write(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.bytes = 0;
        if lines.is_empty() {
            return;
        }
        for attempt in 1..=TRIES {
            match self.control.write_log(&self.logs, &self.stream, &lines).await {
                Ok(()) => return,
                Err(ApiError::Unavailable(_)) if attempt < TRIES => tokio::time::sleep(TRY_AGAIN_AFTER * attempt).await,
                Err(error) => {
                    let (group, stream) = (&self.logs.group, &self.stream);
                    return tracing::warn!(group, stream, %error, "lines of a session were not written down");
                }
            }
        }
    }
}
