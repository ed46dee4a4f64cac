//! The store of the simulation: the records at each revision, in memory. And how one replica sees it, which may be late.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use state::{Changes, CommitError, Ledger, Op, Revision, Snapshot, Touched};

/// Who wrote a batch, for the checkers and for the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Author {
    #[default]
    Nobody,
    /// An operation of the API.
    Call(&'static str),
    /// A turn of the reconciler for the service of that name.
    Service(String),
    Janitor,
    /// What a connection says: an agent is there, or its tasks are healthy.
    Connection,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Author::Nobody => f.write_str("nobody"),
            Author::Call(operation) => f.write_str(operation),
            Author::Service(_) => f.write_str("reconciler"),
            Author::Janitor => f.write_str("janitor"),
            Author::Connection => f.write_str("connection"),
        }
    }
}

/// One commit, and the records after it.
pub struct Batch {
    pub snapshot: Arc<Snapshot>,
    pub touched: Vec<Touched>,
    pub author: Author,
}

pub struct Engine(Mutex<Log>);

struct Log {
    /// The revision of the first batch that is still kept.
    first: u64,
    batches: VecDeque<Arc<Batch>>,
    /// Guards of these kinds are not looked at: a bug that the checkers must see.
    blind_to: &'static [&'static str],
}

impl Engine {
    pub fn new(blind_to: &'static [&'static str]) -> Arc<Engine> {
        let nothing = Batch { snapshot: Arc::default(), touched: Vec::new(), author: Author::Nobody };
        Arc::new(Engine(Mutex::new(Log { first: 0, batches: VecDeque::from([Arc::new(nothing)]), blind_to })))
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        let log = self.log();
        log.batches.back().expect("there is always one").snapshot.clone()
    }

    pub fn revision(&self) -> Revision {
        let log = self.log();
        Revision(log.first + log.batches.len() as u64 - 1)
    }

    pub fn at(&self, revision: Revision) -> Arc<Batch> {
        let log = self.log();
        log.batches[(revision.0 - log.first) as usize].clone()
    }

    /// Nobody asks for what was before that revision any more.
    pub fn forget_before(&self, revision: Revision) {
        let mut log = self.log();
        while log.first < revision.0 && log.batches.len() > 1 {
            log.batches.pop_front();
            log.first += 1;
        }
    }

    pub fn commit(&self, changes: &Changes, author: Author) -> Result<Revision, CommitError> {
        let mut log = self.log();
        let current = &log.batches.back().expect("there is always one").snapshot;
        let seen = |key: &str| !log.blind_to.iter().any(|kind| key.starts_with(kind));
        if changes.guards().any(|guard| seen(&guard.key) && current.revision_of(&guard.key) != guard.revision) {
            return Err(CommitError::Conflict);
        }
        // Whoever writes nothing only wants to know that nothing has changed.
        if changes.is_empty() {
            return Ok(current.revision);
        }
        let revision = Revision(current.revision.0 + 1);
        let mut next = Snapshot::clone(current);
        let mut touched = Vec::with_capacity(changes.len());
        for op in changes.ops() {
            let (key, value) = match op {
                Op::Put { key, value, .. } => (key, Some(value.as_slice())),
                Op::Delete { key } => (key, None),
            };
            let one = next.absorb(key, value, revision);
            touched.push(one.map_err(|error| CommitError::Unavailable(Box::new(error)))?);
        }
        next.revision = revision;
        log.batches.push_back(Arc::new(Batch { snapshot: Arc::new(next), touched, author }));
        Ok(revision)
    }
}

/// When a replica dies in the middle of what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doom {
    /// Its next commit never reaches the store.
    BeforeCommit,
    /// Its next commit is durable, and nobody is told.
    AfterCommit,
}

/// The ledger of one replica. It sees what it has followed, and its own commits.
pub struct Seat {
    engine: Arc<Engine>,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    view: Arc<Snapshot>,
    doom: Option<Doom>,
    is_dead: bool,
    author: Author,
}

impl Seat {
    pub fn new(engine: Arc<Engine>) -> Arc<Seat> {
        Arc::new(Seat { engine, state: Mutex::default() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn view(&self) -> Arc<Snapshot> {
        self.state().view.clone()
    }

    pub fn follow(&self, revision: Revision) {
        let mut state = self.state();
        if state.view.revision < revision {
            state.view = self.engine.at(revision).snapshot.clone();
        }
    }

    /// Whose commits the next ones are.
    pub fn sign(&self, author: Author) {
        self.state().author = author;
    }

    pub fn doom(&self, doom: Doom) {
        self.state().doom = Some(doom);
    }

    pub fn spare(&self) {
        self.state().doom = None;
    }

    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// It reads everything anew, as after a start.
    pub fn revive(&self) {
        let view = self.engine.snapshot();
        *self.state() = Seen { view, ..Seen::default() };
    }

    pub fn commit_now(&self, changes: &Changes) -> Result<Revision, CommitError> {
        let gone = || CommitError::Unavailable(Box::new(std::io::Error::other("the replica has died")));
        let (doom, author) = {
            let mut state = self.state();
            if state.is_dead {
                return Err(gone());
            }
            let doom = state.doom.take();
            state.is_dead = doom.is_some();
            (doom, state.author.clone())
        };
        if doom == Some(Doom::BeforeCommit) {
            return Err(gone());
        }
        let committed = self.engine.commit(changes, author);
        if doom == Some(Doom::AfterCommit) {
            return Err(gone());
        }
        // Whoever wrote sees what it wrote, and whoever collided sees with what.
        self.follow(self.engine.revision());
        committed
    }
}

#[async_trait]
impl Ledger for Seat {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.view()
    }

    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError> {
        self.commit_now(&changes)
    }
}
