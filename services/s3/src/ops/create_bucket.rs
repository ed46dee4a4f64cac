//! CreateBucket.

use api_s3::{CreateBucketOutput, CreateBucketRequest, Error, ErrorCode};
use model::{Bucket, Scope};
use shape::Caller;
use state::Changes;

use crate::names;
use crate::records::change;
use crate::refusals::not_implemented;
use crate::service::S3Service;
use crate::views;

const US_EAST_1: &str = "us-east-1";

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: CreateBucketRequest,
) -> Result<CreateBucketOutput, Error> {
    let name = names::bucket(input.bucket.as_deref())?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(not_implemented("x-amz-bucket-object-lock-enabled"));
    }
    if input.acl.as_deref().is_some_and(|acl| acl.starts_with("public")) {
        return Err(not_implemented("x-amz-acl"));
    }
    let configuration = input.create_bucket_configuration.unwrap_or_default();
    if configuration.tags.is_some_and(|tags| !tags.is_empty()) {
        return Err(not_implemented("Tags"));
    }
    if configuration.location.is_some() || configuration.bucket.is_some() {
        return Err(not_implemented("Location"));
    }
    let region = region(&caller.region, configuration.location_constraint.as_deref())?;
    let bucket =
        Bucket { name, scope: Scope::new(&caller.account, &region), created_at: service.now(), is_closing: false };
    change(&*service.ledger, |snapshot| {
        let mut changes = Changes::new();
        match snapshot.buckets.get(&bucket.name) {
            None => changes.put(snapshot, &bucket),
            Some(there) if there.scope.account != bucket.scope.account => {
                let message = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
                return Err(Error::new(ErrorCode::BucketAlreadyExists, message));
            }
            Some(there) if there.is_closing => {
                let message = "A conflicting conditional operation is currently in progress against this resource. Please try again.";
                return Err(Error::new(ErrorCode::OperationAborted, message));
            }
            // As it has always been there, and there alone.
            Some(there) if &*there.scope.region == US_EAST_1 && region == US_EAST_1 => {}
            Some(_) => {
                let message = "Your previous request to create the named bucket succeeded and you already own it.";
                return Err(Error::new(ErrorCode::BucketAlreadyOwnedByYou, message));
            }
        }
        Ok((changes, ()))
    })
    .await?;
    let location = match region.as_str() {
        US_EAST_1 => format!("/{}", bucket.name),
        _ => format!("http://{}.s3.amazonaws.com/", bucket.name),
    };
    Ok(CreateBucketOutput { location: Some(location), bucket_arn: views::arn(&bucket) })
}

/// A bucket is made in the region that is asked, and the request says so again; in us-east-1 it may say any, or none.
fn region(asked: &str, constraint: Option<&str>) -> Result<String, Error> {
    let constraint = constraint.filter(|constraint| !constraint.is_empty());
    match constraint {
        Some("EU") if matches!(asked, US_EAST_1 | "eu-west-1") => Ok("eu-west-1".to_owned()),
        Some(US_EAST_1) => {
            let message = "The specified location-constraint is not valid";
            Err(Error::new(ErrorCode::InvalidLocationConstraint, message))
        }
        Some(constraint) if asked == US_EAST_1 || constraint == asked => Ok(constraint.to_owned()),
        None if asked == US_EAST_1 => Ok(asked.to_owned()),
        other => {
            let constraint = other.unwrap_or("unspecified");
            let message = format!(
                "The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            Err(Error::new(ErrorCode::IllegalLocationConstraintException, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_bucket_is_made() {
        for (asked, constraint, expected) in [
            ("us-east-1", None, Ok("us-east-1")),
            ("us-east-1", Some("eu-west-1"), Ok("eu-west-1")),
            ("us-east-1", Some("EU"), Ok("eu-west-1")),
            ("us-east-1", Some("us-east-1"), Err(ErrorCode::InvalidLocationConstraint)),
            ("eu-west-1", Some("eu-west-1"), Ok("eu-west-1")),
            ("eu-west-1", None, Err(ErrorCode::IllegalLocationConstraintException)),
            ("eu-west-1", Some("us-west-2"), Err(ErrorCode::IllegalLocationConstraintException)),
        ] {
            let found = region(asked, constraint).map_err(|error| error.code);
            assert_eq!(found.as_deref().map_err(|code| *code), expected, "{asked} {constraint:?}");
        }
    }
}
