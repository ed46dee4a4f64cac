//! CompleteMultipartUpload: the parts become one object where they lie.

use api_s3::{CompleteMultipartUploadOutput, CompleteMultipartUploadRequest, CompletedPart, Error, ErrorCode};
use md5::{Digest as _, Md5};
use model::{MultipartUpload, Object, UploadPart};
use shape::Caller;
use state::{Changes, Snapshot};

use crate::conditions::Conditions;
use crate::limits::PART_BYTES_MIN;
use crate::records::{self, change};
use crate::refusals::{bad_digest, no_such_key};
use crate::service::S3Service;
use crate::{checksums, views};

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: CompleteMultipartUploadRequest,
) -> Result<CompleteMultipartUploadOutput, Error> {
    let wanted = input.multipart_upload.clone().and_then(|upload| upload.parts).unwrap_or_default();
    if wanted.is_empty() {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(Error::new(ErrorCode::MalformedXML, message));
    }
    let said = checksums::said!(input);
    let conditions = Conditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
        ..Conditions::default()
    };
    let now = service.now();
    let object = change(&*service.ledger, |snapshot| {
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = records::bucket(snapshot, caller, input.bucket.as_deref(), owner)?;
        let upload = records::upload(snapshot, bucket, input.key.as_deref(), input.upload_id.as_deref())?;
        let there = records::object(snapshot, bucket, &upload.key).ok();
        conditions.write(there.map(|object| &**object), || no_such_key(&upload.key))?;
        let parts = parts(snapshot, upload, &wanted)?;
        let object = Object { modified_at: now, ..whole(upload, &parts) };
        for (algorithm, given) in &said {
            let checksum = object.checksum.as_ref().filter(|checksum| checksum.algorithm == *algorithm);
            if checksum.is_some_and(|checksum| checksum.value != *given) {
                return Err(bad_digest(algorithm));
            }
        }
        let mut changes = Changes::new();
        records::put(&mut changes, snapshot, &object);
        records::forget_upload(&mut changes, snapshot, upload);
        Ok((changes, object))
    })
    .await?;
    let endpoint = caller.endpoint.as_deref().unwrap_or_default();
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("{endpoint}/{}/{}", object.bucket, object.key)),
        bucket: Some(object.bucket.clone()),
        key: Some(object.key.clone()),
        e_tag: views::etag(&object.etag),
        checksum_type: object.checksum.as_ref().map(|checksum| checksum.kind.clone()),
        ..CompleteMultipartUploadOutput::default()
    };
    checksums::say!(output, object.checksum.as_ref());
    Ok(output)
}

/// The parts that the client names, if they are those that it has sent.
fn parts<'a>(
    snapshot: &'a Snapshot,
    upload: &MultipartUpload,
    wanted: &[CompletedPart],
) -> Result<Vec<&'a UploadPart>, Error> {
    let number =
        |part: &CompletedPart| part.part_number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    if !wanted.is_sorted_by(|one, next| number(one) < number(next)) {
        let message =
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
        return Err(Error::new(ErrorCode::InvalidPartOrder, message));
    }
    let mut parts: Vec<&UploadPart> = Vec::new();
    for (at, part) in wanted.iter().enumerate() {
        let number = number(part);
        let etag = part.e_tag.as_deref().unwrap_or_default().trim_matches('"');
        let found = snapshot.upload_parts.get(&format!("{}/{}/{number:05}", upload.bucket, upload.id));
        let found = found.filter(|found| found.etag == etag && is_as_said(found, part)).ok_or_else(|| {
            let message = "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not match the part's entity tag.";
            let error = Error::new(ErrorCode::InvalidPart, message).with_member("UploadId", upload.id.as_str().into());
            error.with_member("PartNumber", number.to_string().into()).with_member("ETag", etag.into())
        })?;
        if found.content.size < PART_BYTES_MIN && at + 1 < wanted.len() {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            let error = Error::new(ErrorCode::EntityTooSmall, message);
            let error = error.with_member("ProposedSize", found.content.size.to_string().into());
            return Err(error.with_member("MinSizeAllowed", PART_BYTES_MIN.to_string().into()));
        }
        parts.push(found);
    }
    Ok(parts)
}

fn is_as_said(part: &UploadPart, said: &CompletedPart) -> bool {
    let said = checksums::said!(said);
    said.iter().all(|(algorithm, value)| {
        let checksum = part.checksum.as_ref().filter(|checksum| checksum.algorithm == *algorithm);
        checksum.is_none_or(|checksum| checksum.value == *value)
    })
}

fn whole(upload: &MultipartUpload, parts: &[&UploadPart]) -> Object {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(hex::decode(&part.etag).unwrap_or_default());
    }
    let algorithm = upload.checksum_algorithm.as_deref().unwrap_or(checksums::DEFAULT);
    let kind = upload.checksum_kind.as_deref().unwrap_or(checksums::FULL_OBJECT);
    Object {
        bucket: upload.bucket.clone(),
        key: upload.key.clone(),
        size: parts.iter().map(|part| part.content.size).sum(),
        etag: format!("{}-{}", hex::encode(md5.finalize()), parts.len()),
        modified_at: upload.initiated_at,
        content: parts.iter().map(|part| part.content.clone()).collect(),
        headers: upload.headers.clone(),
        checksum: checksums::of_parts(algorithm, kind, parts),
    }
}
