//! ListImages: an entry for each tag, and for each image that has none.

use api_ecr::{Error, ImageIdentifier, ListImagesRequest, ListImagesResponse};
use shape::Caller;

use crate::pages::Wanted;
use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: ListImagesRequest,
) -> Result<ListImagesResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "ListImages")?;
    let wanted = Wanted::parse(input.next_token.as_deref(), input.max_results)?;
    let filter = input.filter.unwrap_or_default();
    let mut images = service.on_disk(move |registry| registry.images(&key)).await?;
    images.retain(|image| {
        views::has_tag_status(image, filter.tag_status.as_deref())
            && views::may_have_status(filter.image_status.as_deref())
    });
    let ids = images.iter().flat_map(|image| views::identifiers(&image.digest, &image.tags)).collect();
    let (ids, next_token) = wanted.page(ids, order);
    Ok(ListImagesResponse { image_ids: Some(ids), next_token })
}

/// Images are sorted by digest, and the tags of each by name. All digests are of one length.
fn order(id: &ImageIdentifier) -> String {
    format!("{} {}", id.image_digest.as_deref().unwrap_or_default(), id.image_tag.as_deref().unwrap_or_default())
}
