//! ListObjects, the older one, which pages by key.

use api_s3::{CommonPrefix, Error, ListObjectsOutput, ListObjectsRequest};
use shape::Caller;

use super::list_objects_v2::max_keys;
use crate::listing::{Wanted, list, said};
use crate::service::S3Service;
use crate::{records, views};

pub(crate) fn run(service: &S3Service, caller: &Caller, input: ListObjectsRequest) -> Result<ListObjectsOutput, Error> {
    let snapshot = service.snapshot();
    let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let max = max_keys(input.max_keys)?;
    let is_encoded = input.encoding_type.as_deref() == Some("url");
    let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
    let marker = input.marker.unwrap_or_default();
    let wanted = Wanted { prefix: &prefix, delimiter: &delimiter, after: &marker, max };
    let page = list(&snapshot, bucket, &wanted);
    let contents = page.objects.iter().map(|object| {
        let mut listed = views::listed(object, is_encoded);
        listed.owner = Some(views::owner(bucket));
        listed
    });
    let folders = page.folders.iter().map(|folder| CommonPrefix { prefix: Some(said(folder, is_encoded)) });
    Ok(ListObjectsOutput {
        is_truncated: Some(page.next.is_some()),
        contents: Some(contents.collect()),
        common_prefixes: Some(folders.collect()),
        name: Some(bucket.name.clone()),
        prefix: Some(said(&prefix, is_encoded)),
        marker: Some(said(&marker, is_encoded)),
        // Without a delimiter it is the last key, which the client has.
        next_marker: page.next.filter(|_| !delimiter.is_empty()).map(|next| said(&next, is_encoded)),
        delimiter: Some(said(&delimiter, is_encoded)).filter(|text| !text.is_empty()),
        max_keys: i32::try_from(max).ok(),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}
