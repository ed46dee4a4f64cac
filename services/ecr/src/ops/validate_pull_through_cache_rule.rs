//! ValidatePullThroughCacheRule: whether a pull could follow the rule.

use api_ecr::{Error, ValidatePullThroughCacheRuleRequest, ValidatePullThroughCacheRuleResponse};
use registry::Holder;
use shape::Caller;

use crate::cache_rules::{self, CacheRules, normal};
use crate::names;
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: ValidatePullThroughCacheRuleRequest,
) -> Result<ValidatePullThroughCacheRuleResponse, Error> {
    names::refuse_foreign(caller, input.registry_id.as_deref(), "ValidatePullThroughCacheRule", "*")?;
    let scope = names::scope(caller)?;
    let prefix = normal(&required(input.ecr_repository_prefix, "ecrRepositoryPrefix")?);
    let kept: Option<CacheRules> =
        service.on_disk(move |registry| registry.record(Holder::Registry(&scope), CacheRules::NAME)).await?;
    let rule = kept.and_then(|mut kept| kept.rules.remove(&prefix));
    let rule = rule.ok_or_else(|| cache_rules::not_found(caller, &prefix))?;
    let failure = rule.credential_arn.is_some().then(|| cache_rules::NO_SECRETS.to_owned());
    let shown = cache_rules::view(&caller.account, rule);
    Ok(ValidatePullThroughCacheRuleResponse {
        ecr_repository_prefix: shown.ecr_repository_prefix,
        registry_id: shown.registry_id,
        upstream_registry_url: shown.upstream_registry_url,
        credential_arn: shown.credential_arn,
        custom_role_arn: shown.custom_role_arn,
        upstream_repository_prefix: shown.upstream_repository_prefix,
        is_valid: Some(failure.is_none()),
        failure,
    })
}
