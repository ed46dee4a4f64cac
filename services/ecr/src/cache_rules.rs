//! Pull-through cache rules as they are kept, and what a rule says about a repository.

use std::collections::BTreeMap;

use api_ecr::enums::upstream_registry;
use api_ecr::{Error, ErrorCode, PullThroughCacheRule};
use registry::{CreationTemplate, Holder, Registry, RegistryError, RepositoryKey, RepositoryName, is_below};
use serde::{Deserialize, Serialize};
use shape::{Caller, Timestamp};

use crate::refusals::refuse;

/// The rules of a registry as they are on disk, by prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheRules {
    version: u32,
    pub(crate) rules: BTreeMap<String, CacheRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheRule {
    /// How the names of the repositories begin: without a slash at the end, or `ROOT` for all.
    pub(crate) prefix: String,
    pub(crate) upstream_url: String,
    pub(crate) upstream_registry: Option<String>,
    /// What stands in the place of the prefix upstream; `ROOT` for nothing.
    pub(crate) upstream_prefix: String,
    pub(crate) credential_arn: Option<String>,
    pub(crate) custom_role_arn: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Option<Timestamp>,
}

/// Where the images of a repository come from when they are not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedFrom {
    /// `registry.example.com`, `https://registry.example.com:5000`
    pub url: String,
    /// The repository's name there.
    pub repository: String,
    /// The secret that a login needs.
    pub credential_arn: Option<String>,
}

/// Why a rule with a credential cannot be followed.
pub const NO_SECRETS: &str =
    "The secret of the rule's credentialArn cannot be read: Berth does not have AWS Secrets Manager yet.";

pub(crate) const ROOT: &str = CreationTemplate::ROOT;

impl Default for CacheRules {
    fn default() -> CacheRules {
        CacheRules { version: 1, rules: BTreeMap::new() }
    }
}

impl CacheRules {
    pub(crate) const NAME: &str = "pull-through-cache";

    /// The rule whose prefix fits a name best: the longest, and `ROOT` when none does.
    fn find(&self, name: &RepositoryName) -> Option<&CacheRule> {
        let fits = |rule: &&CacheRule| is_below(&rule.prefix, name.as_str());
        self.rules.values().filter(fits).max_by_key(|rule| if rule.prefix == ROOT { 0 } else { rule.prefix.len() })
    }

    pub(crate) fn cached_from(&self, name: &RepositoryName) -> Option<CachedFrom> {
        let rule = self.find(name)?;
        let name = name.as_str();
        let rest = match rule.prefix.as_str() {
            ROOT => name,
            prefix => name.strip_prefix(prefix)?.trim_start_matches('/'),
        };
        let repository = match rule.upstream_prefix.as_str() {
            ROOT => rest.to_owned(),
            prefix => format!("{prefix}/{rest}"),
        };
        Some(CachedFrom { url: rule.upstream_url.clone(), repository, credential_arn: rule.credential_arn.clone() })
    }
}

/// The rule that a repository's name falls under, in terms of where its images come from.
pub fn cached_from(registry: &Registry, key: &RepositoryKey) -> Result<Option<CachedFrom>, RegistryError> {
    let rules: Option<CacheRules> = registry.record(Holder::Registry(&key.scope), CacheRules::NAME)?;
    Ok(rules.and_then(|rules| rules.cached_from(&key.name)))
}

/// A prefix as it is kept. AWS allows a slash at its end and means the same with and without.
pub(crate) fn normal(prefix: &str) -> String {
    prefix.trim_end_matches('/').to_owned()
}

/// The address of a registry: a host, perhaps with a port; a scheme is our addition, for registries that speak HTTP.
pub(crate) fn is_registry_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port.strip_prefix(':')),
        Some(_) => return false,
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Which of the registries that AWS knows an address belongs to.
///
/// Source: Amazon ECR API Reference, CreatePullThroughCacheRule, `upstreamRegistryUrl`.
pub(crate) fn known_registry(url: &str) -> Option<&'static str> {
    use upstream_registry::*;
    let host = url.strip_prefix("https://").unwrap_or(url);
    match host {
        "registry-1.docker.io" => Some(DOCKER_HUB),
        "public.ecr.aws" => Some(ECR_PUBLIC),
        "quay.io" => Some(QUAY),
        "registry.k8s.io" => Some(K8S),
        "ghcr.io" => Some(GITHUB_CONTAINER_REGISTRY),
        "registry.gitlab.com" => Some(GITLAB_CONTAINER_REGISTRY),
        "cgr.dev" => Some(CHAINGUARD),
        host if host.ends_with(".azurecr.io") => Some(AZURE_CONTAINER_REGISTRY),
        host if registry::Scope::of_host(host).is_some_and(|scope| scope.host() == host) => Some(ECR),
        _ => None,
    }
}

