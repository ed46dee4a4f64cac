//! DeleteObject.

use api_s3::{DeleteObjectOutput, DeleteObjectRequest, Error};
use shape::Caller;
use state::Changes;

use crate::conditions::Conditions;
use crate::names;
use crate::records::{self, change};
use crate::refusals::{no_such_key, not_implemented};
use crate::service::S3Service;

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: DeleteObjectRequest,
) -> Result<DeleteObjectOutput, Error> {
    if input.version_id.as_deref().is_some_and(|id| id != "null") {
        return Err(not_implemented("versionId"));
    }
    let key = names::key(input.key.as_deref())?;
    let conditions = Conditions { if_match: input.if_match.as_deref(), ..Conditions::default() };
    change(&*service.ledger, |snapshot| {
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = records::bucket(snapshot, caller, input.bucket.as_deref(), owner)?;
        let there = records::object(snapshot, bucket, &key).ok();
        conditions.write(there.map(|object| &**object), || no_such_key(&key))?;
        let mut changes = Changes::new();
        if let Some(object) = there {
            changes.delete(snapshot, &**object);
        }
        Ok((changes, ()))
    })
    .await?;
    Ok(DeleteObjectOutput::default())
}
