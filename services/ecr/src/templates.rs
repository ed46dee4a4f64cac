//! Repository creation templates, between the API and the registry, which applies them.

use std::collections::{BTreeMap, BTreeSet};

use api_ecr::enums::{encryption_type, rct_applied_for};
use api_ecr::{
    EncryptionConfiguration, EncryptionConfigurationForRepositoryCreationTemplate, Error, ErrorCode,
    ImageTagMutabilityExclusionFilter, RepositoryCreationTemplate, Tag,
};
use registry::{AppliedFor, CreationTemplate};
use serde_json::Value;
use shape::Caller;

use crate::lifecycle::{self, LifecycleRecord};
use crate::policies::{self, On, PolicyRecord};
use crate::refusals::{broken, invalid, refuse};
use crate::settings::{exclusions, mutability, refuse_keys};
use crate::{resource_tags, views};

/// What a request says of a template, member by member; what it does not say stays as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) description: Option<String>,
    pub(crate) encryption: Option<EncryptionConfigurationForRepositoryCreationTemplate>,
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) mutability: Option<String>,
    pub(crate) exclusions: Option<Vec<ImageTagMutabilityExclusionFilter>>,
    pub(crate) repository_policy: Option<String>,
    pub(crate) lifecycle_policy: Option<String>,
    pub(crate) applied_for: Option<Vec<String>>,
    pub(crate) custom_role_arn: Option<String>,
}

impl Asked {
    pub(crate) fn apply(self, template: &mut CreationTemplate) -> Result<(), Error> {
        if let Some(encryption) = self.encryption {
            let kms_key = encryption.kms_key.filter(|key| !key.is_empty());
            refuse_keys(Some(EncryptionConfiguration { encryption_type: encryption.encryption_type, kms_key }))?;
        }
        if let Some(tags) = self.tags {
            template.settings.tags = resource_tags::parse(Some(tags))?;
        }
        if self.mutability.is_some() || self.exclusions.is_some() {
            let text = self.mutability.as_deref().unwrap_or(views::mutability(template.settings.tag_mutability));
            template.settings.tag_mutability = mutability(Some(text))?;
            template.settings.tag_mutability_exclusions =
                exclusions(template.settings.tag_mutability, self.exclusions)?;
        }
        // An empty text takes a policy away.
        if let Some(text) = self.repository_policy {
            let record = match text.is_empty() {
                true => None,
                false => {
                    policies::check(&text, On::Repository)?;
                    Some(to_value(PolicyRecord::new(text))?)
                }
            };
            keep(&mut template.records, PolicyRecord::NAME, record);
        }
        if let Some(text) = self.lifecycle_policy {
            let record = match text.is_empty() {
                true => None,
                false => {
                    lifecycle::parse(&text)?;
                    Some(to_value(LifecycleRecord::new(text))?)
                }
            };
            keep(&mut template.records, LifecycleRecord::NAME, record);
        }
        if let Some(causes) = self.applied_for {
            template.applied_for = causes.iter().map(|text| cause(text)).collect::<Result<BTreeSet<_>, _>>()?;
            if template.applied_for.is_empty() {
                return Err(invalid("appliedFor", "Member must have length greater than or equal to 1"));
            }
        }
        template.description = self.description.or(template.description.take());
        template.custom_role_arn = self.custom_role_arn.or(template.custom_role_arn.take());
        Ok(())
    }
}

fn to_value(record: impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(record).map_err(broken)
}

fn keep(records: &mut BTreeMap<String, Value>, name: &str, record: Option<Value>) {
    match record {
        Some(record) => drop(records.insert(name.to_owned(), record)),
        None => drop(records.remove(name)),
    }
}

const CAUSES: [(AppliedFor, &str); 3] = [
    (AppliedFor::Replication, rct_applied_for::REPLICATION),
    (AppliedFor::PullThroughCache, rct_applied_for::PULL_THROUGH_CACHE),
    (AppliedFor::CreateOnPush, rct_applied_for::CREATE_ON_PUSH),
];

fn cause(text: &str) -> Result<AppliedFor, Error> {
    CAUSES.iter().find(|(_, name)| *name == text).map(|(cause, _)| *cause).ok_or_else(|| {
        let names: Vec<&str> = CAUSES.iter().map(|(_, name)| *name).collect();
        invalid("appliedFor", format_args!("Member must satisfy enum value set: [{}]", names.join(", ")))
    })
}

pub(crate) fn view(template: CreationTemplate) -> RepositoryCreationTemplate {
    let text = |name: &str| template.records.get(name)?.get("text")?.as_str().map(str::to_owned);
    let (repository_policy, lifecycle_policy) = (text(PolicyRecord::NAME), text(LifecycleRecord::NAME));
    let settings = template.settings;
    let patterns: Vec<_> = settings.tag_mutability_exclusions.into_iter().map(views::exclusion_filter).collect();
    let causes = CAUSES.iter().filter(|(cause, _)| template.applied_for.contains(cause));
    RepositoryCreationTemplate {
        prefix: Some(template.prefix),
        description: template.description,
        encryption_configuration: Some(EncryptionConfigurationForRepositoryCreationTemplate {
            encryption_type: Some(encryption_type::AES256.to_owned()),
            kms_key: None,
        }),
        resource_tags: Some(resource_tags::view(settings.tags)).filter(|tags| !tags.is_empty()),
        image_tag_mutability: Some(views::mutability(settings.tag_mutability).to_owned()),
        image_tag_mutability_exclusion_filters: Some(patterns).filter(|patterns| !patterns.is_empty()),
        repository_policy,
        lifecycle_policy,
        applied_for: Some(causes.map(|(_, name)| (*name).to_owned()).collect()),
        custom_role_arn: template.custom_role_arn,
        created_at: Some(template.created_at),
        updated_at: Some(template.updated_at),
    }
}

pub(crate) fn not_found(caller: &Caller, prefix: &str) -> Error {
    let message = format!(
        "The repository creation template with prefix '{prefix}' does not exist in the registry with id '{}'",
        caller.account
    );
    refuse(ErrorCode::TemplateNotFoundException, message)
}
