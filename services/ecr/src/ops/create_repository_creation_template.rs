//! CreateRepositoryCreationTemplate.

use api_ecr::{CreateRepositoryCreationTemplateRequest, CreateRepositoryCreationTemplateResponse, Error, ErrorCode};
use registry::{CreationTemplate, CreationTemplates, Holder, RepositorySettings};
use shape::Caller;

use crate::cache_rules::normal;
use crate::limits::TEMPLATES_MAX;
use crate::names;
use crate::refusals::{self, refuse, required};
use crate::service::EcrService;
use crate::templates::{self, Asked};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: CreateRepositoryCreationTemplateRequest,
) -> Result<CreateRepositoryCreationTemplateResponse, Error> {
    let scope = names::scope(caller)?;
    let now = service.now();
    let mut template = CreationTemplate {
        prefix: normal(&required(input.prefix, "prefix")?),
        description: None,
        applied_for: Default::default(),
        settings: RepositorySettings::default(),
        records: Default::default(),
        custom_role_arn: None,
        created_at: now,
        updated_at: now,
    };
    let asked = Asked {
        description: input.description,
        encryption: input.encryption_configuration,
        tags: input.resource_tags,
        mutability: input.image_tag_mutability,
        exclusions: input.image_tag_mutability_exclusion_filters,
        repository_policy: input.repository_policy,
        lifecycle_policy: input.lifecycle_policy,
        applied_for: Some(required(input.applied_for, "appliedFor")?),
        custom_role_arn: input.custom_role_arn,
    };
    asked.apply(&mut template)?;
    let account = caller.account.clone();
    let created = service
        .decide(move |registry| {
            let created = registry.change_record(Holder::Registry(&scope), CreationTemplates::RECORD, |kept| {
                add(kept.unwrap_or_default(), template, &account)
            });
            created.map_err(refusals::registry)?
        })
        .await?;
    Ok(CreateRepositoryCreationTemplateResponse {
        registry_id: Some(caller.account.clone()),
        repository_creation_template: Some(templates::view(created)),
    })
}

fn add(
    mut all: CreationTemplates,
    template: CreationTemplate,
    account: &str,
) -> Result<(Option<CreationTemplates>, CreationTemplate), Error> {
    if all.templates.contains_key(&template.prefix) {
        let message = format!(
            "The repository creation template with prefix '{}' already exists in the registry with id '{account}'",
            template.prefix
        );
        return Err(refuse(ErrorCode::TemplateAlreadyExistsException, message));
    }
    if all.templates.len() >= TEMPLATES_MAX {
        let message = format!(
            "The registry with id '{account}' already has the maximum number of repository creation templates, which is \
             {TEMPLATES_MAX}"
        );
        return Err(refuse(ErrorCode::LimitExceededException, message));
    }
    all.templates.insert(template.prefix.clone(), template.clone());
    Ok((Some(all), template))
}
