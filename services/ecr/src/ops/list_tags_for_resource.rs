//! ListTagsForResource, of a repository.

use api_ecr::{Error, ListTagsForResourceRequest, ListTagsForResourceResponse};
use shape::Caller;

use crate::service::EcrService;
use crate::{names, resource_tags};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, Error> {
    let key = names::of_arn(caller, input.resource_arn.as_deref(), "ListTagsForResource")?;
    let repository = service.on_disk(move |registry| registry.repository(&key)).await?;
    Ok(ListTagsForResourceResponse { tags: Some(resource_tags::view(repository.settings.tags)) })
}
