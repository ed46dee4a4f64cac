//! The two files of one task, written away from the loop.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::disk::{Flush, RecordError, flush, replace};
use super::{STATE, TaskState, VERSION};

/// The files of one task. Clones write to the same ones; the last state wins.
#[derive(Clone)]
pub struct TaskFile {
    shared: Arc<Shared>,
}

struct Shared {
    record: PathBuf,
    state: PathBuf,
    boot: Option<String>,
    pending: Mutex<Pending>,
    kept: watch::Sender<Kept>,
    /// How many states are written, or have been overtaken by one that is.
    written: watch::Sender<u64>,
}

/// What has become of the record.
#[derive(Clone, Debug)]
enum Kept {
    Not,
    /// A killed agent's successor finds it.
    Written,
    /// It survives a loss of power.
    Durably,
    Failed(Arc<RecordError>),
}

#[derive(Default)]
struct Pending {
    record: Option<Vec<u8>>,
    flush: bool,
    state: Option<Vec<u8>>,
    /// How many states there were in all.
    states: u64,
    remove: bool,
    writing: bool,
}

impl TaskFile {
    /// One that is written from here on.
    pub(super) fn new(record: PathBuf, boot: Option<String>, bytes: Vec<u8>) -> TaskFile {
        let file = TaskFile::of(record, boot, Kept::Not);
        file.enqueue(|pending| (pending.record, pending.flush) = (Some(bytes), true));
        file
    }

    /// One that an earlier agent has written.
    pub(super) fn found(record: PathBuf, boot: Option<String>) -> TaskFile {
        TaskFile::of(record, boot, Kept::Written)
    }

    fn of(record: PathBuf, boot: Option<String>, kept: Kept) -> TaskFile {
        let shared = Shared {
            state: record.with_extension(STATE),
            record,
            boot,
            pending: Mutex::default(),
            kept: watch::Sender::new(kept),
            written: watch::Sender::new(0),
        };
        TaskFile { shared: Arc::new(shared) }
    }

    /// Returns at once. States that come faster than the disk are written as one.
    pub fn save(&self, engine: String, told: bool) {
        let state = TaskState { version: VERSION, engine, told, boot: self.shared.boot.clone() };
        let bytes = serde_json::to_vec(&state).expect("a state has string keys only");
        self.enqueue(|pending| {
            pending.state = Some(bytes);
            pending.states += 1;
        });
    }

    /// Resolves when an agent that is started next would find the record, or when it cannot be written.
    pub fn written(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut kept = self.shared.kept.subscribe();
        async move {
            let _ = kept.wait_for(|kept| !matches!(kept, Kept::Not)).await;
        }
    }

    /// Resolves when the record is on the disk.
    pub fn durable(&self) -> impl Future<Output = Result<(), Arc<RecordError>>> + Send + use<> {
        let mut kept = self.shared.kept.subscribe();
        if matches!(*kept.borrow(), Kept::Written | Kept::Failed(_)) {
            self.shared.kept.send_modify(|kept| *kept = Kept::Written);
            self.enqueue(|pending| pending.flush = true);
        }
        async move {
            match kept.wait_for(|kept| matches!(kept, Kept::Durably | Kept::Failed(_))).await.as_deref() {
                Ok(Kept::Failed(error)) => Err(error.clone()),
                // An error is a task that was removed meanwhile.
                _ => Ok(()),
            }
        }
    }

    /// Resolves when the states that were saved so far are written, or cannot be.
    pub fn saved(&self) -> impl Future<Output = ()> + Send + use<> {
        let states = self.shared.lock().states;
        let mut written = self.shared.written.subscribe();
        async move {
            let _ = written.wait_for(|written| *written >= states).await;
        }
    }

    /// Nothing is written afterwards.
    pub fn remove(&self) {
        self.enqueue(|pending| pending.remove = true);
    }

    fn enqueue(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.shared.lock();
        if pending.remove {
            return;
        }
        change(&mut pending);
        if !std::mem::replace(&mut pending.writing, true) {
            let shared = self.shared.clone();
            tokio::task::spawn_blocking(move || shared.write_pending());
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_pending(&self) {
        loop {
            let mut pending = self.lock();
            if pending.remove {
                // `writing` stays set, so nothing is ever written again.
                let states = pending.states;
                drop(pending);
                self.remove();
                self.kept.send_replace(Kept::Durably);
                self.written.send_replace(states);
                return;
            }
            let (record, state, states) = (pending.record.take(), pending.state.take(), pending.states);
            let wants_flush = std::mem::take(&mut pending.flush);
            if record.is_none() && state.is_none() && !wants_flush {
                pending.writing = false;
                return;
            }
            drop(pending);
            if let Some(record) = record {
                let written = replace(&self.record, &record, Flush::No);
                self.kept.send_replace(written.map_or_else(|error| Kept::Failed(Arc::new(error)), |()| Kept::Written));
            }
            // Before the flush, which takes much longer.
            if let Some(state) = state {
                if let Err(error) = replace(&self.state, &state, Flush::No) {
                    tracing::error!(error = &error as &dyn std::error::Error, "a task's state was not written");
                }
                self.written.send_replace(states);
            }
            if wants_flush && !matches!(*self.kept.borrow(), Kept::Failed(_)) {
                let flushed = flush(&self.record);
                self.kept.send_replace(flushed.map_or_else(|error| Kept::Failed(Arc::new(error)), |()| Kept::Durably));
            }
        }
    }

    /// The record first: a state without one is nobody's, a record without one would begin again.
    fn remove(&self) {
        for path in [&self.record, &self.state] {
            let _ = fs::remove_file(path);
        }
    }
}
