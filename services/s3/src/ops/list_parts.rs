//! ListParts.

use api_s3::{Error, ListPartsOutput, ListPartsRequest, Part};
use shape::Caller;

use crate::checksums;
use crate::limits::LIST_MAX;
use crate::records;
use crate::refusals::invalid_argument;
use crate::service::S3Service;
use crate::views;

pub(crate) fn run(service: &S3Service, caller: &Caller, input: ListPartsRequest) -> Result<ListPartsOutput, Error> {
    let snapshot = service.snapshot();
    let bucket = records::bucket(&snapshot, caller, input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let upload = records::upload(&snapshot, bucket, input.key.as_deref(), input.upload_id.as_deref())?;
    let max = input.max_parts.unwrap_or(LIST_MAX).min(LIST_MAX);
    let max = usize::try_from(max).map_err(|_| invalid_argument("Argument max-parts must be an integer"))?;
    let marker = u32::try_from(input.part_number_marker.unwrap_or_default())
        .map_err(|_| invalid_argument("Argument part-number-marker must be an integer"))?;
    let mut rest =
        snapshot.upload_parts.range_after(&format!("{}/{}/", upload.bucket, upload.id), &format!("{marker:05}"));
    let page: Vec<_> = rest.by_ref().take(max).collect();
    let more = rest.next().is_some();
    let parts = page.iter().map(|part| {
        let mut listed = Part {
            part_number: i32::try_from(part.number).ok(),
            last_modified: Some(part.modified_at),
            e_tag: views::etag(&part.etag),
            size: i64::try_from(part.content.size).ok(),
            ..Part::default()
        };
        checksums::say!(listed, part.checksum.as_ref());
        listed
    });
    Ok(ListPartsOutput {
        bucket: Some(upload.bucket.clone()),
        key: Some(upload.key.clone()),
        upload_id: Some(upload.id.clone()),
        part_number_marker: i32::try_from(marker).ok(),
        next_part_number_marker: page.last().and_then(|part| i32::try_from(part.number).ok()),
        max_parts: i32::try_from(max).ok(),
        is_truncated: Some(more),
        parts: Some(parts.collect()),
        owner: Some(views::owner(bucket)),
        storage_class: Some("STANDARD".to_owned()),
        checksum_algorithm: upload.checksum_algorithm.clone(),
        checksum_type: upload.checksum_kind.clone(),
        ..ListPartsOutput::default()
    })
}
