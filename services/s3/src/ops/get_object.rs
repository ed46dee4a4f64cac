//! GetObject.

use api_s3::{Error, ErrorCode, GetObjectOutput, GetObjectRequest};
use shape::{ByteStream, Caller};

use crate::conditions::Conditions;
use crate::refusals::not_implemented;
use crate::service::S3Service;
use crate::{names, ranges, records, views};

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: GetObjectRequest,
) -> Result<(GetObjectOutput, ByteStream), Error> {
    if input.version_id.as_deref().is_some_and(|id| id != "null") {
        return Err(not_implemented("versionId"));
    }
    if input.sse_customer_algorithm.is_some() {
        return Err(not_implemented("x-amz-server-side-encryption-customer-algorithm"));
    }
    if input.part_number.is_some() {
        return Err(not_implemented("partNumber"));
    }
    let key = names::key(input.key.as_deref())?;
    let object = {
        let snapshot = service.snapshot();
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), owner)?;
        records::object(&snapshot, bucket, &key)?.clone()
    };
    let conditions = Conditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.read(&object)?;
    let range = input.range.as_deref().map(|text| ranges::parse(text, object.size)).transpose();
    let range = range.map_err(|_| {
        let error = Error::new(ErrorCode::InvalidRange, "The requested range is not satisfiable");
        error
            .with_member("RangeRequested", input.range.as_deref().unwrap_or_default().into())
            .with_member("ActualObjectSize", object.size.to_string().into())
    })?;
    let range = range.flatten();
    let mut output = GetObjectOutput::default();
    // A checksum is that of the whole object.
    let wants_checksum = input.checksum_mode.is_some() && range.is_none();
    views::describe!(output, &object, wants_checksum);
    if let Some(range) = &range {
        output.content_range = Some(format!("bytes {}-{}/{}", range.start, range.end - 1, object.size));
        output.content_length = i64::try_from(range.end - range.start).ok();
    }
    for (asked, member) in [
        (input.response_cache_control, &mut output.cache_control),
        (input.response_content_disposition, &mut output.content_disposition),
        (input.response_content_encoding, &mut output.content_encoding),
        (input.response_content_language, &mut output.content_language),
        (input.response_content_type, &mut output.content_type),
    ] {
        if asked.is_some() {
            *member = asked;
        }
    }
    let bytes = service.read(&object.content, range.unwrap_or(0..object.size)).await?;
    Ok((output, bytes))
}
