//! The last few commits, kept in memory for watchers that keep up. Slower ones read the `history` table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{Batch, Revision};

/// How much memory the recent batches may hold on to, in bytes.
const WEIGHT_MAX: usize = 4 * 1024 * 1024;

pub(crate) struct Recent {
    batches: Mutex<Batches>,
}

struct Batches {
    /// Revisions without gaps; the last one is the head of the store.
    queue: VecDeque<Arc<Batch>>,
    weight: usize,
    head: Revision,
}

pub(crate) enum Look {
    /// The batch after the asked revision.
    Here(Arc<Batch>),
    /// There is none yet.
    Later,
    /// There is one, and it is no longer in memory.
    Earlier,
}

impl Recent {
    pub(crate) fn new(head: Revision) -> Self {
        Recent { batches: Mutex::new(Batches { queue: VecDeque::new(), weight: 0, head }) }
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is durable now. What was compacted goes, so that memory and file tell watchers the same.
    pub(crate) fn push(&self, batches: Vec<Arc<Batch>>, compacted: Revision) {
        let mut recent = self.lock();
        for batch in batches {
            recent.head = batch.revision;
            recent.weight += batch.weight();
            recent.queue.push_back(batch);
        }
        while recent.weight > WEIGHT_MAX || recent.queue.front().is_some_and(|oldest| oldest.revision <= compacted) {
            let Some(oldest) = recent.queue.pop_front() else { break };
            recent.weight -= oldest.weight();
        }
    }

    pub(crate) fn after(&self, revision: Revision) -> Look {
        let recent = self.lock();
        if revision >= recent.head {
            return Look::Later;
        }
        let at = recent.queue.partition_point(|batch| batch.revision <= revision);
        match recent.queue.get(at) {
            Some(batch) if batch.revision.0 == revision.0 + 1 => Look::Here(batch.clone()),
            _ => Look::Earlier,
        }
    }
}
