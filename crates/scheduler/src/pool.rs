//! The instances of one cluster, sorted in every way that a placement has asked for, and kept so.
//!
//! A change of one instance moves it in each order, which takes a time that grows with the logarithm of their number; so does
//! finding the best instance. Looking at all instances remains for [`explain`](crate::Scheduler::explain).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ContainerInstance, ContainerInstanceStatus};
use state::Load;

use crate::classes::Classes;
use crate::draw::{draws, tie};
use crate::filter::{room, shortage};
use crate::groups::Groups;
use crate::query::Reach;
use crate::rank::{Order, Rank, Ranking, Step};
use crate::tree::{Place, Room, Tree};
use crate::{Candidate, Request, Shortage};

/// How many groups have an order of their own. Each takes some dozens of bytes for every instance.
const GROUP_ORDERS_MAX: usize = 8;
/// A group has an order of its own when it has cost so many looks for each instance: about what it takes to make the order.
const VAIN_LOOKS_PER_INSTANCE: usize = 16;

#[derive(Debug)]
struct Slot {
    candidate: Candidate,
    tie: u64,
    class: u32,
}

impl Slot {
    /// Only instances that take tasks stand in the orders.
    fn is_open(&self) -> bool {
        let instance = &self.candidate.instance;
        instance.status == ContainerInstanceStatus::Active && instance.agent_connected
    }
}

/// All instances in the sequence that suits one group.
#[derive(Debug)]
struct GroupOrder {
    group: Arc<str>,
    order: Order,
    tree: Tree,
    used: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// A slot that is empty is used again.
    slots: Vec<Option<Slot>>,
    empty: Vec<u32>,
    by_id: Vec<u32>,
    classes: Classes,
    groups: Groups,
    /// The open instances of each class.
    open: Vec<BTreeSet<u32>>,
    orders: BTreeMap<Order, Tree>,
    group_orders: Vec<GroupOrder>,
    /// The slots with tasks that were only planned.
    planned: BTreeSet<u32>,
    uses: u64,
    /// Rises when the classes are made anew: what was prepared before is void.
    pub generation: u64,
}

/// A request, and what follows from it for this pool.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub request: Request,
    pub generation: u64,
    ranking: Ranking,
    /// The numbers of the attributes that it is spread by, step by step.
    attributes: Vec<usize>,
    /// The constraints that have to be asked of every single instance.
    single: Vec<usize>,
}

