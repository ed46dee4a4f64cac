//! DeleteBucket.

use api_s3::{DeleteBucketRequest, Error, ErrorCode};
use model::Bucket;
use shape::Caller;
use state::{Changes, Snapshot};

use crate::records::{self, change, has_any};
use crate::service::S3Service;

pub(crate) async fn run(service: &S3Service, caller: &Caller, input: DeleteBucketRequest) -> Result<(), Error> {
    // An object is put while its bucket stays as it was. So once the bucket is another, closing one, nothing comes any more, and
    // what is in it then is all there will ever be.
    let closing = change(&*service.ledger, |snapshot| {
        let name = input.bucket.as_deref();
        let left = name.and_then(|name| snapshot.buckets.get(name)).filter(|bucket| bucket.is_closing);
        let bucket = match left {
            // Somebody was about to, and died.
            Some(bucket) if *bucket.scope.account == *caller.account => {
                return Ok((Changes::new(), (**bucket).clone()));
            }
            _ => records::bucket(snapshot, caller, name, input.expected_bucket_owner.as_deref())?,
        };
        if !is_empty(snapshot, bucket) {
            return Err(not_empty(bucket));
        }
        let closing = Bucket { is_closing: true, ..(**bucket).clone() };
        let mut changes = Changes::new();
        changes.put(snapshot, &closing);
        Ok((changes, closing))
    })
    .await?;
    let is_gone = change(&*service.ledger, |snapshot| {
        let mut changes = Changes::new();
        let is_empty = is_empty(snapshot, &closing);
        match is_empty {
            true => {
                changes.delete(snapshot, &closing);
                for upload in snapshot.multipart_uploads.range(&format!("{}/", closing.name)) {
                    records::forget_upload(&mut changes, snapshot, upload);
                }
            }
            false => changes.put(snapshot, &Bucket { is_closing: false, ..closing.clone() }),
        }
        Ok((changes, is_empty))
    })
    .await?;
    if is_gone { Ok(()) } else { Err(not_empty(&closing)) }
}

fn is_empty(snapshot: &Snapshot, bucket: &Bucket) -> bool {
    !has_any(&snapshot.objects, &format!("{}/", bucket.name))
}

fn not_empty(bucket: &Bucket) -> Error {
    let error = Error::new(ErrorCode::BucketNotEmpty, "The bucket you tried to delete is not empty");
    error.with_member("BucketName", bucket.name.as_str().into())
}
