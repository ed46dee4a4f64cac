//! ListObjectsV2.

use api_s3::{CommonPrefix, Error, ListObjectsV2Output, ListObjectsV2Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shape::Caller;

use crate::limits::LIST_MAX;
use crate::listing::{Wanted, list, said};
use crate::refusals::invalid_argument;
use crate::service::S3Service;
use crate::{records, views};

pub(crate) fn run(
    service: &S3Service,
    caller: &Caller,
    input: ListObjectsV2Request,
) -> Result<ListObjectsV2Output, Error> {
    let snapshot = service.snapshot();
    let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let max = max_keys(input.max_keys)?;
    // A token is where the last page ended, and wins over where the first was to begin.
    let after = match &input.continuation_token {
        Some(token) => opened(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let is_encoded = input.encoding_type.as_deref() == Some("url");
    let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
    let wanted = Wanted { prefix: &prefix, delimiter: &delimiter, after: &after, max };
    let page = list(&snapshot, bucket, &wanted);
    let fetches_owner = input.fetch_owner == Some(true);
    let contents = page.objects.iter().map(|object| {
        let mut listed = views::listed(object, is_encoded);
        listed.owner = fetches_owner.then(|| views::owner(bucket));
        listed
    });
    let folders = page.folders.iter().map(|folder| CommonPrefix { prefix: Some(said(folder, is_encoded)) });
    Ok(ListObjectsV2Output {
        is_truncated: Some(page.next.is_some()),
        key_count: i32::try_from(page.objects.len() + page.folders.len()).ok(),
        contents: Some(contents.collect()),
        common_prefixes: Some(folders.collect()),
        name: Some(bucket.name.clone()),
        prefix: Some(said(&prefix, is_encoded)),
        delimiter: Some(said(&delimiter, is_encoded)).filter(|text| !text.is_empty()),
        max_keys: i32::try_from(max).ok(),
        encoding_type: input.encoding_type,
        continuation_token: input.continuation_token,
        next_continuation_token: page.next.map(|key| URL_SAFE_NO_PAD.encode(key)),
        start_after: input.start_after.map(|key| said(&key, is_encoded)),
        request_charged: None,
    })
}

fn opened(token: &str) -> Result<String, Error> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| invalid_argument("The continuation token provided is incorrect"))
}

pub(crate) fn max_keys(asked: Option<i32>) -> Result<usize, Error> {
    let asked = asked.unwrap_or(LIST_MAX).min(LIST_MAX);
    usize::try_from(asked).map_err(|_| invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647"))
}
