//! Reads all records of a store.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};

use state::{AnyRecord, DecodeError, Key, Revision, Snapshot};
use store::{Engine, Entry};
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

/// Why the records cannot be read.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("failed to read the store")]
    Read(#[source] store::EngineError),
    #[error("failed to understand the record {key}")]
    Record {
        key: String,
        #[source]
        source: DecodeError,
    },
    #[error("reading the records was broken off")]
    Broken(#[source] JoinError),
}

/// Parts that wait to be decoded; the store is read no further ahead.
const PARTS_WAITING: usize = 8;
/// Threads that decode. More would only wait for the one that reads.
const DECODERS_MAX: usize = 4;

type Records = Vec<(Key, AnyRecord, Revision)>;

/// One thread reads, and others decode what it has read.
pub(super) async fn load(engine: &dyn Engine) -> Result<Snapshot, LoadError> {
    let (parts, waiting) = mpsc::sync_channel::<(usize, Vec<Entry>)>(PARTS_WAITING);
    let waiting = Arc::new(Mutex::new(waiting));
    let decoders = std::thread::available_parallelism().map_or(1, usize::from).min(DECODERS_MAX);
    let decoding: Vec<_> = (0..decoders)
        .map(|_| {
            spawn_blocking({
                let waiting = waiting.clone();
                move || decode(&waiting)
            })
        })
        .collect();
    drop(waiting);
    let mut number = 0;
    let take = move |part| {
        number += 1;
        // When nobody decodes any more, one of them has found why.
        let _ = parts.send((number, part));
    };
    let revision = engine.scan(b"", Box::new(take)).await.map_err(LoadError::Read)?;
    let mut decoded = Vec::new();
    for one in decoding {
        decoded.extend(one.await.map_err(LoadError::Broken)??);
    }
    let build = move || {
        decoded.sort_unstable_by_key(|(number, _)| *number);
        Snapshot::of(decoded.into_iter().flat_map(|(_, records)| records), Revision(revision.0))
    };
    spawn_blocking(build).await.map_err(LoadError::Broken)
}

/// Decodes parts for as long as there are any, each with its number.
fn decode(waiting: &Mutex<Receiver<(usize, Vec<Entry>)>>) -> Result<Vec<(usize, Records)>, LoadError> {
    let mut decoded = Vec::new();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, part)) = next else { return Ok(decoded) };
        decoded.push((number, records(part)?));
    }
}

fn records(part: Vec<Entry>) -> Result<Records, LoadError> {
    let mut records = Vec::with_capacity(part.len());
    for entry in part {
        let key = String::from_utf8_lossy(&entry.key);
        match AnyRecord::read(&key, &entry.value) {
            Ok(Some(record)) => records.push((Key::from(key), record, Revision(entry.mod_revision.0))),
            Ok(None) => {}
            Err(source) => return Err(LoadError::Record { key: key.into_owned(), source }),
        }
    }
    Ok(records)
}
