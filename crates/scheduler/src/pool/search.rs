//! One search for the best instance.

use std::collections::BTreeMap;

use super::{Pool, Prepared};
use crate::filter::{Kept, room};
use crate::groups::Group;
use crate::rank::{Key, Rank, Step};
use crate::tree::{Place, Room, Tree};

/// Looks for the best instance. Of what it finds in two classes the lower rank wins, and then whoever stands next behind the
/// draw.
pub(super) struct Search<'a> {
    pub pool: &'a Pool,
    pub prepared: &'a Prepared,
    pub group: Option<&'a Group>,
    pub kept: &'a [Kept],
    pub draw: u64,
    /// How many instances were looked at and not taken.
    pub vain: usize,
}

impl Search<'_> {
    pub fn best(&mut self, classes: &[u32]) -> Option<(Rank, u32)> {
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
        let Some(group) = self.group else { return rank };
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

    fn key(&self, slot: u32) -> Key {
        let order = self.prepared.ranking.order;
        let of_group = self.group.filter(|_| order.is_of_group()).and_then(|group| group.members.get(&slot));
        let of_group = of_group.copied().unwrap_or_default();
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
        let members = self.group.map(|group| &group.members);
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
    pub fn any(&self, classes: &[u32], rank: Rank, draws: impl Iterator<Item = u64>) -> u32 {
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
