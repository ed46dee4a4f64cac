//! GetBucketLocation.

use api_s3::{Error, GetBucketLocationOutput, GetBucketLocationRequest};
use shape::Caller;

use crate::records;
use crate::service::S3Service;

pub(crate) fn run(
    service: &S3Service,
    caller: &Caller,
    input: &GetBucketLocationRequest,
) -> Result<GetBucketLocationOutput, Error> {
    let snapshot = service.snapshot();
    let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let region = bucket.scope.region.to_string();
    Ok(GetBucketLocationOutput { location_constraint: Some(region).filter(|region| region != "us-east-1") })
}