impl Pool {
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The candidates in the order of their ids.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.by_id.iter().map(|slot| &self.slot(*slot).candidate)
    }

    fn slot(&self, slot: u32) -> &Slot {
        self.slots[slot as usize].as_ref().expect("only slots that are in use are filed anywhere")
    }

    fn search(&self, id: &str) -> Result<usize, usize> {
        self.by_id.binary_search_by(|slot| self.slot(*slot).candidate.instance.id.as_str().cmp(id))
    }

    pub fn find(&self, id: &str) -> Option<u32> {
        self.search(id).ok().map(|at| self.by_id[at])
    }

    pub fn candidate(&self, slot: u32) -> &Candidate {
        &self.slot(slot).candidate
    }

    /// Gives back the slots whose load is not that of the records, and takes them for settled.
    pub fn settle(&mut self) -> Vec<String> {
        let planned = std::mem::take(&mut self.planned);
        let occupied = |slot: u32| self.slots[slot as usize].as_ref();
        planned.into_iter().filter_map(occupied).map(|slot| slot.candidate.instance.id.clone()).collect()
    }

    /// The instance is there, with that load.
    pub fn put(&mut self, instance: &Arc<ContainerInstance>, load: &Load) {
        match self.search(&instance.id) {
            Ok(at) => self.update(self.by_id[at], instance, load),
            Err(at) => {
                let candidate = Candidate { instance: Arc::clone(instance), load: load.clone() };
                let class = self.classes.of(instance);
                let slot = Slot { tie: tie(&instance.id), candidate, class };
                let number = match self.empty.pop() {
                    Some(number) => number,
                    None => {
                        self.slots.push(None);
                        self.slots.len() as u32 - 1
                    }
                };
                self.slots[number as usize] = Some(slot);
                self.by_id.insert(at, number);
                self.file(number);
            }
        }
    }

    pub fn remove(&mut self, id: &str) {
        let Ok(at) = self.search(id) else { return };
        let number = self.by_id.remove(at);
        self.unfile(number);
        self.slots[number as usize] = None;
        self.empty.push(number);
    }

    fn update(&mut self, number: u32, instance: &Arc<ContainerInstance>, load: &Load) {
        let known = self.slot(number);
        let is_same = Arc::ptr_eq(&known.candidate.instance, instance);
        if is_same && known.candidate.load == *load {
            return;
        }
        let before = known.class;
        let class = if is_same { before } else { self.classes.of(instance) };
        if before != class {
            self.unfile(number);
            let candidate = Candidate { instance: Arc::clone(instance), load: load.clone() };
            let tie = self.slot(number).tie;
            self.slots[number as usize] = Some(Slot { candidate, tie, class });
            self.file(number);
            return;
        }
        let slot = self.slots[number as usize].as_mut().expect("it was found by its id");
        let before = std::mem::replace(&mut slot.candidate.load, load.clone());
        slot.candidate.instance = Arc::clone(instance);
        for (group, _, count) in load.groups_since(&before) {
            self.groups.set(group, (number, class), count, &self.classes);
        }
        self.stand(number);
    }

    /// Counts what is on the slot, and puts it where it belongs.
    fn file(&mut self, number: u32) {
        let slot = self.slots[number as usize].as_ref().expect("it is in use");
        for (group, count) in slot.candidate.load.groups() {
            self.groups.set(group, (number, slot.class), count, &self.classes);
        }
        self.stand(number);
    }

    fn unfile(&mut self, number: u32) {
        let slot = self.slots[number as usize].as_ref().expect("it is in use");
        for (group, _) in slot.candidate.load.groups() {
            self.groups.set(group, (number, slot.class), 0, &self.classes);
        }
        let class = slot.class;
        self.withdraw(number, class);
        self.planned.remove(&number);
    }

    fn withdraw(&mut self, number: u32, class: u32) {
        if let Some(open) = self.open.get_mut(class as usize) {
            open.remove(&number);
        }
        self.orders.values_mut().for_each(|tree| tree.remove(number));
        self.group_orders.iter_mut().for_each(|one| one.tree.remove(number));
    }

    /// Puts the slot in its place in every order, or in none.
    fn stand(&mut self, number: u32) {
        let slot = self.slots[number as usize].as_ref().expect("it is in use");
        if !slot.is_open() {
            let class = slot.class;
            return self.withdraw(number, class);
        }
        if self.open.len() <= slot.class as usize {
            self.open.resize_with(slot.class as usize + 1, BTreeSet::new);
        }
        self.open[slot.class as usize].insert(number);
        let room = free(slot);
        for (order, tree) in &mut self.orders {
            let key = order.key(&slot.candidate, 0);
            tree.put(number, slot.class, Place { key, tie: slot.tie }, room);
        }
        for one in &mut self.group_orders {
            let key = one.order.key(&slot.candidate, self.groups.on(&one.group, number));
            one.tree.put(number, slot.class, Place { key, tie: slot.tie }, room);
        }
    }

    /// Takes the room of one task that is planned.
    pub fn plan(&mut self, number: u32, request: &Request) {
        let slot = self.slots[number as usize].as_mut().expect("it has been chosen");
        slot.candidate.take(request);
        let (class, count) = (slot.class, slot.candidate.load.tasks_of_group(&request.group));
        self.groups.set(&request.group, (number, class), count, &self.classes);
        self.planned.insert(number);
        self.stand(number);
    }

    pub fn prepare(&mut self, request: &Request) -> Prepared {
        let ranking = Ranking::new(request);
        let asked = request.requires_attributes.iter().map(|attribute| attribute.name.as_str());
        let constrained = request.member_of.iter().flat_map(|expression| expression.attributes());
        let names: Vec<&str> = asked.chain(constrained).chain(ranking.attributes()).collect();
        let too_many = self.classes.len() > 2 * self.by_id.len() + 64;
        if !self.classes.tell_apart(names.iter().copied()) || too_many {
            self.sort_in_again();
        }
        let number = |name| self.classes.attribute(name).expect("it has just been asked for");
        let attributes = ranking.attributes().map(number).collect();
        let single = (0..request.member_of.len()).filter(|at| request.member_of[*at].reach() != Reach::Attributes);
        let single = single.collect();
        Prepared { request: request.clone(), generation: self.generation, ranking, attributes, single }
    }

    fn sort_in_again(&mut self) {
        self.generation += 1;
        self.classes.clear();
        self.groups.clear();
        self.open.clear();
        self.orders.values_mut().for_each(|tree| *tree = Tree::default());
        self.group_orders.clear();
        for number in self.by_id.clone() {
            let instance = Arc::clone(&self.slot(number).candidate.instance);
            let class = self.classes.of(&instance);
            self.slots[number as usize].as_mut().expect("it is in use").class = class;
            self.file(number);
        }
    }

    /// Makes the order, if nobody has asked for it yet.
    fn keep(&mut self, order: Order) {
        if !self.orders.contains_key(&order) {
            self.orders.insert(order, self.sorted(|slot, _| order.key(&slot.candidate, 0)));
        }
    }

    fn sorted(&self, key: impl Fn(&Slot, u32) -> crate::rank::Key) -> Tree {
        let mut tree = Tree::default();
        for number in self.open.iter().flatten() {
            let slot = self.slot(*number);
            tree.put(*number, slot.class, Place { key: key(slot, *number), tie: slot.tie }, free(slot));
        }
        tree
    }

    /// The best instance for one task.
    pub fn best(&mut self, prepared: &Prepared, kept: &[Request], seed: u64, placement: u64) -> Option<u32> {
        let order = prepared.ranking.order;
        match order.behind_group() {
            Some(behind) => self.keep(behind),
            None if order.is_of_group() => {}
            None => self.keep(order),
        }
        let classes = self.classes.that_may_take(&prepared.request);
        for attribute in &prepared.attributes {
            let class_of = |slot: u32| self.slots[slot as usize].as_ref().expect("a member is in use").class;
            self.groups.spread_by(&prepared.request.group, *attribute, &self.classes, class_of);
        }
        self.uses += 1;
        let own = self.group_orders.iter_mut().find(|one| *one.group == *prepared.request.group && one.order == order);
        if let Some(own) = own {
            own.used = self.uses;
        }
        let draw = draws(seed, placement).next().unwrap_or_default();
        let mut search = Search { pool: self, prepared, kept, draw, vain: 0 };
        let found = search.best(&classes).map(|(rank, slot)| match prepared.ranking.is_random {
            true => search.any(&classes, rank, draws(seed, placement)),
            false => slot,
        });
        let vain = search.vain;
        self.count_vain(prepared, vain);
        found
    }

    /// A group whose tasks are often looked at in vain gets an order of its own.
    fn count_vain(&mut self, prepared: &Prepared, vain: usize) {
        let order = prepared.ranking.order;
        if vain == 0 || !order.is_of_group() {
            return;
        }
        let Some(group) = self.groups.get_mut(&prepared.request.group) else { return };
        group.vain += vain;
        if group.vain < VAIN_LOOKS_PER_INSTANCE * self.by_id.len() {
            return;
        }
        group.vain = 0;
        let group: Arc<str> = prepared.request.group.as_str().into();
        if self.group_orders.iter().any(|one| one.group == group && one.order == order) {
            return;
        }
        if self.group_orders.len() >= GROUP_ORDERS_MAX {
            let oldest = (0..self.group_orders.len()).min_by_key(|at| self.group_orders[*at].used);
            self.group_orders.swap_remove(oldest.expect("there are some"));
        }
        let tree = self.sorted(|slot, number| order.key(&slot.candidate, self.groups.on(&group, number)));
        self.group_orders.push(GroupOrder { group, order, tree, used: self.uses });
    }

    /// Why that instance does not take such a task; nothing when it does.
    pub fn shortage(&self, number: u32, request: &Request, kept: &[Request]) -> Option<Shortage> {
        shortage(self.candidate(number), request, kept)
    }
}

