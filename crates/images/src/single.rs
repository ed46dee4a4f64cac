//! One at a time for each key, so that the same work is not done twice at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Locks by key.
#[derive(Debug)]
pub(crate) struct Single<K> {
    locks: StdMutex<HashMap<K, Arc<Mutex<()>>>>,
}

impl<K> Default for Single<K> {
    fn default() -> Self {
        Single { locks: StdMutex::default() }
    }
}

impl<K: Eq + Hash> Single<K> {
    /// Waits until nobody else has `key`. Whoever comes second looks first whether the work is done.
    pub(crate) async fn turn(&self, key: K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Locks that nobody holds or waits for are forgotten here, so the map stays as small as the work at hand.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(key).or_default())
        };
        lock.lock_owned().await
    }
}
