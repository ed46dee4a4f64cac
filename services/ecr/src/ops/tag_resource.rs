//! TagResource, on repositories. A tag that is there gets the new value.

use api_ecr::{Error, TagResourceRequest, TagResourceResponse};
use shape::Caller;

use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::{names, resource_tags};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, Error> {
    let key = names::of_arn(caller, input.resource_arn.as_deref(), "TagResource")?;
    let tags = resource_tags::parse(Some(required(input.tags, "tags")?))?;
    service
        .decide(move |registry| {
            let changed = registry.change_repository(&key, |settings| {
                settings.tags.extend(tags);
                resource_tags::refuse_beyond_limit(settings.tags.len())
            });
            changed.map_err(refusals::registry)??;
            Ok(TagResourceResponse {})
        })
        .await
}
