//! Connections that only read, beside the writer.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::Connection;
use store::{Entry, Revision};
use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::schema::{Head, open_reader};

/// How many reads run at the same time; more wait.
const READERS_MAX: usize = 4;

pub(crate) struct Readers {
    path: PathBuf,
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Readers { path, turns: Semaphore::new(READERS_MAX), idle: Mutex::new(Vec::new()) }
    }

    /// Waits for one of the few places. Hold it while [`Readers::read`] runs on a thread that may block.
    pub(crate) async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.turns.acquire().await.expect("nobody closes this semaphore")
    }

    /// Runs one read in one transaction: all of it sees the same revision. Blocks.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        let transaction = connection.unchecked_transaction()?;
        let done = work(&transaction)?;
        transaction.finish()?;
        // A connection that failed is not kept: the next read opens the file anew.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(done)
    }
}

pub(crate) fn range(connection: &Connection, prefix: &[u8]) -> rusqlite::Result<(Revision, Vec<Entry>)> {
    let head = Head::read(connection)?;
    let mut select =
        connection.prepare_cached("SELECT key, value, mod_revision FROM entries WHERE key >= ?1 ORDER BY key")?;
    let mut rows = select.query((prefix,))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob()?;
        if !key.starts_with(prefix) {
            break;
        }
        entries.push(Entry {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?),
            mod_revision: Revision(row.get(2)?),
        });
    }
    Ok((Revision(head.revision), entries))
}
