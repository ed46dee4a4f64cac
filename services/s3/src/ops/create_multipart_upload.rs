//! CreateMultipartUpload.

use api_s3::{CreateMultipartUploadOutput, CreateMultipartUploadRequest, Error};
use model::{Bucket, MultipartUpload};
use shape::Caller;
use state::Changes;

use crate::records::{self, change};
use crate::service::S3Service;
use crate::{checksums, names, views};

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: CreateMultipartUploadRequest,
) -> Result<CreateMultipartUploadOutput, Error> {
    let key = names::key(input.key.as_deref())?;
    let headers = views::headers_of!(input)?;
    let (algorithm, kind) = checksums::of_upload(input.checksum_algorithm.as_deref(), input.checksum_type.as_deref())?;
    let (id, now) = (service.fresh_id(), service.now());
    let upload = change(&*service.ledger, |snapshot| {
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = records::bucket(snapshot, caller, input.bucket.as_deref(), owner)?;
        let upload = MultipartUpload {
            bucket: bucket.name.clone(),
            key: key.clone(),
            id: id.clone(),
            initiated_at: now,
            headers: headers.clone(),
            checksum_algorithm: Some(algorithm.clone()),
            checksum_kind: Some(kind.clone()),
        };
        let mut changes = Changes::new();
        changes.rely_on::<Bucket>(snapshot, &bucket.name);
        changes.put(snapshot, &upload);
        Ok((changes, upload))
    })
    .await?;
    // What the client did not ask for it is not told.
    let is_asked = input.checksum_algorithm.is_some();
    Ok(CreateMultipartUploadOutput {
        bucket: Some(upload.bucket),
        key: Some(upload.key),
        upload_id: Some(upload.id),
        checksum_algorithm: upload.checksum_algorithm.filter(|_| is_asked),
        checksum_type: upload.checksum_kind.filter(|_| is_asked),
        server_side_encryption: input.server_side_encryption,
        ..CreateMultipartUploadOutput::default()
    })
}
