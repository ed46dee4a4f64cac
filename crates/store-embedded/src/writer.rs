//! The one thread that writes. It takes what waits, does it in one transaction, and then answers everybody.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use store::{CommitError, LeaseError, LeaseId, RawChanges, Revision};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::checkpoint::Checkpoints;
use crate::engine::Options;
use crate::fault::Fault;
use crate::recent::Recent;
use crate::schema::Head;
use crate::turn::Turn;

/// The most requests in one transaction; more wait for the next. It bounds how long the first one waits for the last.
const REQUESTS_MAX: usize = 1024;
/// The most bytes of changes in one transaction, unless a single commit has more.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the thread sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

pub(crate) enum Request {
    Commit {
        changes: RawChanges,
        bytes: usize,
        answer: oneshot::Sender<Result<Revision, CommitError>>,
        place: OwnedSemaphorePermit,
    },
    Grant {
        ttl: Duration,
        answer: oneshot::Sender<Result<LeaseId, LeaseError>>,
    },
    KeepAlive {
        lease: LeaseId,
        answer: oneshot::Sender<Result<(), LeaseError>>,
    },
    Revoke {
        lease: LeaseId,
        answer: oneshot::Sender<Result<(), LeaseError>>,
    },
    /// The clock jumped: look for expired leases.
    Look,
    Close,
}

struct Lease {
    ttl: Duration,
    deadline: Duration,
}

pub(crate) struct Writer {
    /// Ends before the connection: the last one to go moves the whole log.
    checkpoints: Checkpoints,
    connection: Connection,
    path: PathBuf,
    /// Held for as long as the thread writes. The kernel lets go of it when the process dies.
    _lock: File,
    options: Options,
    head: Head,
    leases: BTreeMap<LeaseId, Lease>,
    /// The size in bytes of each row of history, oldest first, and their sum.
    history: VecDeque<usize>,
    history_bytes: usize,
    recent: Arc<Recent>,
    announced: watch::Sender<Revision>,
}

/// What is told to one requester once the turn is durable.
type Answer = Box<dyn FnOnce(Result<(), &Fault>)>;

