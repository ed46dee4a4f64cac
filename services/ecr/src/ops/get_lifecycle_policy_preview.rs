//! GetLifecyclePolicyPreview: the images that a policy would have expired when the preview began.

use api_ecr::enums::{image_action_type, lifecycle_policy_preview_status, tag_status};
use api_ecr::{
    Error, ErrorCode, GetLifecyclePolicyPreviewRequest, GetLifecyclePolicyPreviewResponse, ImageIdentifier,
    LifecyclePolicyPreviewResult, LifecyclePolicyPreviewSummary, LifecyclePolicyRuleAction,
};
use registry::{Holder, RepositoryKey};
use shape::Caller;

use crate::image_ids::ImageId;
use crate::lifecycle::{Expiring, PreviewRecord};
use crate::limits::{PREVIEW_LIFE, PREVIEW_PAGE};
use crate::pages::{Wanted, refuse_with};
use crate::refusals::refuse;
use crate::service::EcrService;
use crate::{names, refusals};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: GetLifecyclePolicyPreviewRequest,
) -> Result<GetLifecyclePolicyPreviewResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "GetLifecyclePolicyPreview")?;
    let (token, size) = (input.next_token.as_deref(), input.max_results);
    if input.image_ids.is_some() {
        refuse_with("imageIds", token, size)?;
    }
    let wanted = Wanted::of(token, size, PREVIEW_PAGE)?;
    let ids = input.image_ids.map(|ids| parse(&key, &ids)).transpose()?;
    let tag_status = input.filter.and_then(|filter| filter.tag_status);
    let now = service.now();

    let holder = key.clone();
    let kept = service
        .decide(move |registry| {
            let kept = registry.record::<PreviewRecord>(Holder::Repository(&holder), PreviewRecord::NAME);
            kept.map_err(refusals::registry)?.ok_or_else(|| not_found(&holder))
        })
        .await?;
    let is_over = now.since(kept.started_at) >= PREVIEW_LIFE;
    let expiring = if is_over { Vec::new() } else { kept.expiring };
    let total = i32::try_from(expiring.len()).unwrap_or(i32::MAX);
    // A place in a list that does not change is a token as good as any.
    let chosen = expiring.into_iter().filter(|image| {
        has_status(image, tag_status.as_deref())
            && ids.as_ref().is_none_or(|ids| ids.iter().any(|id| names_it(id, image)))
    });
    let places: Vec<(usize, Expiring)> = chosen.enumerate().collect();
    let (page, next_token) = match ids {
        Some(_) => (places, None),
        None => wanted.page(places, |(place, _)| format!("{place:09}")),
    };
    let status =
        if is_over { lifecycle_policy_preview_status::EXPIRED } else { lifecycle_policy_preview_status::COMPLETE };
    Ok(GetLifecyclePolicyPreviewResponse {
        registry_id: Some(key.scope.account().to_owned()),
        repository_name: Some(key.name.to_string()),
        lifecycle_policy_text: Some(kept.text),
        status: Some(status.to_owned()),
        next_token,
        preview_results: Some(page.into_iter().map(|(_, image)| result(image)).collect()),
        summary: Some(LifecyclePolicyPreviewSummary { expiring_image_total_count: Some(total), ..Default::default() }),
    })
}

fn parse(key: &RepositoryKey, ids: &[ImageIdentifier]) -> Result<Vec<ImageId>, Error> {
    ids.iter()
        .map(|id| ImageId::parse(id).map_err(|failure| failure.refusal(key, id)))
        .filter(|parsed| !matches!(parsed, Err(error) if error.code == ErrorCode::ImageNotFoundException))
        .collect()
}

fn names_it(id: &ImageId, image: &Expiring) -> bool {
    match id {
        ImageId::Tag(tag) => image.tags.contains(tag),
        ImageId::Digest(digest) => image.digest == *digest,
        ImageId::Both(tag, digest) => image.digest == *digest && image.tags.contains(tag),
    }
}

fn has_status(image: &Expiring, wanted: Option<&str>) -> bool {
    match wanted {
        Some(tag_status::TAGGED) => !image.tags.is_empty(),
        Some(tag_status::UNTAGGED) => image.tags.is_empty(),
        _ => true,
    }
}

fn result(image: Expiring) -> LifecyclePolicyPreviewResult {
    let tags: Vec<String> = image.tags.iter().map(ToString::to_string).collect();
    LifecyclePolicyPreviewResult {
        image_tags: Some(tags),
        image_digest: Some(image.digest.to_string()),
        image_pushed_at: Some(image.pushed_at),
        action: Some(LifecyclePolicyRuleAction {
            r#type: Some(image_action_type::EXPIRE.to_owned()),
            ..Default::default()
        }),
        applied_rule_priority: Some(image.rule_priority),
        ..Default::default()
    }
}

fn not_found(key: &RepositoryKey) -> Error {
    let message = format!(
        "Lifecycle policy preview does not exist for the repository with name '{}' in the registry with id '{}'",
        key.name,
        key.scope.account()
    );
    refuse(ErrorCode::LifecyclePolicyPreviewNotFoundException, message)
}