fn free(slot: &Slot) -> Room {
    Room { cpu: slot.candidate.cpu_free().0, memory: slot.candidate.memory_free().0 }
}

/// Looks for the best instance. Of what it finds in two classes the lower rank wins, and then whoever stands next behind the
/// draw.
struct Search<'a> {
    pool: &'a Pool,
    prepared: &'a Prepared,
    kept: &'a [Request],
    draw: u64,
    vain: usize,
}

impl Search<'_> {
    fn best(&mut self, classes: &[u32]) -> Option<(Rank, u32)> {
        let leading = self.prepared.ranking.leading();
        let mut classes: Vec<(Rank, u32)> = classes
            .iter()
            .filter(|class| self.pool.open.get(**class as usize).is_some_and(|open| !open.is_empty()))
            .map(|class| (self.spread(*class), *class))
            .collect();
        classes.sort_unstable();
        let mut best: Option<(Rank, u64, u32)> = None;
        for (spread, class) in classes {
            if best.is_some_and(|(rank, _, _)| rank[..leading] < spread[..leading]) {
                break;
            }
            if let Some(slot) = self.best_of(class) {
                let found = (self.rank(spread, slot), self.distance(slot), slot);
                best = Some(best.map_or(found, |best| best.min(found)));
            }
        }
        best.map(|(rank, _, slot)| (rank, slot))
    }

    /// The rank of the instances of a class, as far as spreads decide it.
    fn spread(&self, class: u32) -> Rank {
        let mut rank = Rank::default();
        let Some(group) = self.pool.groups.get(&self.prepared.request.group) else { return rank };
        let mut attributes = self.prepared.attributes.iter();
        for (step, rank) in self.prepared.ranking.steps.iter().zip(&mut rank) {
            if let Step::Spread(_) = step {
                let attribute = *attributes.next().expect("each spread has its attribute");
                *rank = group.tasks_at(attribute, self.pool.classes.value(class, attribute));
            }
        }
        rank
    }

    /// The whole rank of an instance, from that of its class.
    fn rank(&self, mut rank: Rank, slot: u32) -> Rank {
        let key = self.key(slot);
        for (step, rank) in self.prepared.ranking.steps.iter().zip(&mut rank) {
            if let Step::Measure(at) = step {
                *rank = key[*at];
            }
        }
        rank
    }

    fn key(&self, slot: u32) -> crate::rank::Key {
        let order = self.prepared.ranking.order;
        let of_group = if order.is_of_group() { self.pool.groups.on(&self.prepared.request.group, slot) } else { 0 };
        order.key(self.pool.candidate(slot), of_group)
    }

    fn distance(&self, slot: u32) -> u64 {
        self.pool.slot(slot).tie.wrapping_sub(self.draw)
    }

    fn fits(&self, slot: u32) -> bool {
        let (request, candidate) = (&self.prepared.request, self.pool.candidate(slot));
        self.prepared.single.iter().all(|at| request.member_of[*at].matches(candidate))
            && room(candidate, request, self.kept).is_none()
    }

    fn best_of(&mut self, class: u32) -> Option<u32> {
        let (pool, order) = (self.pool, self.prepared.ranking.order);
        let group = &self.prepared.request.group;
        if !order.is_of_group() {
            return self.first(&pool.orders[&order], class, |_| true);
        }
        let own = pool.group_orders.iter().find(|one| *one.group == **group && one.order == order);
        if let Some(own) = own {
            return self.first(&own.tree, class, |_| true);
        }
        let members = pool.groups.get(group).map(|group| &group.members);
        let Some(behind) = order.behind_group() else {
            return self.least(pool.open[class as usize].iter().copied());
        };
        let is_new = |slot: u32| members.is_none_or(|members| !members.contains_key(&slot));
        if let Some(slot) = self.first(&pool.orders[&behind], class, is_new) {
            return Some(slot);
        }
        let open = &pool.open[class as usize];
        self.least(members.into_iter().flat_map(BTreeMap::keys).copied().filter(|slot| open.contains(slot)))
    }

    /// The first in the order that fits; of several with its key the next behind the draw.
    fn first(&mut self, tree: &Tree, class: u32, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let mut looks = 0usize;
        let mut accept = |slot: u32| {
            looks += 1;
            wanted(slot) && self.fits(slot)
        };
        let reservation = &self.prepared.request.reservation;
        let room = Room { cpu: reservation.cpu.0, memory: reservation.memory.0 };
        let first = tree.first(class, (Place::FIRST, [u32::MAX; 4]), room, &mut accept);
        let found = first.map(|first| {
            let key = tree.place(first).key;
            let behind = tree.first(class, (Place { key, tie: self.draw }, key), room, &mut accept);
            behind.unwrap_or(first)
        });
        self.vain += looks.saturating_sub(2);
        found
    }

    /// The best of a few, one by one.
    fn least(&mut self, slots: impl Iterator<Item = u32>) -> Option<u32> {
        let mut looks = 0;
        let fitting = slots.inspect(|_| looks += 1).filter(|slot| self.fits(*slot));
        let best = fitting.min_by_key(|slot| (self.key(*slot), self.distance(*slot), *slot));
        self.vain += looks;
        best
    }

    /// The instance that is drawn first of those with this rank, each as likely as any other.
    fn any(&self, classes: &[u32], rank: Rank, draws: impl Iterator<Item = u64>) -> u32 {
        let count = self.pool.by_id.len() as u64;
        let of_rank = |number: &u32| {
            let slot = self.pool.slot(*number);
            slot.is_open()
                && classes.binary_search(&slot.class).is_ok()
                && self.rank(self.spread(slot.class), *number) == rank
                && self.fits(*number)
        };
        let mut drawn = draws.map(|draw| self.pool.by_id[(draw % count) as usize]);
        drawn.find(of_rank).expect("one has this rank, and is drawn at last")
    }
}
