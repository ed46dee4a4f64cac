//! CopyObject: the bytes stay where they are, and get a second name.

use api_s3::{CopyObjectOutput, CopyObjectRequest, CopyObjectResult, Error, ErrorCode};
use model::Object;
use percent_encoding::percent_decode_str;
use shape::Caller;
use state::Changes;

use crate::checksums;
use crate::conditions::Conditions;
use crate::records::{self, change};
use crate::refusals::{invalid_argument, no_such_key, not_implemented};
use crate::service::S3Service;
use crate::{names, views};

pub(crate) async fn run(
    service: &S3Service,
    caller: &Caller,
    input: CopyObjectRequest,
) -> Result<CopyObjectOutput, Error> {
    let key = names::key(input.key.as_deref())?;
    let replaces = input.metadata_directive.as_deref() == Some("REPLACE");
    if input.tagging_directive.as_deref() == Some("REPLACE") || input.copy_source_sse_customer_algorithm.is_some() {
        return Err(not_implemented("x-amz-tagging-directive"));
    }
    let headers = views::headers_of!(input)?;
    let (from_bucket, from_key) = source(input.copy_source.as_deref().unwrap_or_default())?;
    let read = Conditions {
        if_match: input.copy_source_if_match.as_deref(),
        if_none_match: input.copy_source_if_none_match.as_deref(),
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let write = Conditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
        ..Conditions::default()
    };
    let now = service.now();
    let object = change(&*service.ledger, |snapshot| {
        let from = records::bucket(snapshot, caller, Some(&from_bucket), input.expected_source_bucket_owner.as_deref())?;
        let to =
            records::bucket(snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let source = records::object(snapshot, from, &from_key)?;
        // Of a copy, a condition that does not hold is always a failure.
        read.read(source).map_err(|error| match error.code {
            ErrorCode::NotModified => {
                Error::new(ErrorCode::PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
            }
            _ => error,
        })?;
        let there = records::object(snapshot, to, &key).ok();
        write.write(there.map(|object| &**object), || no_such_key(&key))?;
        if from.name == to.name && from_key == key && !replaces {
            let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
            return Err(Error::new(ErrorCode::InvalidRequest, message));
        }
        let object = Object {
            bucket: to.name.clone(),
            key: key.clone(),
            modified_at: now,
            headers: if replaces { headers.clone() } else { source.headers.clone() },
            ..(**source).clone()
        };
        let mut changes = Changes::new();
        // Bytes that somebody deletes meanwhile are swept an hour later at the soonest, and this record names them by then.
        changes.rely_on::<Object>(snapshot, &format!("{}/{from_key}", from.name));
        records::put(&mut changes, snapshot, &object);
        Ok((changes, object))
    })
    .await?;
    let mut result = CopyObjectResult {
        e_tag: views::etag(&object.etag),
        last_modified: Some(object.modified_at),
        checksum_type: object.checksum.as_ref().map(|checksum| checksum.kind.clone()),
        ..CopyObjectResult::default()
    };
    checksums::say!(result, object.checksum.as_ref());
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
}

/// `bucket/key`, encoded as a path, perhaps with a slash before it.
fn source(text: &str) -> Result<(String, String), Error> {
    let refuse = || invalid_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
    let (path, version) = text.split_once("?versionId=").map_or((text, None), |(path, id)| (path, Some(id)));
    if version.is_some_and(|id| id != "null") {
        return Err(not_implemented("x-amz-copy-source"));
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| refuse())?;
    let (bucket, key) = path.trim_start_matches('/').split_once('/').ok_or_else(refuse)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(refuse());
    }
    Ok((bucket.to_owned(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_copy_comes_from() {
        let found = |text| source(text).map_err(|error| error.code);
        assert_eq!(found("/b/a%20b/c"), Ok(("b".into(), "a b/c".into())));
        assert_eq!(found("b/k?versionId=null"), Ok(("b".into(), "k".into())));
        assert_eq!(found("b/k?versionId=1"), Err(ErrorCode::NotImplemented));
        assert_eq!(found("b"), Err(ErrorCode::InvalidArgument));
        assert_eq!(found("b/"), Err(ErrorCode::InvalidArgument));
    }
}
