//! A map that forgets.

use std::collections::{BTreeMap, VecDeque};

/// A map with a largest size: when it is full, what came first goes.
pub(crate) struct Recent<K, V> {
    max: usize,
    entries: BTreeMap<K, V>,
    /// The keys as they came; every one is in the map, once.
    order: VecDeque<K>,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    pub fn new(max: usize) -> Recent<K, V> {
        Recent { max, entries: BTreeMap::new(), order: VecDeque::new() }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    pub fn remove(&mut self, key: &K) {
        if self.entries.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = Recent::new(2);
        for (key, value) in [(1, 'a'), (2, 'b'), (1, 'c'), (3, 'd')] {
            recent.insert(key, value);
        }
        assert_eq!((recent.get(&1), recent.get(&2), recent.get(&3)), (None, Some(&'b'), Some(&'d')));
        recent.remove(&2);
        recent.remove(&7);
        recent.insert(4, 'e');
        assert_eq!((recent.get(&3), recent.get(&4)), (Some(&'d'), Some(&'e')));
    }
}
