//! PutObject.

use api_s3::{Error, PutObjectOutput, PutObjectRequest};
use model::Object;
use shape::{ByteStream, Caller};
use state::Changes;

use crate::checksums::{self, Said};
use crate::conditions::Conditions;
use crate::records::{self, change};
use crate::refusals::{no_such_key, not_implemented};
use crate::service::S3Service;
use crate::{names, views};

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: PutObjectRequest,
    bytes: ByteStream,
) -> Result<PutObjectOutput, Error> {
    let key = names::key(input.key.as_deref())?;
    let headers = views::headers_of!(input)?;
    if input.write_offset_bytes.is_some() {
        return Err(not_implemented("x-amz-write-offset-bytes"));
    }
    let owner = input.expected_bucket_owner.as_deref();
    let conditions = Conditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
        ..Conditions::default()
    };
    // Before the bytes, so that nobody sends them for nothing.
    let bucket = {
        let snapshot = service.snapshot();
        let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), owner)?;
        let there = records::object(&snapshot, bucket, &key).ok();
        conditions.write(there.map(|object| &**object), || no_such_key(&key))?;
        bucket.name.clone()
    };
    let said = Said {
        algorithm: input.checksum_algorithm.clone(),
        content_md5: input.content_md5.clone(),
        values: checksums::said!(input),
    };
    let stored = service.store(bytes, said).await?;
    let object = Object {
        bucket,
        key,
        size: stored.content.size,
        etag: hex::encode(stored.md5),
        modified_at: service.now(),
        content: vec![stored.content],
        headers,
        checksum: Some(stored.checksum),
    };
    change(&*service.ledger, |snapshot| {
        let bucket = records::bucket(snapshot, caller, Some(&object.bucket), owner)?;
        let there = records::object(snapshot, bucket, &object.key).ok();
        conditions.write(there.map(|object| &**object), || no_such_key(&object.key))?;
        let mut changes = Changes::new();
        records::put(&mut changes, snapshot, &object);
        Ok((changes, ()))
    })
    .await?;
    let mut output = PutObjectOutput {
        e_tag: views::etag(&object.etag),
        checksum_type: object.checksum.as_ref().map(|checksum| checksum.kind.clone()),
        size: i64::try_from(object.size).ok(),
        server_side_encryption: input.server_side_encryption,
        ..PutObjectOutput::default()
    };
    checksums::say!(output, object.checksum.as_ref());
    Ok(output)
}