pub(crate) fn not_found(caller: &Caller, prefix: &str) -> Error {
    let message = format!(
        "The pull through cache rule with ecrRepositoryPrefix '{prefix}' does not exist in the registry with id '{}'",
        caller.account
    );
    refuse(ErrorCode::PullThroughCacheRuleNotFoundException, message)
}

pub(crate) fn view(account: &str, rule: CacheRule) -> PullThroughCacheRule {
    PullThroughCacheRule {
        ecr_repository_prefix: Some(rule.prefix),
        upstream_registry_url: Some(rule.upstream_url),
        created_at: Some(rule.created_at),
        registry_id: Some(account.to_owned()),
        credential_arn: rule.credential_arn,
        custom_role_arn: rule.custom_role_arn,
        upstream_repository_prefix: Some(rule.upstream_prefix),
        upstream_registry: rule.upstream_registry,
        updated_at: rule.updated_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, &str)]) -> CacheRules {
        let rule = |(prefix, upstream_prefix): &(&str, &str)| CacheRule {
            prefix: (*prefix).to_owned(),
            upstream_url: format!("{}.example.com", prefix.replace('/', "-").to_lowercase()),
            upstream_registry: None,
            upstream_prefix: (*upstream_prefix).to_owned(),
            credential_arn: None,
            custom_role_arn: None,
            created_at: Timestamp::from_millis(0),
            updated_at: None,
        };
        let rules = rules.iter().map(|it| (it.0.to_owned(), rule(it))).collect();
        CacheRules { rules, ..CacheRules::default() }
    }

    #[test]
    fn a_rule_says_where_a_repository_comes_from() {
        let rules = rules(&[("hub", "ROOT"), ("hub/special", "team/x"), ("local", "mirror")]);
        for (name, expected) in [
            ("hub/library/nginx", Some(("hub.example.com", "library/nginx"))),
            ("hub/special/web", Some(("hub-special.example.com", "team/x/web"))),
            ("local/web", Some(("local.example.com", "mirror/web"))),
            ("hub", None),
            ("hubble/web", None),
            ("web", None),
        ] {
            let found = rules.cached_from(&name.parse().unwrap());
            let found = found.as_ref().map(|from| (from.url.as_str(), from.repository.as_str()));
            assert_eq!(found, expected, "{name}");
        }
        let all = self::rules(&[("ROOT", "ROOT"), ("hub", "ROOT")]);
        assert_eq!(all.cached_from(&"web".parse().unwrap()).unwrap().repository, "web");
        assert_eq!(all.cached_from(&"hub/web".parse().unwrap()).unwrap().url, "hub.example.com");
        let moved = self::rules(&[("ROOT", "team")]);
        assert_eq!(moved.cached_from(&"a/b".parse().unwrap()).unwrap().repository, "team/a/b");
    }

    #[test]
    fn an_upstream_is_a_host() {
        for good in [
            "registry-1.docker.io",
            "localhost:5000",
            "http://127.0.0.1:5000",
            "https://registry.example.com",
            "[::1]:5000",
            "http://[::1]",
        ] {
            assert!(is_registry_url(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "a b",
            "registry/path",
            "user@host",
            "host:",
            "host:0",
            "host:70000",
            "-x",
            "a..b",
            "[x]",
            "ftp://x",
        ] {
            assert!(!is_registry_url(bad), "{bad}");
        }
    }

    #[test]
    fn registries_that_aws_knows_are_recognized() {
        for (url, known) in [
            ("registry-1.docker.io", Some("docker-hub")),
            ("https://quay.io", Some("quay")),
            ("my.azurecr.io", Some("azure-container-registry")),
            ("111122223333.dkr.ecr.eu-west-1.amazonaws.com", Some("ecr")),
            ("111122223333.dkr.ecr.eu-west-1.localhost:4566", None),
            ("registry.example.com", None),
        ] {
            assert_eq!(known_registry(url), known, "{url}");
        }
    }
}
