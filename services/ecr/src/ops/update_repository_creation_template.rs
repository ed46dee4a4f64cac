//! UpdateRepositoryCreationTemplate: for repositories to come; those that are there stay as they are.

use api_ecr::{Error, UpdateRepositoryCreationTemplateRequest, UpdateRepositoryCreationTemplateResponse};
use registry::{CreationTemplates, Holder};
use shape::Caller;

use crate::cache_rules::normal;
use crate::names;
use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::templates::{self, Asked};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: UpdateRepositoryCreationTemplateRequest,
) -> Result<UpdateRepositoryCreationTemplateResponse, Error> {
    let scope = names::scope(caller)?;
    let prefix = normal(&required(input.prefix, "prefix")?);
    let asked = Asked {
        description: input.description,
        encryption: input.encryption_configuration,
        tags: input.resource_tags,
        mutability: input.image_tag_mutability,
        exclusions: input.image_tag_mutability_exclusion_filters,
        repository_policy: input.repository_policy,
        lifecycle_policy: input.lifecycle_policy,
        applied_for: input.applied_for,
        custom_role_arn: input.custom_role_arn,
    };
    let (now, not_found) = (service.now(), templates::not_found(caller, &prefix));
    let updated = service
        .decide(move |registry| {
            let changed = registry.change_record(
                Holder::Registry(&scope),
                CreationTemplates::RECORD,
                |kept: Option<CreationTemplates>| {
                    let mut all = kept.unwrap_or_default();
                    let Some(template) = all.templates.get_mut(&prefix) else { return Err(not_found) };
                    asked.apply(template)?;
                    template.updated_at = now;
                    let updated = template.clone();
                    Ok((Some(all), updated))
                },
            );
            changed.map_err(refusals::registry)?
        })
        .await?;
    Ok(UpdateRepositoryCreationTemplateResponse {
        registry_id: Some(caller.account.clone()),
        repository_creation_template: Some(templates::view(updated)),
    })
}
