//! The one thread that makes segments of the write-ahead log, merges them, and removes what nobody needs any more.
//!
//! It alone writes the manifest. Whatever it does is done in this order: what is new is durable, the manifest says so,
//! memory says so, what is old goes. What fails is tried again.

mod backlog;
mod merge;
mod purge;
mod wal;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use stdx::Timestamp;

pub(crate) use backlog::Backlog;

use crate::damage::Damages;
use crate::error::{ChangeError, StoreError};
use crate::event::RawEvent;
use crate::group::Group;
use crate::limits::{SEAL_RETRY_MAX, SEAL_RETRY_MIN};
use crate::manifest::{Entry, Manifest};
use crate::objects::Objects;
use crate::options::Options;
use crate::segment::index::Origin;
use crate::segment::{self, Builder, Sealed};
use crate::turn::Answer;
use crate::wal::WalFile;
use crate::writer::Groups;

pub(crate) enum Job {
    /// This file of the write-ahead log, in which these groups have something, is full.
    Seal { file: Arc<WalFile>, groups: Vec<Arc<Group>> },
    /// A group was deleted; its directory has another name now.
    Purge { group: u64, directory: PathBuf },
    /// A stream of the group was deleted.
    Sweep { group: Arc<Group> },
    /// Time has passed.
    Expire { now: Timestamp, answer: Answer },
    /// Somebody waits till all that was to be sealed is.
    Sealed { answer: Answer },
}

pub(crate) struct Sealer {
    pub(crate) groups: Groups,
    pub(crate) objects: Objects,
    pub(crate) manifest: Manifest,
    pub(crate) options: Options,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) damages: Damages,
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) builder: Builder,
    /// Held for as long as anybody writes.
    pub(crate) _lock: Arc<std::fs::File>,
}

/// Files to seal, the oldest first: the manifest passes them in order.
#[derive(Default)]
struct Waiting {
    files: VecDeque<(Arc<WalFile>, Vec<Arc<Group>>)>,
    answers: Vec<Answer>,
    pause: Option<Duration>,
    /// Groups whose segments may hold much of deleted streams. That is for when there is nothing else to do.
    sparse: VecDeque<Arc<Group>>,
}

impl Sealer {
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        self.objects.sweep_staged();
        self.purge();
        let mut waiting = Waiting::default();
        while !self.is_stopping() {
            let idle = waiting.files.is_empty();
            let job = match waiting.pause.filter(|_| !idle) {
                Some(pause) => jobs.recv_timeout(pause),
                None if idle && waiting.sparse.is_empty() => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                None => jobs.try_recv().map_err(|_| RecvTimeoutError::Timeout),
            };
            match job {
                Ok(job) => self.take(job, &mut waiting),
                Err(RecvTimeoutError::Timeout) if idle => self.rewrite_next(&mut waiting),
                Err(RecvTimeoutError::Timeout) => self.seal_next(&mut waiting),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn take(&mut self, job: Job, waiting: &mut Waiting) {
        match job {
            Job::Seal { file, groups } => waiting.files.push_back((file, groups)),
            Job::Purge { group, directory } => self.purge_group(group, &directory),
            Job::Sweep { group } => {
                if let Err(error) = self.sweep(&group) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a deleted log stream keeps its space");
                }
                if !waiting.sparse.iter().any(|known| known.number == group.number) {
                    waiting.sparse.push_back(group);
                }
            }
            Job::Expire { now, answer } => drop(answer.send(self.expire(now).map_err(ChangeError::Write))),
            Job::Sealed { answer } if waiting.files.is_empty() => drop(answer.send(Ok(()))),
            Job::Sealed { answer } => waiting.answers.push(answer),
        }
    }

    /// Writes one segment anew of which deleted streams have most, if there is one.
    fn rewrite_next(&mut self, waiting: &mut Waiting) {
        let Some(group) = waiting.sparse.front() else { return };
        match self.rewrite_sparse(group) {
            Ok(true) => self.purge(),
            Ok(false) => drop(waiting.sparse.pop_front()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a deleted log stream keeps its space");
                waiting.sparse.pop_front();
            }
        }
    }

    fn seal_next(&mut self, waiting: &mut Waiting) {
        let Some((file, groups)) = waiting.files.front() else { return };
        match self.seal(file, groups) {
            Ok(()) => {
                waiting.pause = None;
                self.backlog.remove();
                let sealed = waiting.files.pop_front();
                for group in sealed.iter().flat_map(|(_, groups)| groups) {
                    self.merge_small(group);
                }
                self.purge();
            }
            Err(error) => {
                let pause = waiting.pause.map_or(SEAL_RETRY_MIN, |pause| (pause * 2).min(SEAL_RETRY_MAX));
                waiting.pause = Some(pause);
                tracing::error!(error = &error as &dyn std::error::Error, ?pause, "failed to seal logs; trying again");
            }
        }
        if waiting.files.is_empty() {
            waiting.answers.drain(..).for_each(|answer| drop(answer.send(Ok(()))));
        }
    }

    /// Makes a segment of events, durably; the manifest does not know it yet.
    fn store(
        &mut self,
        group: u64,
        origin: Origin,
        events: &mut [RawEvent<'_>],
    ) -> Result<Option<Arc<Sealed>>, StoreError> {
        if events.is_empty() {
            return Ok(None);
        }
        let number = self.manifest.table.groups.get(&group).map_or(1, |known| known.next_segment);
        let built = self.builder.build(group, number, origin, events);
        let (bytes, sealed) = built.map_err(|error| StoreError::Compress { source: Arc::new(error) })?;
        self.objects.put(&segment::name(group, number), bytes)?;
        Ok(Some(Arc::new(sealed)))
    }

    /// Commits that segments of a group have become others, or nothing, and shows it.
    fn replace(&mut self, group: &Group, removed: Vec<u64>, added: Option<Arc<Sealed>>) -> Result<(), StoreError> {
        let entry = Entry::Replaced { group: group.number, removed, added: added.into_iter().collect() };
        self.manifest.commit(&entry)?;
        let Entry::Replaced { removed, added, .. } = entry else { return Ok(()) };
        group.change(|state| {
            state.sealed.retain(|sealed| !removed.contains(&sealed.number));
            state.sealed.extend(added);
            state.sealed.sort_by_key(|sealed| sealed.number);
            state.recount();
        })
    }
}