impl Writer {
    pub(crate) fn new(
        (connection, checkpoints): (Connection, Checkpoints),
        path: PathBuf,
        lock: File,
        options: Options,
        recent: impl FnOnce(Revision) -> Arc<Recent>,
        announced: watch::Sender<Revision>,
    ) -> rusqlite::Result<Self> {
        let head = Head::read(&connection)?;
        let now = options.clock.now();
        let mut leases = BTreeMap::new();
        let mut history = VecDeque::new();
        {
            let mut select = connection.prepare("SELECT id, ttl_seconds FROM leases")?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let ttl = Duration::from_secs(row.get(1)?);
                leases.insert(LeaseId(row.get(0)?), Lease { ttl, deadline: now + ttl });
            }
            let mut select = connection.prepare("SELECT length(changes) FROM history ORDER BY revision")?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                history.push_back(row.get(0)?);
            }
        }
        let recent = recent(Revision(head.revision));
        announced.send_replace(Revision(head.revision));
        let history_bytes = history.iter().sum();
        Ok(Writer {
            checkpoints,
            connection,
            path,
            _lock: lock,
            options,
            head,
            leases,
            history,
            history_bytes,
            recent,
            announced,
        })
    }

    /// Runs until it is told to close, or until nothing written can be trusted any more.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let (group, closing) = gather(requests, self.until_next_expiry());
            if let Err(fault) = self.turn(group) {
                tracing::error!(store = %self.path.display(), error = %fault, "failed to write to the store");
                if fault.forbids_going_on() {
                    tracing::error!(store = %self.path.display(), "the disk lost what was written; closing the store");
                    return;
                }
                if fault.is_full() {
                    // What the log holds may already have its place in the main file; then the log can shrink.
                    let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
                }
            }
            if closing {
                return;
            }
            self.checkpoints.look(&self.connection, &self.path);
        }
    }

    fn until_next_expiry(&self) -> Duration {
        let now = self.options.clock.now();
        self.leases.values().map(|lease| lease.deadline.saturating_sub(now)).min().unwrap_or(IDLE)
    }

    /// One transaction. When it fails, everybody in it hears so, and nothing has happened.
    fn turn(&mut self, group: Vec<Request>) -> Result<(), Fault> {
        let now = self.options.clock.now();
        let due: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| lease.deadline <= now).map(|(id, _)| *id).collect();
        let group = self.keep_alive(group, &due, now);
        if due.is_empty() && group.is_empty() {
            return Ok(());
        }
        let mut answers: Vec<Answer> = Vec::with_capacity(group.len());
        let mut leases = LeaseChanges { ended: due, granted: Vec::new() };
        match self.write(group, &mut answers, &mut leases) {
            Ok(done) => {
                failpoint::place("store.committed");
                self.take_over(done, leases, now);
                answers.into_iter().for_each(|answer| answer(Ok(())));
                Ok(())
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                let fault = Fault::from(error);
                answers.into_iter().for_each(|answer| answer(Err(&fault)));
                Err(fault)
            }
        }
    }

    /// Answers who only wants to stay alive: that needs no disk. Returns everybody else.
    fn keep_alive(&mut self, group: Vec<Request>, due: &[LeaseId], now: Duration) -> Vec<Request> {
        let mut others = Vec::with_capacity(group.len());
        for request in group {
            match request {
                Request::KeepAlive { lease, answer } => {
                    let held = self.leases.get_mut(&lease).filter(|_| !due.contains(&lease));
                    let told = held.map(|held| held.deadline = now + held.ttl).ok_or(LeaseError::NotFound { lease });
                    let _ = answer.send(told);
                }
                Request::Look | Request::Close => {}
                other => others.push(other),
            }
        }
        others
    }

    fn write(
        &self,
        group: Vec<Request>,
        answers: &mut Vec<Answer>,
        leases: &mut LeaseChanges,
    ) -> rusqlite::Result<Done> {
        // Whoever is in the group gets an answer whatever happens, so the work and the answers are made in two passes:
        // after the first error the rest is only answered.
        let mut turn = Turn::begin(&self.connection, self.head);
        let mut failed = None;
        for lease in leases.ended.clone() {
            attempt(&mut turn, &mut failed, |turn| turn.end_lease(lease));
        }
        for request in group {
            match request {
                Request::Commit { changes, answer, place, .. } => {
                    let judged = attempt(&mut turn, &mut failed, |turn| turn.commit(changes));
                    answers.push(Box::new(move |durable| {
                        let _ = answer.send(told(durable, judged, Fault::commit));
                        drop(place);
                    }));
                }
                Request::Grant { ttl, answer } => {
                    let granted = attempt(&mut turn, &mut failed, |turn| turn.grant(ttl));
                    leases.granted.extend(granted.map(|lease| (lease, ttl)));
                    answers.push(Box::new(move |durable| {
                        let _ = answer.send(told(durable, granted.map(Ok), Fault::lease));
                    }));
                }
                Request::Revoke { lease, answer } => {
                    let known = self.leases.contains_key(&lease) && !leases.ended.contains(&lease);
                    let ended = attempt(&mut turn, &mut failed, |turn| match known {
                        true => turn.end_lease(lease).map(Ok),
                        false => Ok(Err(LeaseError::NotFound { lease })),
                    });
                    if known {
                        leases.ended.push(lease);
                    }
                    answers.push(Box::new(move |durable| {
                        let _ = answer.send(told(durable, ended, Fault::lease));
                    }));
                }
                Request::KeepAlive { .. } | Request::Look | Request::Close => {}
            }
        }
        let mut turn = turn?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(through) = self.compact_through(&turn) {
            turn.compact(through)?;
        }
        turn.end(self.head)?;
        Ok(Done { head: turn.head, batches: turn.batches, history_sizes: turn.history_sizes })
    }

    /// Where to cut history, when enough has gathered above the limits that a cut is worth it.
    fn compact_through(&self, turn: &Turn<'_>) -> Option<u64> {
        let keep = self.options.history_revisions.max(1);
        let slack = (keep / 8).clamp(1, 512);
        let mut count = self.history.len() + turn.history_sizes.len();
        let mut bytes = self.history_bytes + turn.history_sizes.iter().sum::<usize>();
        if count <= keep + slack && bytes <= self.options.history_bytes_max {
            return None;
        }
        let oldest = turn.head.revision - count as u64 + 1;
        let mut cut = 0;
        // The newest batch always stays: a watcher that is one behind must not have to read everything.
        for size in self.history.iter().chain(&turn.history_sizes) {
            if count <= 1 || (count <= keep && bytes <= self.options.history_bytes_max / 8 * 7) {
                break;
            }
            count -= 1;
            bytes -= size;
            cut += 1;
        }
        (cut > 0).then(|| oldest + cut - 1)
    }

    /// The turn is durable: now it may be seen.
    fn take_over(&mut self, done: Done, leases: LeaseChanges, now: Duration) {
        let cut = done.head.compacted - self.head.compacted;
        self.head = done.head;
        for size in done.history_sizes {
            self.history.push_back(size);
            self.history_bytes += size;
        }
        for _ in 0..cut {
            self.history_bytes -= self.history.pop_front().unwrap_or_default();
        }
        for (lease, ttl) in leases.granted {
            self.leases.insert(lease, Lease { ttl, deadline: now + ttl });
        }
        for lease in leases.ended {
            self.leases.remove(&lease);
        }
        if !done.batches.is_empty() {
            self.recent.push(done.batches, Revision(self.head.compacted));
            self.announced.send_replace(Revision(self.head.revision));
        }
    }
}

