//! DeletePullThroughCacheRule: what was pulled through it stays.

use api_ecr::{DeletePullThroughCacheRuleRequest, DeletePullThroughCacheRuleResponse, Error};
use registry::Holder;
use shape::Caller;

use crate::cache_rules::{self, CacheRules, normal};
use crate::names;
use crate::refusals::required;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DeletePullThroughCacheRuleRequest,
) -> Result<DeletePullThroughCacheRuleResponse, Error> {
    names::refuse_foreign(caller, input.registry_id.as_deref(), "DeletePullThroughCacheRule", "*")?;
    let scope = names::scope(caller)?;
    let prefix = normal(&required(input.ecr_repository_prefix, "ecrRepositoryPrefix")?);
    let wanted = prefix.clone();
    let deleted = service
        .on_disk(move |registry| {
            registry.change_record(Holder::Registry(&scope), CacheRules::NAME, |kept: Option<CacheRules>| {
                let mut rules = kept.unwrap_or_default();
                let deleted = rules.rules.remove(&wanted).ok_or(())?;
                Ok((Some(rules), deleted))
            })
        })
        .await?;
    let deleted = deleted.map_err(|()| cache_rules::not_found(caller, &prefix))?;
    let shown = cache_rules::view(&caller.account, deleted);
    Ok(DeletePullThroughCacheRuleResponse {
        ecr_repository_prefix: shown.ecr_repository_prefix,
        upstream_registry_url: shown.upstream_registry_url,
        created_at: shown.created_at,
        registry_id: shown.registry_id,
        credential_arn: shown.credential_arn,
        custom_role_arn: shown.custom_role_arn,
        upstream_repository_prefix: shown.upstream_repository_prefix,
    })
}
