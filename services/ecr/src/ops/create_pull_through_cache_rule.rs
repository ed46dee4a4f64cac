//! CreatePullThroughCacheRule. Any registry may be upstream, not only those that AWS knows.

use api_ecr::{CreatePullThroughCacheRuleRequest, CreatePullThroughCacheRuleResponse, Error, ErrorCode};
use registry::Holder;
use shape::Caller;

use crate::cache_rules::{CacheRule, CacheRules, ROOT, is_registry_url, known_registry, normal};
use crate::limits::CACHE_RULES_MAX;
use crate::refusals::{self, invalid, refuse, required};
use crate::service::EcrService;
use crate::{cache_rules, names};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: CreatePullThroughCacheRuleRequest,
) -> Result<CreatePullThroughCacheRuleResponse, Error> {
    names::refuse_foreign(caller, input.registry_id.as_deref(), "CreatePullThroughCacheRule", "*")?;
    let scope = names::scope(caller)?;
    let url = required(input.upstream_registry_url, "upstreamRegistryUrl")?;
    if !is_registry_url(&url) {
        return Err(invalid("upstreamRegistryUrl", "must be the host name of a registry, with or without a port"));
    }
    let rule = CacheRule {
        prefix: normal(&required(input.ecr_repository_prefix, "ecrRepositoryPrefix")?),
        upstream_registry: input.upstream_registry.or(known_registry(&url).map(str::to_owned)),
        upstream_url: url,
        upstream_prefix: normal(input.upstream_repository_prefix.as_deref().unwrap_or(ROOT)),
        credential_arn: input.credential_arn,
        custom_role_arn: input.custom_role_arn,
        created_at: service.now(),
        updated_at: None,
    };
    if rule.prefix == ROOT && rule.upstream_prefix != ROOT {
        return Err(invalid("upstreamRepositoryPrefix", "must be ROOT when ecrRepositoryPrefix is ROOT"));
    }
    let account = caller.account.clone();
    let created = service
        .decide(move |registry| {
            let created = registry.change_record(Holder::Registry(&scope), CacheRules::NAME, |kept| {
                add(kept.unwrap_or_default(), rule, &account)
            });
            created.map_err(refusals::registry)?
        })
        .await?;
    let shown = cache_rules::view(&caller.account, created);
    Ok(CreatePullThroughCacheRuleResponse {
        ecr_repository_prefix: shown.ecr_repository_prefix,
        upstream_registry_url: shown.upstream_registry_url,
        created_at: shown.created_at,
        registry_id: shown.registry_id,
        upstream_registry: shown.upstream_registry,
        credential_arn: shown.credential_arn,
        custom_role_arn: shown.custom_role_arn,
        upstream_repository_prefix: shown.upstream_repository_prefix,
    })
}

fn add(mut rules: CacheRules, rule: CacheRule, account: &str) -> Result<(Option<CacheRules>, CacheRule), Error> {
    if rules.rules.contains_key(&rule.prefix) {
        let message = format!(
            "A pull through cache rule with ecrRepositoryPrefix '{}' already exists in the registry with id '{account}'",
            rule.prefix
        );
        return Err(refuse(ErrorCode::PullThroughCacheRuleAlreadyExistsException, message));
    }
    if rules.rules.len() >= CACHE_RULES_MAX {
        let message = format!(
            "The registry with id '{account}' already has the maximum number of pull through cache rules, which is \
             {CACHE_RULES_MAX}"
        );
        return Err(refuse(ErrorCode::LimitExceededException, message));
    }
    rules.rules.insert(rule.prefix.clone(), rule.clone());
    Ok((Some(rules), rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_so_many_rules() {
        let mut rules = CacheRules::default();
        let rule = |prefix: String| CacheRule {
            prefix,
            upstream_url: "x".to_owned(),
            upstream_registry: None,
            upstream_prefix: ROOT.to_owned(),
            credential_arn: None,
            custom_role_arn: None,
            created_at: shape::Timestamp::default(),
            updated_at: None,
        };
        for n in 0..CACHE_RULES_MAX {
            rules = add(rules, rule(format!("p{n}")), "1").unwrap().0.unwrap();
        }
        let refused = |prefix: &str| add(rules.clone(), rule(prefix.to_owned()), "1").unwrap_err().code;
        assert_eq!(refused("p0"), ErrorCode::PullThroughCacheRuleAlreadyExistsException);
        assert_eq!(refused("another"), ErrorCode::LimitExceededException);
    }
}