struct LeaseChanges {
    ended: Vec<LeaseId>,
    granted: Vec<(LeaseId, Duration)>,
}

struct Done {
    head: Head,
    batches: Vec<Arc<store::Batch>>,
    history_sizes: Vec<usize>,
}

/// Runs one step of a turn, unless an earlier one failed.
fn attempt<'c, T>(
    turn: &mut rusqlite::Result<Turn<'c>>,
    failed: &mut Option<rusqlite::Error>,
    step: impl FnOnce(&mut Turn<'c>) -> rusqlite::Result<T>,
) -> Option<T> {
    let Ok(turn) = turn else { return None };
    if failed.is_some() {
        return None;
    }
    step(turn).map_err(|error| *failed = Some(error)).ok()
}

fn told<T, E>(durable: Result<(), &Fault>, judged: Option<Result<T, E>>, refusal: fn(&Fault) -> E) -> Result<T, E> {
    match (durable, judged) {
        (Err(fault), _) => Err(refusal(fault)),
        (Ok(()), Some(judged)) => judged,
        (Ok(()), None) => unreachable!("a turn in which a step failed is never durable"),
    }
}

/// Everything that waits, at most one turn full; and whether this is the end.
fn gather(requests: &Receiver<Request>, patience: Duration) -> (Vec<Request>, bool) {
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut next = match requests.recv_timeout(patience) {
        Err(RecvTimeoutError::Timeout) => return (group, false),
        Err(RecvTimeoutError::Disconnected) => return (group, true),
        Ok(first) => Some(first),
    };
    while let Some(request) = next {
        match request {
            Request::Close => return (group, true),
            Request::Commit { bytes: more, .. } => bytes += more,
            _ => {}
        }
        group.push(request);
        if group.len() == REQUESTS_MAX || bytes >= GROUP_BYTES_MAX {
            break;
        }
        next = requests.try_recv().ok();
    }
    (group, false)
}

pub(crate) type Requests = mpsc::Sender<Request>;
