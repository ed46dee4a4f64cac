//! UntagResource, on repositories. A tag that is not there is no error.

use api_ecr::{Error, UntagResourceRequest, UntagResourceResponse};
use shape::Caller;

use crate::names;
use crate::refusals::{self, required};
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, Error> {
    let key = names::of_arn(caller, input.resource_arn.as_deref(), "UntagResource")?;
    let keys = required(input.tag_keys, "tagKeys")?;
    service
        .decide(move |registry| {
            let changed = registry.change_repository(&key, |settings| {
                settings.tags.retain(|key, _| !keys.contains(key));
                Ok(())
            });
            changed.map_err(refusals::registry)??;
            Ok(UntagResourceResponse {})
        })
        .await
}
