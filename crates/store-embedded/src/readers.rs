//! Connections that only read, beside the writer.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
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

/// How many entries, and about how many bytes, are handed over at once.
const PART_ENTRIES: usize = 2_000;
const PART_BYTES: usize = 1024 * 1024;

/// Hands over all entries that begin with `prefix`, a part at a time. The entries of a part share its bytes.
pub(crate) fn scan(
    connection: &Connection,
    prefix: &[u8],
    mut take: impl FnMut(Vec<Entry>),
) -> rusqlite::Result<Revision> {
    let head = Head::read(connection)?;
    let mut select =
        connection.prepare_cached("SELECT key, value, mod_revision FROM entries WHERE key >= ?1 ORDER BY key")?;
    let mut rows = select.query((prefix,))?;
    let mut part = Part::default();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob()?;
        if !key.starts_with(prefix) {
            break;
        }
        part.add(key, row.get_ref(1)?.as_blob()?, Revision(row.get(2)?));
        if part.places.len() == PART_ENTRIES || part.bytes.len() >= PART_BYTES {
            take(part.entries());
        }
    }
    if !part.places.is_empty() {
        take(part.entries());
    }
    Ok(Revision(head.revision))
}

#[derive(Default)]
struct Part {
    bytes: BytesMut,
    /// How long the key and the value of each entry are.
    places: Vec<(usize, usize, Revision)>,
}

impl Part {
    fn add(&mut self, key: &[u8], value: &[u8], revision: Revision) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.places.push((key.len(), value.len(), revision));
    }

    /// What was added. Begins anew.
    fn entries(&mut self) -> Vec<Entry> {
        let mut bytes = self.bytes.split().freeze();
        let entry = |(key, value, mod_revision)| {
            let (key, value) = (bytes.split_to(key), bytes.split_to(value));
            Entry { key, value, mod_revision }
        };
        self.places.drain(..).map(entry).collect()
    }
}

pub(crate) fn range(connection: &Connection, prefix: &[u8]) -> rusqlite::Result<(Revision, Vec<Entry>)> {
    let mut entries = Vec::new();
    let revision = scan(connection, prefix, |part| entries.extend(part))?;
    Ok((revision, entries))
}
