//! The service as the front door sees it.

use std::collections::HashSet;
use std::sync::Arc;

use api_s3::{Error, Router};
use blobs::{BlobStore, Digest, Swept};
use shape::{Service, Timestamp};
use state::{Ledger, Snapshot};
use stdx::Ids;

use crate::limits::UNNAMED_FOR;
use crate::refusals::{self, broken};

/// S3 over a blob store of its own, with its records in a ledger. Calls may be concurrent.
pub struct S3Service {
    pub(crate) blobs: BlobStore,
    pub(crate) ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ids: Arc<dyn Fn() -> Ids + Send + Sync>,
}

impl S3Service {
    /// `clock` and `ids` come from the caller: nothing here reads a clock.
    pub fn new(
        blobs: BlobStore,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        ids: Arc<dyn Fn() -> Ids + Send + Sync>,
    ) -> S3Service {
        S3Service { blobs, ledger, clock, ids }
    }

    /// What `wire::Gateway` takes.
    pub fn routed(self: Arc<Self>) -> Arc<dyn Service> {
        Arc::new(Router(self))
    }

    /// Deletes the bytes that no object and no part has any more, once they have been there for an hour.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let (blobs, ledger) = (self.blobs.clone(), Arc::clone(&self.ledger));
        let swept = tokio::task::spawn_blocking(move || {
            blobs.local().remove_abandoned(std::time::Duration::from_secs(24 * 3600))?;
            blobs.sweep(&needed(&ledger.snapshot()), UNNAMED_FOR)
        });
        swept.await.map_err(broken)?.map_err(refusals::blob)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.ledger.snapshot()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn fresh_id(&self) -> String {
        (self.ids)().hex()
    }
}

fn needed(snapshot: &Snapshot) -> HashSet<Digest> {
    let of_objects = snapshot.objects.iter().flat_map(|object| &object.content);
    let of_parts = snapshot.upload_parts.iter().map(|part| &part.content);
    of_objects.chain(of_parts).filter_map(|content| content.digest.parse().ok()).collect()
}
