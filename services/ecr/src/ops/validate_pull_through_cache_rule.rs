//! ValidatePullThroughCacheRule: whether a pull could follow the rule. The other registry is asked.

use api_ecr::{Error, ValidatePullThroughCacheRuleRequest, ValidatePullThroughCacheRuleResponse};
use registry::{Holder, RegistryError, RepositoryKey};
use shape::Caller;

use crate::cache_rules::{self, CacheRule, CacheRules, normal};
use crate::names;
use crate::refusals::{self, required};
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
    let failure = match &rule.credential_arn {
        Some(_) => Some(cache_rules::NO_SECRETS.to_owned()),
        None => ask(service, caller, &rule).await?,
    };
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

/// Why the registry of a rule does not answer, if it does not.
async fn ask(service: &EcrService, caller: &Caller, rule: &CacheRule) -> Result<Option<String>, Error> {
    // Any repository that the rule covers: which one is asked for makes no difference before a pull.
    let name = match rule.prefix.as_str() {
        cache_rules::ROOT => "any".to_owned(),
        prefix => format!("{prefix}/any"),
    };
    let name = name.parse().map_err(|error: RegistryError| refusals::registry(error))?;
    let key = RepositoryKey::new(&names::scope(caller)?, name);
    let answer = service.registry().ping_upstream(&key).await.map_err(refusals::registry)?;
    Ok(answer.and_then(Result::err).map(|error| error.to_string()))
}
