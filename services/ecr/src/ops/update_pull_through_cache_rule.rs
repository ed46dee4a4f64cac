//! UpdatePullThroughCacheRule: another secret or role; where it leads cannot be changed.

use api_ecr::{Error, UpdatePullThroughCacheRuleRequest, UpdatePullThroughCacheRuleResponse};
use registry::Holder;
use shape::Caller;

use crate::cache_rules::{self, CacheRules, normal};
use crate::names;
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: UpdatePullThroughCacheRuleRequest,
) -> Result<UpdatePullThroughCacheRuleResponse, Error> {
    names::refuse_foreign(caller, input.registry_id.as_deref(), "UpdatePullThroughCacheRule", "*")?;
    let scope = names::scope(caller)?;
    let prefix = normal(&required(input.ecr_repository_prefix, "ecrRepositoryPrefix")?);
    let (wanted, now) = (prefix.clone(), service.now());
    let updated = service
        .on_disk(move |registry| {
            registry.change_record(Holder::Registry(&scope), CacheRules::NAME, |kept: Option<CacheRules>| {
                let mut rules = kept.unwrap_or_default();
                let rule = rules.rules.get_mut(&wanted).ok_or(())?;
                rule.credential_arn = input.credential_arn.or(rule.credential_arn.take());
                rule.custom_role_arn = input.custom_role_arn.or(rule.custom_role_arn.take());
                rule.updated_at = Some(now);
                let updated = rule.clone();
                Ok((Some(rules), updated))
            })
        })
        .await?;
    let updated = updated.map_err(|()| cache_rules::not_found(caller, &prefix))?;
    let shown = cache_rules::view(&caller.account, updated);
    Ok(UpdatePullThroughCacheRuleResponse {
        ecr_repository_prefix: shown.ecr_repository_prefix,
        registry_id: shown.registry_id,
        updated_at: shown.updated_at,
        credential_arn: shown.credential_arn,
        custom_role_arn: shown.custom_role_arn,
        upstream_repository_prefix: shown.upstream_repository_prefix,
    })
}
