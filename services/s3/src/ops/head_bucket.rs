//! HeadBucket.

use api_s3::{Error, HeadBucketOutput, HeadBucketRequest};
use shape::Caller;

use crate::records;
use crate::service::S3Service;
use crate::views;

pub(crate) fn run(service: &S3Service, caller: &Caller, input: &HeadBucketRequest) -> Result<HeadBucketOutput, Error> {
    let snapshot = service.snapshot();
    let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    Ok(HeadBucketOutput {
        bucket_arn: views::arn(bucket),
        bucket_region: Some(bucket.scope.region.to_string()),
        access_point_alias: Some(false),
        ..HeadBucketOutput::default()
    })
}
