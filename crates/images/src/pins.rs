//! What is in use right now, so that no collection takes it away.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blobs::Digest;

/// Digests of blobs and chain ids of layers that somebody holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Digest, usize>,
    /// While a collection goes on: all that was held at some time of it. Whoever was here and has gone may have written a name
    /// that the collection did not see any more.
    seen: Option<HashSet<Digest>>,
}

/// Holds some digests until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Pins,
    digests: Vec<Digest>,
}

/// A collection in progress.
#[derive(Debug)]
pub(crate) struct Collecting {
    pins: Pins,
}

impl Pins {
    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole after every statement that touches it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self, digests: Vec<Digest>) -> Pin {
        let mut state = self.state();
        for digest in &digests {
            *state.held.entry(*digest).or_default() += 1;
        }
        if let Some(seen) = &mut state.seen {
            seen.extend(digests.iter().copied());
        }
        drop(state);
        Pin { pins: self.clone(), digests }
    }

    /// What is held right now.
    pub(crate) fn held(&self) -> HashSet<Digest> {
        self.state().held.keys().copied().collect()
    }

    /// Begins a collection. There is one at a time; what is needed by name is looked up after this.
    pub(crate) fn collecting(&self) -> Collecting {
        let mut state = self.state();
        state.seen = Some(state.held.keys().copied().collect());
        drop(state);
        Collecting { pins: self.clone() }
    }
}

impl Collecting {
    /// Runs `remove` unless the digest is or was held. Nobody begins to hold it meanwhile.
    pub(crate) fn unless_held<E>(&self, digest: &Digest, remove: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        let state = self.pins.state();
        if state.seen.as_ref().is_some_and(|seen| seen.contains(digest)) {
            return Ok(false);
        }
        remove()?;
        Ok(true)
    }

    /// All that is or was held.
    pub(crate) fn held(&self) -> HashSet<Digest> {
        self.pins.state().seen.clone().unwrap_or_default()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.pins.state().seen = None;
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        for digest in &self.digests {
            if let Some(count) = state.held.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    state.held.remove(digest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_spares_what_was_held_at_any_time_of_it() {
        let pins = Pins::default();
        let [before, during, never] = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
        let earlier = pins.hold(vec![never]);
        drop(earlier);
        let first = pins.hold(vec![before, before]);
        let collecting = pins.collecting();
        drop(first);
        drop(pins.hold(vec![during]));
        let removed = |digest| collecting.unless_held(digest, || Ok::<(), ()>(())).unwrap();
        assert_eq!([&before, &during, &never].map(removed), [false, false, true]);
        assert_eq!(collecting.held(), HashSet::from([before, during]));
        drop(collecting);
        assert!(pins.collecting().held().is_empty());
    }
}
