//! Records in the control plane's store.

use std::sync::Arc;

use api_s3::Error;
use model::{Bucket, MultipartUpload, Object};
use shape::Caller;
use state::{Changes, Ledger, Refused, Snapshot, Table, transact};

use crate::refusals::{self, access_denied, no_such_bucket, no_such_key, no_such_upload};

/// Decides on the newest snapshot and commits, again if something came in between.
pub(crate) async fn change<T>(
    ledger: &dyn Ledger,
    mut decide: impl FnMut(&Snapshot) -> Result<(Changes, T), Error>,
) -> Result<T, Error> {
    let done = transact(ledger, |snapshot| decide(snapshot).map_err(Refused::By)).await;
    done.map_err(|refused| match refused {
        Refused::By(error) => error,
        Refused::Commit(error) => refusals::commit(error),
    })
}

/// A bucket of the caller's. Without policies, those of others are nobody else's.
pub(crate) fn bucket<'a>(
    snapshot: &'a Snapshot,
    caller: &Caller,
    name: Option<&str>,
    expected_owner: Option<&str>,
) -> Result<&'a Arc<Bucket>, Error> {
    let name = name.unwrap_or_default();
    let bucket = snapshot.buckets.get(name).filter(|bucket| !bucket.is_closing);
    let bucket = bucket.ok_or_else(|| no_such_bucket(name))?;
    let owner = &*bucket.scope.account;
    if owner != caller.account || expected_owner.is_some_and(|expected| expected != owner) {
        return Err(access_denied());
    }
    Ok(bucket)
}

pub(crate) fn object<'a>(snapshot: &'a Snapshot, bucket: &Bucket, key: &str) -> Result<&'a Arc<Object>, Error> {
    snapshot.objects.get(&format!("{}/{key}", bucket.name)).ok_or_else(|| no_such_key(key))
}

/// An upload of the object that it was begun for.
pub(crate) fn upload<'a>(
    snapshot: &'a Snapshot,
    bucket: &Bucket,
    key: Option<&str>,
    id: Option<&str>,
) -> Result<&'a Arc<MultipartUpload>, Error> {
    let id = id.unwrap_or_default();
    let upload = snapshot.multipart_uploads.get(&format!("{}/{id}", bucket.name));
    upload.filter(|upload| Some(upload.key.as_str()) == key).ok_or_else(|| no_such_upload(id))
}

/// Puts an object into a bucket that must still be open when it comes there.
pub(crate) fn put(changes: &mut Changes, snapshot: &Snapshot, object: &Object) {
    changes.rely_on::<Bucket>(snapshot, &object.bucket);
    changes.put(snapshot, object);
}

/// Forgets an upload and its parts.
pub(crate) fn forget_upload(changes: &mut Changes, snapshot: &Snapshot, upload: &MultipartUpload) {
    changes.delete(snapshot, upload);
    for part in snapshot.upload_parts.range(&format!("{}/{}/", upload.bucket, upload.id)) {
        changes.delete(snapshot, &**part);
    }
}

/// Whether something begins with `prefix` in a table.
pub(crate) fn has_any<R: state::Record>(table: &Table<R>, prefix: &str) -> bool {
    table.range(prefix).next().is_some()
}
