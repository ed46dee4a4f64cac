//! The container as its log driver sees it: what tags are made of, and what `labels` and `env` pick.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// Whose log it is. A later process needs the same one, so it is kept beside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// 64 hexadecimal digits.
    pub id: String,
    /// As Docker would have named it.
    pub name: String,
    /// `sha256:...` of the image's configuration.
    pub image_id: String,
    /// As the task definition has it.
    pub image_name: String,
    /// Entry point and command.
    pub command: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The machine's name.
    pub hostname: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// What every driver with attributes takes.
pub(crate) const ATTRIBUTE_OPTIONS: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// A pattern of `labels-regex` or `env-regex` that is none, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct AttributeError(String);

impl Subject {
    /// Twelve digits, as people know it.
    pub fn short_id(&self) -> &str {
        first(&self.id, 12)
    }

    pub(crate) fn short_image_id(&self) -> &str {
        first(&self.image_id, 12)
    }

    /// Without the environment and the labels that these options do not pick: nobody else has to read them from a disk.
    pub fn only_for(mut self, options: &BTreeMap<String, String>) -> Subject {
        let any = |keys: [&str; 2]| keys.iter().any(|key| options.get(*key).is_some_and(|value| !value.is_empty()));
        if !any(["env", "env-regex"]) {
            self.env.clear();
        } else if !any(["env-regex", ""]) {
            let wanted = picked(options, "env");
            self.env.retain(|one| one.split_once('=').is_some_and(|(name, _)| wanted.contains(&name)));
        }
        // A tag may name any label.
        if !any(["labels", "labels-regex"]) && !options.get("tag").is_some_and(|tag| tag.contains("Labels")) {
            self.labels.clear();
        }
        self
    }

    /// The attributes that the options pick, under names that `rename` makes of the labels' and variables' own.
    pub(crate) fn attributes(
        &self,
        options: &BTreeMap<String, String>,
        rename: impl Fn(&str) -> String,
    ) -> Result<BTreeMap<String, String>, AttributeError> {
        let labels = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let env = self.env.iter().filter_map(|one| one.split_once('=')).collect();
        let mut found = BTreeMap::new();
        for (all, names, pattern) in [(labels, "labels", "labels-regex"), (env, "env", "env-regex")] {
            let all: BTreeMap<&str, &str> = all;
            let wanted = picked(options, names);
            let pattern = match options.get(pattern).filter(|pattern| !pattern.is_empty()) {
                Some(pattern) => Some(Regex::new(pattern).map_err(|error| AttributeError(last_line(&error)))?),
                None => None,
            };
            let is_wanted =
                |name: &str| wanted.contains(&name) || pattern.as_ref().is_some_and(|one| one.is_match(name));
            found.extend(
                all.iter().filter(|(name, _)| is_wanted(name)).map(|(name, value)| (rename(name), (*value).to_owned())),
            );
        }
        Ok(found)
    }
}

fn picked<'a>(options: &'a BTreeMap<String, String>, key: &str) -> Vec<&'a str> {
    options.get(key).into_iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty()).collect()
}

/// A syntax error is several lines, of which the last one says what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn first(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn subject() -> Subject {
        Subject {
            labels: options(&[("team", "web"), ("com.example.tier", "front")]),
            env: vec!["STAGE=prod".into(), "SECRET=x=y".into(), "bare".into()],
            ..Subject::default()
        }
    }

    fn check(given: &[(&str, &str)], expected: &[(&str, &str)]) {
        let found = subject().attributes(&options(given), str::to_owned).unwrap();
        assert_eq!(found, options(expected), "{given:?}");
        // What is kept is enough for the same answer.
        let kept = subject().only_for(&options(given));
        assert_eq!(kept.attributes(&options(given), str::to_owned).unwrap(), options(expected), "{given:?}");
    }

    #[test]
    fn attributes_are_picked() {
        check(&[], &[]);
        check(&[("labels", "team,none"), ("env", "STAGE")], &[("team", "web"), ("STAGE", "prod")]);
        check(&[("env", "SECRET")], &[("SECRET", "x=y")]);
        check(&[("labels-regex", "^com\\.")], &[("com.example.tier", "front")]);
        check(&[("env-regex", "^S"), ("env", "")], &[("STAGE", "prod"), ("SECRET", "x=y")]);
        let error = subject().attributes(&options(&[("env-regex", "(")]), str::to_owned).unwrap_err();
        assert!(error.to_string().starts_with("error parsing regexp: "), "{error}");
    }

    #[test]
    fn what_nobody_picks_is_not_kept() {
        let kept = subject().only_for(&options(&[("env", "STAGE")]));
        assert_eq!((kept.env, kept.labels.len()), (vec!["STAGE=prod".to_owned()], 0));
        let kept = subject().only_for(&options(&[("tag", "{{index .ContainerLabels \"team\"}}")]));
        assert_eq!((kept.env.len(), kept.labels.len()), (0, 2));
    }
}
