//! Logs Insights queries under way, and the answers of those that ended.
//!
//! A query is a thread that reads pages and feeds them to `log_insights::Run`; a few run at a time and the others wait for
//! their turn. Answers are kept in memory, with a bound; a query that was forgotten, or that a restart ended, is not found.

pub(crate) mod execute;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use api_logs::enums::query_status;
use log_insights::{Field, Query};
use log_store::{GroupKey, LogStore};
use shape::Timestamp;
use tokio::sync::Semaphore;

use crate::limits::{QUERIES_ACTIVE_MAX, QUERIES_AT_ONCE, QUERIES_BYTES_MAX, QUERIES_KEPT_MAX, QUERY_KEPT};
use crate::service::Clock;

/// What was asked.
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) groups: Vec<GroupKey>,
    pub(crate) text: String,
    pub(crate) query: Query,
    pub(crate) limit: Option<usize>,
    /// Milliseconds, both inclusive.
    pub(crate) range: (i64, i64),
    pub(crate) created: Timestamp,
    pub(crate) identity: String,
}

/// A query and how far it is.
pub(crate) struct Entry {
    pub(crate) asked: Asked,
    pub(crate) cancelled: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Clone)]
pub(crate) struct Progress {
    pub(crate) status: &'static str,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) rows: Arc<Vec<Vec<Field>>>,
    pub(crate) bytes: usize,
    pub(crate) statistics: Statistics,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Statistics {
    pub(crate) records_matched: u64,
    pub(crate) records_scanned: u64,
    pub(crate) bytes_scanned: u64,
    pub(crate) groups_scanned: u64,
}

impl Entry {
    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.progress().status, query_status::SCHEDULED | query_status::RUNNING)
    }

    /// An end is final: what comes later changes nothing.
    fn end(&self, status: &'static str, now: Timestamp, rows: Vec<Vec<Field>>) {
        let bytes = rows.iter().flatten().map(|field| field.name.len() + field.value.len() + 48).sum();
        self.change(|progress| {
            if progress.ended.is_none() {
                *progress = Progress { status, ended: Some(now), rows: Arc::new(rows), bytes, ..progress.clone() };
            }
        });
    }

    /// False when it had ended before.
    pub(crate) fn cancel(&self, now: Timestamp) -> bool {
        let was_active = self.is_active();
        self.cancelled.store(true, Ordering::Relaxed);
        self.end(query_status::CANCELLED, now, Vec::new());
        was_active
    }
}

/// All queries of a server.
pub(crate) struct Queries {
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    turns: Arc<Semaphore>,
}

impl Drop for Queries {
    /// Nobody will ask for the answers: the threads end with the page that they read.
    fn drop(&mut self) {
        let entries = self.entries.get_mut().unwrap_or_else(PoisonError::into_inner);
        entries.values().for_each(|entry| entry.cancelled.store(true, Ordering::Relaxed));
    }
}

/// As many queries of one account are under way as may be.
pub(crate) struct TooMany;

impl Queries {
    pub(crate) fn new() -> Queries {
        Queries { entries: Mutex::default(), turns: Arc::new(Semaphore::new(QUERIES_AT_ONCE)) }
    }

    pub(crate) fn find(&self, account: &str, region: &str, id: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(id).filter(|entry| entry.asked.account == account && entry.asked.region == region).cloned()
    }

    /// The newest first.
    pub(crate) fn all(&self, account: &str, region: &str) -> Vec<Arc<Entry>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |entry: &&Arc<Entry>| entry.asked.account == account && entry.asked.region == region;
        let mut found: Vec<Arc<Entry>> = entries.values().filter(ours).cloned().collect();
        found.sort_by(|a, b| (b.asked.created, &b.asked.id).cmp(&(a.asked.created, &a.asked.id)));
        found
    }

    /// Begins a query as soon as it is its turn.
    pub(crate) fn start(&self, store: Arc<LogStore>, clock: Clock, asked: Asked) -> Result<(), TooMany> {
        let entry = Arc::new(Entry {
            cancelled: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                status: query_status::SCHEDULED,
                ended: None,
                rows: Arc::default(),
                bytes: 0,
                statistics: Statistics::default(),
            }),
            asked,
        });
        self.admit(&entry)?;
        let turns = self.turns.clone();
        tokio::spawn(async move {
            let Ok(_turn) = turns.acquire_owned().await else { return };
            if entry.cancelled.load(Ordering::Relaxed) {
                return;
            }
            entry.change(|progress| {
                if progress.ended.is_none() {
                    progress.status = query_status::RUNNING;
                }
            });
            let (running, now) = (entry.clone(), clock.clone());
            let done = tokio::task::spawn_blocking(move || execute::run(&store, &running, &clock)).await;
            if done.is_err() {
                tracing::error!(query = entry.asked.id, "a query panicked");
                entry.end(query_status::FAILED, now(), Vec::new());
            }
        });
        Ok(())
    }

    fn admit(&self, new: &Arc<Entry>) -> Result<(), TooMany> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut entries, new.asked.created);
        let active = entries.values().filter(|entry| entry.asked.account == new.asked.account && entry.is_active());
        if active.count() >= QUERIES_ACTIVE_MAX {
            return Err(TooMany);
        }
        entries.insert(new.asked.id.clone(), new.clone());
        Ok(())
    }
}

/// Forgets answers that are old, and the oldest when all of them together are too many or too large.
fn forget(entries: &mut BTreeMap<String, Arc<Entry>>, now: Timestamp) {
    let mut ended: Vec<(Timestamp, usize, String)> = entries
        .values()
        .filter_map(|entry| {
            let progress = entry.progress();
            Some((progress.ended?, progress.bytes, entry.asked.id.clone()))
        })
        .collect();
    ended.sort();
    let (mut kept, mut bytes) = (entries.len(), ended.iter().map(|(_, bytes, _)| bytes).sum::<usize>());
    for (at, size, id) in ended {
        if now.since(at) < QUERY_KEPT && kept < QUERIES_KEPT_MAX && bytes <= QUERIES_BYTES_MAX {
            return;
        }
        entries.remove(&id);
        kept -= 1;
        bytes -= size;
    }
}
