//! An ordered set of instances that also knows, for each part of itself, the most CPU and the most memory that is free
//! there. So the first instance in the order that has enough of both is found without a look at those that have not.
//!
//! A treap: a search tree by place, a heap by a number that has nothing to do with the place, and so of the depth of a
//! random tree. Source: Seidel and Aragon, "Randomized Search Trees".

use crate::rank::Key;

const NIL: u32 = u32::MAX;

/// Where an instance stands: by its key, and among equals by its tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub key: Key,
    pub tie: u64,
}

impl Place {
    pub const FIRST: Place = Place { key: [0; 4], tie: 0 };
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub cpu: u32,
    pub memory: u32,
}

impl Room {
    fn holds(self, wanted: Room) -> bool {
        self.cpu >= wanted.cpu && self.memory >= wanted.memory
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    place: Place,
    free: Room,
    /// The most of each in the tree below, which need not be of one instance.
    most: Room,
    left: u32,
    right: u32,
    priority: u32,
    /// The tree it is in; none, when the slot is in no tree.
    class: u32,
}

const ABSENT: Node = Node {
    place: Place::FIRST,
    free: Room { cpu: 0, memory: 0 },
    most: Room { cpu: 0, memory: 0 },
    left: NIL,
    right: NIL,
    priority: 0,
    class: NIL,
};

/// One tree for each class of instances; a slot is in at most one of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    roots: Vec<u32>,
}

impl Tree {
    /// Puts the slot in its place, wherever it was before.
    pub fn put(&mut self, slot: u32, class: u32, place: Place, free: Room) {
        self.remove(slot);
        if self.nodes.len() <= slot as usize {
            self.nodes.resize(slot as usize + 1, ABSENT);
        }
        if self.roots.len() <= class as usize {
            self.roots.resize(class as usize + 1, NIL);
        }
        let priority = (crate::draw::mix(place.tie) >> 32) as u32;
        self.nodes[slot as usize] = Node { place, free, most: free, left: NIL, right: NIL, priority, class };
        self.roots[class as usize] = self.insert(self.roots[class as usize], slot);
    }

    pub fn remove(&mut self, slot: u32) {
        let Some(node) = self.nodes.get(slot as usize).filter(|node| node.class != NIL) else { return };
        let class = node.class as usize;
        self.roots[class] = self.take_out(self.roots[class], slot);
        self.nodes[slot as usize].class = NIL;
    }

    /// The first of the class, at or behind `from` and with no greater key than `to`, that has so much room and that
    /// `accept` accepts.
    pub fn first(
        &self,
        class: u32,
        (from, to): (Place, Key),
        wanted: Room,
        accept: &mut impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let root = self.roots.get(class as usize).copied().unwrap_or(NIL);
        let found = self.first_below(root, (from, to), wanted, accept);
        (found != NIL).then_some(found)
    }

    pub fn place(&self, slot: u32) -> Place {
        self.nodes[slot as usize].place
    }

