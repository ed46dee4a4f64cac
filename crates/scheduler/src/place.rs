//! A round of placements on one snapshot.

use model::{ContainerInstanceArn, Scope};
use state::Snapshot;

use crate::index::Index;
use crate::pool::Prepared;
use crate::{Explanation, Indexes, Rejection, Request};

/// How many different requests of one round are remembered at a time.
const PREPARED_MAX: usize = 16;

/// Where one task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub instance: ContainerInstanceArn,
}

/// The instances of one cluster, with what this round has already placed on them.
pub struct Scheduler<'a> {
    indexes: &'a Indexes,
    /// Nothing only when it has been given back.
    index: Option<Index>,
    cluster: String,
    kept: Vec<Request>,
    prepared: Vec<Prepared>,
    /// Decides between equals; it comes from the caller, because nothing here may be random.
    seed: u64,
    placements: u64,
}

impl<'a> Scheduler<'a> {
    /// All instances of the cluster.
    pub fn new(indexes: &'a Indexes, snapshot: &Snapshot, scope: &Scope, cluster: &str, seed: u64) -> Self {
        Scheduler {
            indexes,
            index: Some(indexes.take(snapshot)),
            cluster: format!("{scope}/{cluster}"),
            kept: Vec::new(),
            prepared: Vec::new(),
            seed,
            placements: 0,
        }
    }

    fn index(&self) -> &Index {
        self.index.as_ref().expect("it is given back at the end only")
    }

    /// True when the cluster has no instance that could ever take a task.
    pub fn is_empty(&self) -> bool {
        self.index().pool(&self.cluster).is_none()
    }

    /// From now on, no other task gets what one task of this daemon needs, on any instance where the daemon may run and its
    /// group has no task yet.
    pub fn keep_room_for(&mut self, daemon: Request) {
        self.kept.push(daemon);
    }

    /// Places one task on the best instance. Nothing when it fits nowhere; [`explain`](Self::explain) says why.
    pub fn place(&mut self, request: &Request) -> Option<Placement> {
        self.placements += 1;
        let index = self.index.as_mut().expect("it is given back at the end only");
        let pool = index.pool_mut(&self.cluster)?;
        let generation = pool.generation;
        self.prepared.retain(|one| one.generation == generation);
        let at = match self.prepared.iter().position(|one| one.request == *request) {
            Some(at) => at,
            None => {
                if self.prepared.len() >= PREPARED_MAX {
                    self.prepared.remove(0);
                }
                self.prepared.push(pool.prepare(request));
                self.prepared.len() - 1
            }
        };
        let slot = pool.best(&self.prepared[at], &self.kept, self.seed, self.placements)?;
        pool.plan(slot, request);
        Some(Placement { instance: pool.candidate(slot).instance.arn() })
    }

    /// Why each instance that would not take such a task now does not. It looks at all of them, so ask only when somebody
    /// will read it.
    pub fn explain(&self, request: &Request) -> Explanation {
        let candidates = self.index().pool(&self.cluster).into_iter().flat_map(|pool| pool.candidates());
        Explanation::with_room_kept(candidates, request, &self.kept)
    }

    /// Places one task on this very instance, as StartTask wants it. Strategies have no say. No rejection means that there
    /// is no such instance.
    pub fn place_on(&mut self, id: &str, request: &Request) -> Result<Placement, Option<Rejection>> {
        let index = self.index.as_mut().expect("it is given back at the end only");
        let pool = index.pool_mut(&self.cluster).ok_or(None)?;
        let slot = pool.find(id).ok_or(None)?;
        let instance = pool.candidate(slot).instance.arn();
        match pool.shortage(slot, request, &self.kept) {
            Some(why) => Err(Some(Rejection { instance, why })),
            None => {
                pool.plan(slot, request);
                Ok(Placement { instance })
            }
        }
    }
}

impl Drop for Scheduler<'_> {
    fn drop(&mut self) {
        // What a panic has left half done is not kept.
        if let Some(index) = self.index.take().filter(|_| !std::thread::panicking()) {
            self.indexes.give_back(index);
        }
    }
}
