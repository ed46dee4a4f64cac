//! What this control plane has written itself, and so need not read when it comes back from the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use state::{AnyRecord, Key};

/// The records of commits that are under way. An engine in this process hands on the very bytes that it was given, so a value is
/// known by where it lies; what comes from elsewhere is read.
#[derive(Default)]
pub(super) struct Own(Mutex<BTreeMap<usize, Written>>);

pub(super) struct Written {
    pub key: Key,
    pub record: AnyRecord,
    /// Nothing else lies in its place for as long as it is here.
    pub value: Bytes,
}

/// Forgets them again.
pub(super) struct Remembered {
    own: Arc<Own>,
    places: Vec<usize>,
}

impl Own {
    pub fn remember(self: &Arc<Own>, written: Vec<Written>) -> Remembered {
        let place = |written: &Written| written.value.as_ptr() as usize;
        let places = written.iter().map(place).collect();
        self.lock().extend(written.into_iter().map(|written| (place(&written), written)));
        Remembered { own: self.clone(), places }
    }

    pub fn find(&self, value: &Bytes) -> Option<(Key, AnyRecord)> {
        let own = self.lock();
        let written = own.get(&(value.as_ptr() as usize))?;
        (written.value.len() == value.len()).then(|| (written.key.clone(), written.record.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        let mut own = self.own.lock();
        for place in &self.places {
            own.remove(place);
        }
    }
}
