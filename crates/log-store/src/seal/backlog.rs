//! How many files of the write-ahead log wait to be sealed. The writer waits for the sealer here, and nowhere else.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

pub(crate) struct Backlog {
    files: Mutex<usize>,
    fewer: Condvar,
    max: usize,
}

impl Backlog {
    pub(crate) fn new(files: usize, max: usize) -> Backlog {
        Backlog { files: Mutex::new(files), fewer: Condvar::new(), max }
    }

    pub(crate) fn add(&self) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    pub(crate) fn remove(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        *files = files.saturating_sub(1);
        self.fewer.notify_all();
    }

    /// Whether another file may be begun, after some waiting.
    pub(crate) fn wait_for_room(&self, at_most: Duration) -> bool {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.fewer.wait_timeout_while(files, at_most, |files| *files >= self.max);
        let (files, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *files < self.max
    }
}
