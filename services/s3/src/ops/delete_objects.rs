//! DeleteObjects.

use api_s3::{
    DeleteObjectsOutput, DeleteObjectsRequest, DeletedObject, Error, ErrorCode, ObjectError, ObjectIdentifier,
};
use shape::Caller;
use state::Changes;

use crate::limits::DELETE_MAX;
use crate::records::{self, change};
use crate::service::S3Service;

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: DeleteObjectsRequest,
) -> Result<DeleteObjectsOutput, Error> {
    let delete = input.delete.unwrap_or_default();
    let objects = delete.objects.unwrap_or_default();
    if objects.is_empty() || objects.len() > DELETE_MAX {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(Error::new(ErrorCode::MalformedXML, message));
    }
    let (kept, wanted): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_of_a_version);
    change(&*service.ledger, |snapshot| {
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = records::bucket(snapshot, caller, input.bucket.as_deref(), owner)?;
        let mut changes = Changes::new();
        for object in &wanted {
            // One that is not there is deleted too.
            if let Ok(object) = records::object(snapshot, bucket, object.key.as_deref().unwrap_or_default()) {
                changes.delete(snapshot, &**object);
            }
        }
        Ok((changes, ()))
    })
    .await?;
    let deleted = wanted.into_iter().map(|object| DeletedObject { key: object.key, ..DeletedObject::default() });
    let errors = kept.into_iter().map(|object| ObjectError {
        key: object.key,
        version_id: object.version_id,
        code: Some("NoSuchVersion".to_owned()),
        message: Some("The specified version does not exist.".to_owned()),
    });
    Ok(DeleteObjectsOutput {
        deleted: Some(deleted.collect()).filter(|_| delete.quiet != Some(true)),
        errors: Some(errors.collect()),
        ..DeleteObjectsOutput::default()
    })
}

/// There are none here.
fn is_of_a_version(object: &ObjectIdentifier) -> bool {
    object.version_id.as_deref().is_some_and(|id| id != "null")
}
