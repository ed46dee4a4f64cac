//! What is kept from round to round: the pools of all clusters, as one snapshot had them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::ContainerInstanceStatus;
use state::{Occupancy, Snapshot};

use crate::pool::Pool;

/// How many indexes wait for their next use. So many rounds can go on side by side without one being made anew.
const IDLE_MAX: usize = 4;

/// What is kept from one round to the next, so that a placement costs no look at every instance. It is no part of the
/// state: nothing depends on whether it is kept, except how long a round takes.
#[derive(Debug, Default)]
pub struct Indexes {
    idle: Mutex<Vec<Index>>,
}

impl Indexes {
    /// An index of that snapshot. Nobody else has it until it is given back.
    pub(crate) fn take(&self, snapshot: &Snapshot) -> Index {
        let mut index = self.idle.lock().expect("no holder of the lock panics").pop().unwrap_or_default();
        index.update(snapshot);
        index
    }

    pub(crate) fn give_back(&self, index: Index) {
        let mut idle = self.idle.lock().expect("no holder of the lock panics");
        if idle.len() < IDLE_MAX {
            idle.push(index);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    /// What the pools show, apart from what was planned since.
    seen: Occupancy,
    pools: BTreeMap<String, Pool>,
}

impl Index {
    /// Looks at the instances that are not as they were, and at those on which something was planned.
    pub fn update(&mut self, snapshot: &Snapshot) {
        let present = snapshot.occupancy();
        let mut changed = present.changed_since(&self.seen);
        for (cluster, pool) in &mut self.pools {
            changed.extend(pool.settle().iter().map(|id| format!("{cluster}/{id}")));
        }
        for name in changed {
            self.look_at(&name, snapshot);
        }
        self.seen = present;
    }

    fn look_at(&mut self, name: &str, snapshot: &Snapshot) {
        let Some((cluster, id)) = name.rsplit_once('/') else { return };
        let instance = snapshot.container_instances.get(name);
        match instance.filter(|instance| instance.status != ContainerInstanceStatus::Inactive) {
            Some(instance) => {
                if !self.pools.contains_key(cluster) {
                    self.pools.insert(cluster.to_owned(), Pool::default());
                }
                let pool = self.pools.get_mut(cluster).expect("it has just been put there");
                pool.put(instance, snapshot.load(instance));
            }
            None => {
                let Some(pool) = self.pools.get_mut(cluster) else { return };
                pool.remove(id);
                if pool.is_empty() {
                    self.pools.remove(cluster);
                }
            }
        }
    }

    pub fn pool(&self, cluster: &str) -> Option<&Pool> {
        self.pools.get(cluster)
    }

    pub fn pool_mut(&mut self, cluster: &str) -> Option<&mut Pool> {
        self.pools.get_mut(cluster)
    }
}
