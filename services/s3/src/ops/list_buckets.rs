//! ListBuckets.

use api_s3::{Bucket as ListedBucket, Error, ListBucketsOutput, ListBucketsRequest, Owner};
use shape::Caller;

use crate::limits::BUCKETS_LISTED_MAX;
use crate::refusals::invalid_argument;
use crate::service::S3Service;
use crate::views;

pub(crate) fn run(service: &S3Service, caller: &Caller, input: ListBucketsRequest) -> Result<ListBucketsOutput, Error> {
    let max = input.max_buckets.unwrap_or(BUCKETS_LISTED_MAX);
    if !(1..=BUCKETS_LISTED_MAX).contains(&max) {
        return Err(invalid_argument("Argument max-buckets must be an integer between 1 and 10000"));
    }
    let snapshot = service.snapshot();
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let mut buckets = snapshot.buckets.range(&prefix).filter(|bucket| {
        *bucket.scope.account == *caller.account
            && !bucket.is_closing
            && bucket.name > after
            && input.bucket_region.as_deref().is_none_or(|region| *bucket.scope.region == *region)
    });
    let page: Vec<_> = buckets.by_ref().take(usize::try_from(max).unwrap_or_default()).collect();
    let more = buckets.next().is_some();
    let listed = page.iter().map(|bucket| ListedBucket {
        name: Some(bucket.name.clone()),
        creation_date: Some(bucket.created_at),
        bucket_region: Some(bucket.scope.region.to_string()),
        bucket_arn: views::arn(bucket),
    });
    Ok(ListBucketsOutput {
        buckets: Some(listed.collect()),
        owner: Some(Owner { id: Some(format!("{:0>64}", caller.account)), ..Owner::default() }),
        continuation_token: page.last().filter(|_| more).map(|bucket| bucket.name.clone()),
        prefix: input.prefix,
    })
}