    fn first_below(&self, at: u32, bounds: (Place, Key), wanted: Room, accept: &mut impl FnMut(u32) -> bool) -> u32 {
        let Some(node) = self.node(at).filter(|node| node.most.holds(wanted)) else { return NIL };
        let (from, to) = bounds;
        if node.place >= from {
            let found = self.first_below(node.left, bounds, wanted, accept);
            if found != NIL {
                return found;
            }
            if node.place.key > to {
                return NIL;
            }
            if node.free.holds(wanted) && accept(at) {
                return at;
            }
        }
        self.first_below(node.right, bounds, wanted, accept)
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    /// Of two slots in one place the lower comes first.
    fn comes_before(&self, one: u32, other: u32) -> bool {
        (self.nodes[one as usize].place, one) < (self.nodes[other as usize].place, other)
    }

    fn insert(&mut self, root: u32, slot: u32) -> u32 {
        if root == NIL {
            return slot;
        }
        if self.nodes[slot as usize].priority > self.nodes[root as usize].priority {
            let (left, right) = self.split(root, slot);
            (self.nodes[slot as usize].left, self.nodes[slot as usize].right) = (left, right);
            self.gather(slot);
            return slot;
        }
        if self.comes_before(slot, root) {
            self.nodes[root as usize].left = self.insert(self.nodes[root as usize].left, slot);
        } else {
            self.nodes[root as usize].right = self.insert(self.nodes[root as usize].right, slot);
        }
        self.gather(root);
        root
    }

    /// What comes before the slot, and what behind it.
    fn split(&mut self, root: u32, slot: u32) -> (u32, u32) {
        if root == NIL {
            return (NIL, NIL);
        }
        if self.comes_before(root, slot) {
            let (left, right) = self.split(self.nodes[root as usize].right, slot);
            self.nodes[root as usize].right = left;
            self.gather(root);
            (root, right)
        } else {
            let (left, right) = self.split(self.nodes[root as usize].left, slot);
            self.nodes[root as usize].left = right;
            self.gather(root);
            (left, root)
        }
    }

    fn take_out(&mut self, root: u32, slot: u32) -> u32 {
        if root == slot {
            let Node { left, right, .. } = self.nodes[root as usize];
            return self.join(left, right);
        }
        if self.comes_before(slot, root) {
            self.nodes[root as usize].left = self.take_out(self.nodes[root as usize].left, slot);
        } else {
            self.nodes[root as usize].right = self.take_out(self.nodes[root as usize].right, slot);
        }
        self.gather(root);
        root
    }

    /// All of `left` comes before all of `right`.
    fn join(&mut self, left: u32, right: u32) -> u32 {
        if left == NIL || right == NIL {
            return left.min(right);
        }
        if self.nodes[left as usize].priority > self.nodes[right as usize].priority {
            self.nodes[left as usize].right = self.join(self.nodes[left as usize].right, right);
            self.gather(left);
            left
        } else {
            self.nodes[right as usize].left = self.join(left, self.nodes[right as usize].left);
            self.gather(right);
            right
        }
    }

    fn gather(&mut self, at: u32) {
        let node = self.nodes[at as usize];
        let mut most = node.free;
        for child in [node.left, node.right] {
            if let Some(child) = self.node(child) {
                most.cpu = most.cpu.max(child.most.cpu);
                most.memory = most.memory.max(child.most.memory);
            }
        }
        self.nodes[at as usize].most = most;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list that is sorted whenever it is asked.
        #[test]
        fn finds_what_a_sorted_list_finds(
            steps in prop::collection::vec((0u32..40, 0u32..3, 0u32..5, 0u64..1000, 0u32..10, 0u32..10, any::<bool>()), 1..120),
        ) {
            let mut tree = Tree::default();
            let mut list: Vec<(u32, u32, Place, Room)> = Vec::new();
            for (slot, class, key, tie, cpu, memory, removes) in steps {
                list.retain(|one| one.0 != slot);
                if removes {
                    tree.remove(slot);
                } else {
                    let (place, free) = (Place { key: [key, 0, 0, 0], tie }, Room { cpu, memory });
                    tree.put(slot, class, place, free);
                    list.push((slot, class, place, free));
                }
                list.sort_by_key(|one| (one.2, one.0));
                let wanted = Room { cpu: memory, memory: cpu };
                let from = Place { key: [key / 2, 0, 0, 0], tie: tie / 2 };
                let odd = |slot: u32| slot % 2 == 1;
                let fits = |one: &&(u32, u32, Place, Room)| {
                    one.1 == class && one.2 >= from && one.2.key <= [key; 4] && one.3.holds(wanted) && odd(one.0)
                };
                let expected = list.iter().find(fits).map(|one| one.0);
                prop_assert_eq!(tree.first(class, (from, [key; 4]), wanted, &mut |slot| odd(slot)), expected);
            }
        }
    }
}
