//! DescribeImages: some by tag or digest, or all of a repository.

use std::collections::BTreeMap;

use api_ecr::{DescribeImagesRequest, DescribeImagesResponse, Error, ImageIdentifier};
use blobs::Digest;
use registry::{Image, RepositoryKey};
use shape::Caller;

use crate::image_ids::{Failure, ImageId};
use crate::pages::{Wanted, refuse_with};
use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DescribeImagesRequest,
) -> Result<DescribeImagesResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "DescribeImages")?;
    let (token, size) = (input.next_token.as_deref(), input.max_results);
    if input.image_ids.is_some() {
        refuse_with("imageIds", token, size)?;
    }
    let wanted = Wanted::parse(token, size)?;
    let filter = input.filter.unwrap_or_default();

    let of = key.clone();
    let (repository, images) =
        service.on_disk(move |registry| Ok((registry.repository(&of)?, registry.images(&of)?))).await?;
    let is_named = input.image_ids.is_some();
    let mut images = match input.image_ids {
        Some(ids) => named(&key, images, &ids)?,
        None => images,
    };
    images.retain(|image| {
        views::has_tag_status(image, filter.tag_status.as_deref())
            && views::may_have_status(filter.image_status.as_deref())
    });
    let (images, next_token) =
        if is_named { (images, None) } else { wanted.page(images, |image| image.digest.to_string()) };
    let details = images.into_iter().map(|image| views::image(&key, &repository, image)).collect();
    Ok(DescribeImagesResponse { image_details: Some(details), next_token })
}

/// The images that are named, in that order, each once. Every one must be there.
fn named(key: &RepositoryKey, images: Vec<Image>, ids: &[ImageIdentifier]) -> Result<Vec<Image>, Error> {
    let mut images: BTreeMap<Digest, Image> = images.into_iter().map(|image| (image.digest, image)).collect();
    let mut wanted: Vec<Digest> = Vec::new();
    for id in ids {
        let digest = ImageId::parse(id)
            .and_then(|parsed| find(&images, &parsed).ok_or(Failure::ImageNotFound))
            .map_err(|failure| failure.refusal(key, id))?;
        if !wanted.contains(&digest) {
            wanted.push(digest);
        }
    }
    Ok(wanted.iter().filter_map(|digest| images.remove(digest)).collect())
}

fn find(images: &BTreeMap<Digest, Image>, id: &ImageId) -> Option<Digest> {
    let tagged = |tag| images.values().find(|image| image.tags.contains(tag)).map(|image| image.digest);
    match id {
        ImageId::Tag(tag) => tagged(tag),
        ImageId::Digest(digest) => images.contains_key(digest).then_some(*digest),
        ImageId::Both(tag, digest) => tagged(tag).filter(|tagged| tagged == digest),
    }
}
