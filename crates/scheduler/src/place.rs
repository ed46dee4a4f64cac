//! A round of placements on one snapshot.

use std::collections::BTreeMap;

use model::{ContainerInstanceArn, Reservation, Scope};
use state::Snapshot;

use crate::filter::Kept;
use crate::index::Index;
use crate::pool::Prepared;
use crate::{Explanation, Indexes, Provider, Rejection, Request, provider};

/// How many different requests of one round are remembered at a time.
const PREPARED_MAX: usize = 16;

/// Where one task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub instance: ContainerInstanceArn,
    /// By which capacity provider it came there, if by one.
    pub capacity_provider: Option<String>,
}

/// The instances of one cluster, with what this round has already placed on them.
pub struct Scheduler<'a> {
    indexes: &'a Indexes,
    /// Nothing only when it has been given back.
    index: Option<Index>,
    cluster: String,
    kept: Vec<Kept>,
    prepared: Vec<Prepared>,
    /// Decides between equals; it comes from the caller, because nothing here may be random.
    seed: u64,
    placements: u64,
    /// What each capacity provider was asked for in this round, whether it fitted or not: nobody else gets its share.
    asked: BTreeMap<String, u32>,
    asked_last: Option<String>,
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
            asked: BTreeMap::new(),
            asked_last: None,
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
        self.keep_room_to_grow(daemon, BTreeMap::new());
    }

    /// The same; and where it has a task that another one is to succeed, nobody gets what that one needs beyond what is held.
    pub fn keep_room_to_grow(&mut self, daemon: Request, succeeds: BTreeMap<String, Reservation>) {
        self.kept.push(Kept { daemon, succeeds });
    }

    /// What is placed from now on is shared among capacity providers by itself, whatever they were asked for before.
    pub fn share_anew(&mut self) {
        self.asked.clear();
        self.asked_last = None;
    }

    /// Places one task on the best instance. Nothing when it fits nowhere; [`explain`](Self::explain) says why.
    ///
    /// A request with capacity providers goes to the one whose turn it is.
    pub fn place(&mut self, request: &Request) -> Option<Placement> {
        let asked = |name: &str| self.asked.get(name).copied().unwrap_or_default();
        let Some(provider) = provider::next(&request.providers, asked) else { return self.place_anywhere(request) };
        let name = Some(provider.name().to_owned());
        let placed = self.place_anywhere(&provider::within(request, provider));
        *self.asked.entry(provider.name().to_owned()).or_default() += 1;
        self.asked_last.clone_from(&name);
        placed.map(|placement| Placement { capacity_provider: name, ..placement })
    }

    fn place_anywhere(&mut self, request: &Request) -> Option<Placement> {
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
        Some(Placement { instance: pool.candidate(slot).instance.arn(), capacity_provider: None })
    }

    /// The capacity provider that was asked last, when tasks for which it has no room wait for instances.
    pub fn waits_for<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let last = request.providers.iter().find(|one| Some(one.name()) == self.asked_last.as_deref());
        last.filter(|provider| provider.scales).map(Provider::name)
    }

    /// Why each instance that would not take such a task now does not. It looks at all of them, so ask only when somebody
    /// will read it. Of several capacity providers it speaks of the one that was asked last.
    pub fn explain(&self, request: &Request) -> Explanation {
        let last = request.providers.iter().find(|one| Some(one.name()) == self.asked_last.as_deref());
        let within = last.map(|provider| provider::within(request, provider));
        let request = within.as_ref().unwrap_or(request);
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
                Ok(Placement { instance, capacity_provider: None })
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
