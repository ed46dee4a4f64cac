//! AbortMultipartUpload.

use api_s3::{AbortMultipartUploadOutput, AbortMultipartUploadRequest, Error};
use shape::Caller;
use state::Changes;

use crate::records::{self, change};
use crate::service::S3Service;

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: AbortMultipartUploadRequest,
) -> Result<AbortMultipartUploadOutput, Error> {
    change(&*service.ledger, |snapshot| {
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = records::bucket(snapshot, caller, input.bucket.as_deref(), owner)?;
        let upload = records::upload(snapshot, bucket, input.key.as_deref(), input.upload_id.as_deref())?;
        let mut changes = Changes::new();
        records::forget_upload(&mut changes, snapshot, upload);
        Ok((changes, ()))
    })
    .await?;
    Ok(AbortMultipartUploadOutput::default())
}
