//! UploadPart.

use api_s3::{Error, UploadPartOutput, UploadPartRequest};
use model::{MultipartUpload, UploadPart};
use shape::{ByteStream, Caller};
use state::Changes;

use crate::checksums::{self, Said};
use crate::limits::PARTS_MAX;
use crate::records::{self, change};
use crate::refusals::{invalid_argument, not_implemented};
use crate::service::S3Service;
use crate::views;

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: UploadPartRequest,
    bytes: ByteStream,
) -> Result<UploadPartOutput, Error> {
    if input.sse_customer_algorithm.is_some() {
        return Err(not_implemented("x-amz-server-side-encryption-customer-algorithm"));
    }
    let number = input.part_number.filter(|number| (1..=PARTS_MAX).contains(number));
    let number = number.and_then(|number| u32::try_from(number).ok());
    let number =
        number.ok_or_else(|| invalid_argument("Part number must be an integer between 1 and 10000, inclusive"))?;
    let owner = input.expected_bucket_owner.as_deref();
    let upload = {
        let snapshot = service.snapshot();
        let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), owner)?;
        records::upload(&snapshot, bucket, input.key.as_deref(), input.upload_id.as_deref())?.clone()
    };
    let said = Said {
        // The checksum of the object is made of those of the parts.
        algorithm: upload.checksum_algorithm.clone(),
        content_md5: input.content_md5.clone(),
        values: checksums::said!(input),
    };
    let stored = service.store(bytes, said).await?;
    let part = UploadPart {
        bucket: upload.bucket.clone(),
        upload: upload.id.clone(),
        number,
        etag: hex::encode(stored.md5),
        modified_at: service.now(),
        content: stored.content,
        checksum: Some(stored.checksum),
    };
    change(&*service.ledger, |snapshot| {
        let bucket = records::bucket(snapshot, caller, Some(&part.bucket), owner)?;
        records::upload(snapshot, bucket, input.key.as_deref(), Some(&part.upload))?;
        let mut changes = Changes::new();
        // An upload that ends meanwhile has no use for it.
        changes.rely_on::<MultipartUpload>(snapshot, &format!("{}/{}", part.bucket, part.upload));
        changes.put(snapshot, &part);
        Ok((changes, ()))
    })
    .await?;
    let mut output = UploadPartOutput { e_tag: views::etag(&part.etag), ..UploadPartOutput::default() };
    checksums::say!(output, part.checksum.as_ref());
    Ok(output)
}
