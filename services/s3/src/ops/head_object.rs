//! HeadObject.

use api_s3::{Error, ErrorCode, HeadObjectOutput, HeadObjectRequest};
use shape::Caller;

use crate::conditions::Conditions;
use crate::refusals::not_implemented;
use crate::service::S3Service;
use crate::{names, ranges, records, views};

pub(crate) fn run(service: &S3Service, caller: &Caller, input: HeadObjectRequest) -> Result<HeadObjectOutput, Error> {
    if input.version_id.as_deref().is_some_and(|id| id != "null") {
        return Err(not_implemented("versionId"));
    }
    if input.part_number.is_some() {
        return Err(not_implemented("partNumber"));
    }
    let key = names::key(input.key.as_deref())?;
    let snapshot = service.snapshot();
    let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let object = records::object(&snapshot, bucket, &key)?;
    let conditions = Conditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.read(object)?;
    let mut output = HeadObjectOutput::default();
    views::describe!(output, &**object, input.checksum_mode.is_some());
    let range = input.range.as_deref().map(|text| ranges::parse(text, object.size)).transpose();
    let range = range.map_err(|_| Error::new(ErrorCode::InvalidRange, "The requested range is not satisfiable"))?;
    if let Some(range) = range.flatten() {
        output.content_range = Some(format!("bytes {}-{}/{}", range.start, range.end - 1, object.size));
        output.content_length = i64::try_from(range.end - range.start).ok();
    }
    Ok(output)
}
