//! What a repository starts with that nobody created by name: the templates of its registry.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{Holder, Registry, RegistryError, Repository, RepositoryKey, RepositoryName, RepositorySettings, Scope};

/// What makes the registry create a repository by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AppliedFor {
    Replication,
    PullThroughCache,
    CreateOnPush,
}

/// What a repository starts with whose name begins with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreationTemplate {
    /// Path components without a slash at the end, or [`CreationTemplate::ROOT`] for every name that no other fits.
    pub prefix: String,
    pub description: Option<String>,
    pub applied_for: BTreeSet<AppliedFor>,
    pub settings: RepositorySettings,
    /// Records that are put beside the new repository, by name.
    pub records: BTreeMap<String, serde_json::Value>,
    pub custom_role_arn: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// All templates of a registry, by prefix.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreationTemplates {
    version: u32,
    pub templates: BTreeMap<String, CreationTemplate>,
}

impl Default for CreationTemplates {
    fn default() -> CreationTemplates {
        CreationTemplates { version: 1, templates: BTreeMap::new() }
    }
}

impl CreationTemplates {
    /// The record that holds them.
    pub const RECORD: &str = "creation-templates";

    /// The template whose prefix fits a name best: the longest, and `ROOT` when none does.
    pub fn find(&self, name: &RepositoryName, cause: AppliedFor) -> Option<&CreationTemplate> {
        let fits = |template: &&CreationTemplate| {
            template.applied_for.contains(&cause) && is_below(&template.prefix, name.as_str())
        };
        self.templates.values().filter(fits).max_by_key(|template| match template.prefix.as_str() {
            CreationTemplate::ROOT => 0,
            prefix => prefix.len(),
        })
    }
}

impl CreationTemplate {
    pub const ROOT: &str = "ROOT";
}

/// Whether a name is below a prefix: `prod` is the prefix of `prod/web`, not of `production`.
///
/// Source: Amazon ECR User Guide, "Repository creation templates": a slash is assumed at the end of a prefix.
pub fn is_below(prefix: &str, name: &str) -> bool {
    prefix == CreationTemplate::ROOT
        || name.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

impl Registry {
    pub fn creation_templates(&self, scope: &Scope) -> Result<CreationTemplates, RegistryError> {
        Ok(self.record(Holder::Registry(scope), CreationTemplates::RECORD)?.unwrap_or_default())
    }

    /// Finds a repository, or creates it as the templates of its registry say.
    pub fn repository_or_new(&self, key: &RepositoryKey, cause: AppliedFor) -> Result<Repository, RegistryError> {
        if let Some(repository) = self.find_repository(key)? {
            return Ok(repository);
        }
        let _turn = self.turn();
        if let Some(repository) = self.find_repository(key)? {
            return Ok(repository);
        }
        let templates = self.creation_templates(&key.scope)?;
        let template = templates.find(&key.name, cause);
        let settings = template.map(|template| template.settings.clone()).unwrap_or_default();
        let created = self.create_in_turn(key, settings, |dir| {
            let records = template.iter().flat_map(|template| &template.records);
            records.into_iter().try_for_each(|(name, record)| self.files.write_in_new_dir(&dir.record(name), record))
        });
        match created {
            // By another server, just now.
            Err(RegistryError::RepositoryExists { .. }) => self.repository(key),
            created => created,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_fits_best() {
        let template = |prefix: &str, applied_for: &[AppliedFor]| {
            let template = CreationTemplate {
                prefix: prefix.to_owned(),
                description: None,
                applied_for: applied_for.iter().copied().collect(),
                settings: RepositorySettings::default(),
                records: BTreeMap::new(),
                custom_role_arn: None,
                created_at: Timestamp::from_millis(0),
                updated_at: Timestamp::from_millis(0),
            };
            (prefix.to_owned(), template)
        };
        use AppliedFor::*;
        let mut templates = CreationTemplates::default();
        templates.templates.extend([
            template("ROOT", &[Replication, CreateOnPush]),
            template("prod", &[CreateOnPush]),
            template("prod/eu", &[CreateOnPush, PullThroughCache]),
        ]);
        for (name, cause, prefix) in [
            ("web", CreateOnPush, Some("ROOT")),
            ("prod", CreateOnPush, Some("ROOT")),
            ("production/web", CreateOnPush, Some("ROOT")),
            ("prod/web", CreateOnPush, Some("prod")),
            ("prod/eu/web", CreateOnPush, Some("prod/eu")),
            ("prod/eu/web", Replication, Some("ROOT")),
            ("prod/eu/web", PullThroughCache, Some("prod/eu")),
            ("prod/web", PullThroughCache, None),
        ] {
            let found = templates.find(&name.parse().unwrap(), cause);
            assert_eq!(found.map(|template| template.prefix.as_str()), prefix, "{name} {cause:?}");
        }
    }
}
