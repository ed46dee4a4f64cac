//! ListImageReferrers: the artifacts that are about an image.

use api_ecr::enums::{artifact_status, artifact_status_filter};
use api_ecr::{Error, ImageReferrer, ListImageReferrersRequest, ListImageReferrersResponse};
use registry::ManifestRecord;
use shape::Caller;

use crate::limits::REFERRERS_PAGE;
use crate::names;
use crate::pages::Wanted;
use crate::refusals::{invalid, required};
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: ListImageReferrersRequest,
) -> Result<ListImageReferrersResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "ListImageReferrers")?;
    let wanted = Wanted::of(input.next_token.as_deref(), input.max_results, REFERRERS_PAGE)?;
    let subject = required(required(input.subject_id, "subjectId")?.image_digest, "imageDigest")?;
    let subject = subject
        .parse()
        .map_err(|_| invalid("imageDigest", "image digest should satisfy the regex 'sha256:[a-f0-9]{64}'"))?;
    let filter = input.filter.unwrap_or_default();
    let types = filter.artifact_types.unwrap_or_default();
    let mut referrers = service.on_disk(move |registry| registry.referrers(&key, &subject)).await?;
    // All artifacts are active.
    let none = filter.artifact_status.is_some_and(|status| {
        ![artifact_status_filter::ACTIVE, artifact_status_filter::ANY].contains(&status.as_str())
    });
    referrers.retain(|(_, record)| {
        !none && (types.is_empty() || record.artifact_type.as_ref().is_some_and(|kind| types.contains(kind)))
    });
    referrers.sort_by_key(|(digest, _)| digest.to_string());
    let (page, next_token) = wanted.page(referrers, |(digest, _)| digest.to_string());
    let view = |(digest, record): (blobs::Digest, ManifestRecord)| ImageReferrer {
        digest: Some(digest.to_string()),
        media_type: Some(record.media_type),
        artifact_type: record.artifact_type,
        size: Some(i64::try_from(record.size).unwrap_or(i64::MAX)),
        annotations: Some(record.annotations).filter(|annotations| !annotations.is_empty()),
        artifact_status: Some(artifact_status::ACTIVE.to_owned()),
    };
    Ok(ListImageReferrersResponse { referrers: Some(page.into_iter().map(view).collect()), next_token })
}
