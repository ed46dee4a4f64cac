//! Manifests and configurations that were read before, so that the next container of an image starts without reading them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use blobs::Digest;

use crate::image::Content;

/// The images used last, as far as they fit into a number of bytes.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Digest, Entry>,
    bytes: usize,
    /// Counts uses; the entry with the smallest number was used longest ago.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    content: Arc<Content>,
    used: u64,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache { bytes_max, state: Mutex::default() }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<Content>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let clock = state.clock;
        let entry = state.entries.get_mut(digest)?;
        entry.used = clock;
        Some(Arc::clone(&entry.content))
    }

    pub(crate) fn put(&self, content: &Arc<Content>) {
        if content.weight > self.bytes_max {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let entry = Entry { content: Arc::clone(content), used: state.clock };
        state.bytes += content.weight;
        if let Some(replaced) = state.entries.insert(content.digest, entry) {
            state.bytes -= replaced.content.weight;
        }
        // New images are rare: looking at all entries is cheaper than keeping them in order on every use.
        while state.bytes > self.bytes_max {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(digest, _)| *digest);
            let Some(removed) = oldest.and_then(|digest| state.entries.remove(&digest)) else { break };
            state.bytes -= removed.content.weight;
        }
    }

    /// Forgets all images but these.
    pub(crate) fn keep(&self, needed: &HashSet<Digest>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.retain(|digest, _| needed.contains(digest));
        state.bytes = state.entries.values().map(|entry| entry.content.weight).sum();
    }

    /// Forgets an image, because parts of it are gone.
    pub(crate) fn forget(&self, digest: &Digest) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(removed) = state.entries.remove(digest) {
            state.bytes -= removed.content.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = Cache::new(100);
        let content = |name: &[u8], weight| Arc::new(Content::empty(Digest::of(name), weight));
        let (a, b, c) = (content(b"a", 40), content(b"b", 40), content(b"c", 50));
        cache.put(&a);
        cache.put(&a);
        cache.put(&b);
        assert!(cache.get(&a.digest).is_some());
        cache.put(&c);
        let here = [&a, &b, &c].map(|content| cache.get(&content.digest).is_some());
        assert_eq!(here, [true, false, true]);
        cache.put(&content(b"huge", 101));
        assert!(cache.get(&Digest::of(b"huge")).is_none());
        cache.forget(&a.digest);
        cache.put(&b);
        cache.keep(&HashSet::from([b.digest]));
        assert!(cache.get(&b.digest).is_some() && cache.get(&c.digest).is_none());
        cache.keep(&HashSet::new());
        assert_eq!(cache.state.lock().unwrap().bytes, 0);
    }
}
