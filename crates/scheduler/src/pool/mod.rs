//! The instances of one cluster, sorted in every way that a placement has asked for, and kept so.
//!
//! A change of one instance moves it in each order, which takes a time that grows with the logarithm of their number; so does
//! finding the best instance. Looking at all instances remains for [`explain`](crate::Scheduler::explain).

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ContainerInstance, ContainerInstanceStatus};
use state::Load;

use crate::classes::Classes;
use crate::draw::{draws, tie};
use crate::filter::{Kept, shortage};
use crate::groups::Groups;
use crate::query::Reach;
use crate::rank::{Key, Order, Ranking};
use crate::tree::{Place, Room, Tree};
use crate::{Candidate, Request, Shortage};
use search::Search;

/// How many places the orders of single groups have together. Each takes some fifty bytes.
const GROUP_PLACES_MAX: usize = 320_000;
/// So many groups have an order of their own however many instances there are.
const GROUP_ORDERS_MIN: usize = 4;
/// An order that has not been used for so many changes, for each instance, is made anew when it is needed.
const CHANGES_PER_INSTANCE_MAX: usize = 2;
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

/// All instances in the sequence that suits one group. It catches up with what has changed when it is used.
#[derive(Debug)]
struct GroupOrder {
    group: Arc<str>,
    order: Order,
    tree: Tree,
    /// How many changes it has seen.
    seen: u64,
}

/// The slots that have changed, in the sequence of the changes.
#[derive(Debug, Default)]
struct Log {
    slots: Vec<u32>,
    /// How many are not remembered any more.
    forgotten: u64,
}

impl Log {
    fn end(&self) -> u64 {
        self.forgotten + self.slots.len() as u64
    }

    fn since(&self, seen: u64) -> &[u32] {
        &self.slots[(seen - self.forgotten) as usize..]
    }

    /// Forgets the older half.
    fn shorten(&mut self) {
        let older = self.slots.len() / 2;
        self.slots.drain(..older);
        self.forgotten += older as u64;
    }
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
    log: Log,
    /// The slots with tasks that were only planned.
    planned: BTreeSet<u32>,
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
        self.note(number);
    }

    /// Something about the slot is another now.
    fn note(&mut self, number: u32) {
        if self.log.slots.len() > CHANGES_PER_INSTANCE_MAX * self.by_id.len() {
            self.log.shorten();
            let forgotten = self.log.forgotten;
            self.group_orders.retain(|one| one.seen >= forgotten);
        }
        self.log.slots.push(number);
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
        self.note(number);
    }

    /// Shows the order of a group what has changed.
    fn catch_up(&mut self, group: &str, order: Order) {
        let Some(own) = self.group_orders.iter_mut().find(|one| *one.group == *group && one.order == order) else {
            return;
        };
        for number in self.log.since(own.seen) {
            match self.slots[*number as usize].as_ref().filter(|slot| slot.is_open()) {
                Some(slot) => {
                    let key = order.key(&slot.candidate, self.groups.on(group, *number));
                    own.tree.put(*number, slot.class, Place { key, tie: slot.tie }, free(slot));
                }
                None => own.tree.remove(*number),
            }
        }
        own.seen = self.log.end();
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

    fn sorted(&self, key: impl Fn(&Slot, u32) -> Key) -> Tree {
        let mut tree = Tree::default();
        for number in self.open.iter().flatten() {
            let slot = self.slot(*number);
            tree.put(*number, slot.class, Place { key: key(slot, *number), tie: slot.tie }, free(slot));
        }
        tree
    }

    /// The best instance for one task.
    pub fn best(&mut self, prepared: &Prepared, kept: &[Kept], seed: u64, placement: u64) -> Option<u32> {
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
        self.catch_up(&prepared.request.group, order);
        let draw = draws(seed, placement).next().unwrap_or_default();
        let group = self.groups.get(&prepared.request.group);
        let mut search = Search { pool: self, prepared, group, kept, draw, vain: 0 };
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
        if self.group_orders.len() >= (GROUP_PLACES_MAX / self.by_id.len()).max(GROUP_ORDERS_MIN) {
            let oldest = (0..self.group_orders.len()).min_by_key(|at| self.group_orders[*at].seen);
            self.group_orders.swap_remove(oldest.expect("there are some"));
        }
        let tree = self.sorted(|slot, number| order.key(&slot.candidate, self.groups.on(&group, number)));
        self.group_orders.push(GroupOrder { group, order, tree, seen: self.log.end() });
    }

    /// Why that instance does not take such a task; nothing when it does.
    pub fn shortage(&self, number: u32, request: &Request, kept: &[Kept]) -> Option<Shortage> {
        shortage(self.candidate(number), request, kept)
    }
}

fn free(slot: &Slot) -> Room {
    Room { cpu: slot.candidate.cpu_free().0, memory: slot.candidate.memory_free().0 }
}
