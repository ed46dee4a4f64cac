//! DescribePullThroughCacheRules: some by their prefixes, or all in the order of them.

use api_ecr::{DescribePullThroughCacheRulesRequest, DescribePullThroughCacheRulesResponse, Error};
use registry::Holder;
use shape::Caller;

use crate::cache_rules::{self, CacheRule, CacheRules, normal};
use crate::names;
use crate::pages::{Wanted, refuse_with};
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DescribePullThroughCacheRulesRequest,
) -> Result<DescribePullThroughCacheRulesResponse, Error> {
    names::refuse_foreign(caller, input.registry_id.as_deref(), "DescribePullThroughCacheRules", "*")?;
    let scope = names::scope(caller)?;
    let (token, size) = (input.next_token.as_deref(), input.max_results);
    if input.ecr_repository_prefixes.is_some() {
        refuse_with("ecrRepositoryPrefixes", token, size)?;
    }
    let wanted = Wanted::parse(token, size)?;
    let kept: Option<CacheRules> =
        service.on_disk(move |registry| registry.record(Holder::Registry(&scope), CacheRules::NAME)).await?;
    let mut rules = kept.unwrap_or_default().rules;
    let (rules, next_token) = match input.ecr_repository_prefixes {
        Some(prefixes) => {
            let one =
                |prefix: &String| rules.remove(&normal(prefix)).ok_or_else(|| cache_rules::not_found(caller, prefix));
            (prefixes.iter().map(one).collect::<Result<Vec<_>, _>>()?, None)
        }
        None => wanted.page(rules.into_values().collect(), |rule: &CacheRule| rule.prefix.clone()),
    };
    let rules = rules.into_iter().map(|rule| cache_rules::view(&caller.account, rule)).collect();
    Ok(DescribePullThroughCacheRulesResponse { pull_through_cache_rules: Some(rules), next_token })
}
