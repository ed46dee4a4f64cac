//! PutImageTagMutability: for pushes to come; tags that are there stay as they are.

use api_ecr::{Error, PutImageTagMutabilityRequest, PutImageTagMutabilityResponse};
use shape::Caller;

use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::settings::{exclusions, mutability};
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutImageTagMutabilityRequest,
) -> Result<PutImageTagMutabilityResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "PutImageTagMutability")?;
    let tag_mutability = mutability(Some(&required(input.image_tag_mutability, "imageTagMutability")?))?;
    let patterns = exclusions(tag_mutability, input.image_tag_mutability_exclusion_filters)?;
    service
        .decide(move |registry| {
            let changed = registry.change_repository(&key, |settings| {
                settings.tag_mutability = tag_mutability;
                settings.tag_mutability_exclusions = patterns;
                Ok(())
            });
            let shown = views::repository(&key, changed.map_err(refusals::registry)??);
            Ok(PutImageTagMutabilityResponse {
                registry_id: shown.registry_id,
                repository_name: shown.repository_name,
                image_tag_mutability: shown.image_tag_mutability,
                image_tag_mutability_exclusion_filters: shown.image_tag_mutability_exclusion_filters,
            })
        })
        .await
}
