//! How a watcher catches up: from memory while it keeps up, from the `history` table when it has fallen behind.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use store::{Batch, Revision, WatchError, WatchSource};
use tokio::sync::watch;

use crate::codec;
use crate::engine::Shared;
use crate::recent::Look;
use crate::schema::Head;

/// The most batches a watcher reads from disk at once, and the most bytes (one larger batch is read alone).
const PAGE_BATCHES: usize = 256;
const PAGE_BYTES: usize = 1024 * 1024;

pub(crate) struct Follower {
    pub(crate) shared: Weak<Shared>,
    pub(crate) head: watch::Receiver<Revision>,
    pub(crate) after: Revision,
    pub(crate) page: VecDeque<Arc<Batch>>,
}

#[async_trait]
impl WatchSource for Follower {
    async fn next(&mut self) -> Result<Arc<Batch>, WatchError> {
        loop {
            if let Some(batch) = self.page.pop_front() {
                self.after = batch.revision;
                return Ok(batch);
            }
            self.head.borrow_and_update();
            let shared = self.shared.upgrade().ok_or(WatchError::Closed)?;
            match shared.recent.after(self.after) {
                Look::Here(batch) => {
                    self.after = batch.revision;
                    return Ok(batch);
                }
                Look::Earlier => self.page = read_page(&shared, self.after).await?,
                Look::Later => {
                    // An engine that is dropped while we wait must be able to go.
                    drop(shared);
                    self.head.changed().await.map_err(|_| WatchError::Closed)?;
                }
            }
        }
    }
}

async fn read_page(shared: &Arc<Shared>, after: Revision) -> Result<VecDeque<Arc<Batch>>, WatchError> {
    let turn = shared.readers.turn().await;
    let reading = shared.clone();
    let read = tokio::task::spawn_blocking(move || reading.readers.read(|connection| history(connection, after)));
    let page = read.await.map_err(|error| WatchError::Engine(Box::new(error)))?.map_err(|fault| fault.watch())?;
    drop(turn);
    match page {
        Page::Batches(batches) => Ok(batches),
        Page::Compacted(through) => Err(WatchError::Compacted { through }),
        Page::Malformed(revision) => {
            let cause = format!("the history of revision {revision} is damaged");
            Err(WatchError::Engine(cause.into()))
        }
    }
}

enum Page {
    Batches(VecDeque<Arc<Batch>>),
    Compacted(Revision),
    Malformed(Revision),
}

fn history(connection: &Connection, after: Revision) -> rusqlite::Result<Page> {
    let head = Head::read(connection)?;
    if after.0 < head.compacted {
        return Ok(Page::Compacted(Revision(head.compacted)));
    }
    let mut select =
        connection.prepare_cached("SELECT revision, changes FROM history WHERE revision > ?1 ORDER BY revision")?;
    let mut rows = select.query((after.0,))?;
    let (mut batches, mut bytes, mut expected) = (VecDeque::new(), 0, after.0 + 1);
    while batches.len() < PAGE_BATCHES
        && bytes < PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let revision = Revision(row.get(0)?);
        let changes = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
        bytes += changes.len();
        match codec::decode(changes) {
            Some(changes) if revision.0 == expected => batches.push_back(Arc::new(Batch { revision, changes })),
            _ => return Ok(Page::Malformed(revision)),
        }
        expected += 1;
    }
    // The watcher was told that there is more. If the file has none, a row is missing.
    Ok(if batches.is_empty() { Page::Malformed(Revision(expected)) } else { Page::Batches(batches) })
}
