//! Moves the write-ahead log into the main file, beside the writer.
//!
//! SQLite by itself lets every so many commits do that as well, and whoever is in one of those waits for thousands of pages and a
//! flush of the main file. A thread with a connection of its own does it here while the writer goes on. The log can only begin anew
//! when nothing in it is left to move, which under load is never so when the thread is done; so now and then the writer moves the
//! little that came meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::error::OpenError;
use crate::fault::opening;
use crate::schema::open_checkpointer;

/// How many pages the log grows before it is moved: 16 MiB.
const PAGES: u32 = 4096;
/// How long the log may be before the writer moves its end. What is in it costs disk, and time when the store is opened.
const LOG_PAGES_MAX: u32 = 4 * PAGES;

pub(crate) struct Checkpoints {
    /// How long the log was after the last commit, in pages.
    log: Arc<AtomicU32>,
    /// How long it was when it was last moved.
    moved: u32,
    busy: Arc<AtomicBool>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Takes the place of SQLite's own checkpoints.
    pub fn start(writer: &mut Connection, path: &Path) -> Result<Checkpoints, OpenError> {
        let log = Arc::new(AtomicU32::new(0));
        let counter = log.clone();
        let count = move |_: &mut Wal, pages| {
            counter.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(count)).map_err(opening(path))?;
        let connection = open_checkpointer(path).map_err(opening(path))?;
        let busy = Arc::new(AtomicBool::new(false));
        let (wake, woken) = sync_channel(1);
        let run = {
            let (path, busy) = (path.to_owned(), busy.clone());
            move || run(&connection, &path, &woken, &busy)
        };
        let thread = std::thread::Builder::new().name("store-checkpoint".into()).spawn(run);
        let thread = thread.map_err(OpenError::io("start the checkpoint thread of", path))?;
        Ok(Checkpoints { log, moved: 0, busy, wake: Some(wake), thread: Some(thread) })
    }

    /// For the writer to call between two transactions.
    pub fn look(&mut self, writer: &Connection, path: &Path) {
        let log = self.log.load(Ordering::Relaxed);
        if log < self.moved {
            // It has begun anew.
            self.moved = 0;
        }
        if log < self.moved + PAGES || self.busy.load(Ordering::Acquire) {
            return;
        }
        self.moved = log;
        if log >= LOG_PAGES_MAX {
            checkpoint(writer, path);
        } else if let Some(wake) = &self.wake {
            self.busy.store(true, Ordering::Release);
            // The thread takes whatever it was sent before it says that it is not busy.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, path: &Path, woken: &Receiver<()>, busy: &AtomicBool) {
    while woken.recv().is_ok() {
        checkpoint(connection, path);
        busy.store(false, Ordering::Release);
    }
}

/// Moves what can be moved without waiting for anybody. What fails is done again the next time: nothing is taken out of the log
/// before it is safe in the main file.
fn checkpoint(connection: &Connection, path: &Path) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())) {
        tracing::warn!(store = %path.display(), %error, "failed to move the write-ahead log into the main file");
    }
}
