//! Capacity providers in requests: which exist, and what a strategy may say.
//!
//! Source: Amazon ECS API Reference, `CapacityProviderStrategyItem`, `PutClusterCapacityProviders`.

use model::Cluster;
use model::capacity_provider::CapacityProviderStatus;
use model::cluster::CapacityProviderStrategyItem;

use crate::convert;
use crate::ctx::Ctx;
use crate::error::{Error, invalid, unsupported};
use crate::limits::{STRATEGY_BASE_MAX, STRATEGY_ITEMS_MAX, STRATEGY_WEIGHT_MAX};
use crate::lookup;
use crate::views::PREDEFINED;

/// The names of capacity providers that exist, by their names or ARNs, each once.
pub(crate) fn providers(ctx: &Ctx<'_>, named: &[String]) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    for text in named {
        let name = lookup::capacity_provider_name(ctx, text);
        let exists = name.as_deref().is_some_and(|name| {
            let kept = ctx.snapshot.capacity_providers.get(&format!("{}/{name}", ctx.scope));
            PREDEFINED.contains(&name) || kept.is_some_and(|kept| kept.status == CapacityProviderStatus::Active)
        });
        let Some(name) = name.filter(|_| exists) else {
            return Err(invalid(
                "The specified capacity provider does not exist. Specify a valid name or ARN and try again.",
            ));
        };
        if names.contains(&name) {
            return Err(invalid("The capacity providers must not contain duplicates."));
        }
        names.push(name);
    }
    if names.len() > STRATEGY_ITEMS_MAX {
        return Err(invalid(format!("A cluster can have up to {STRATEGY_ITEMS_MAX} capacity providers.")));
    }
    Ok(names)
}

/// A strategy that says where each task goes: every provider is of the cluster, at most one has a base, and one has weight.
pub(crate) fn strategy(
    cluster: &Cluster,
    given: Option<&Vec<api_ecs::CapacityProviderStrategyItem>>,
) -> Result<Vec<CapacityProviderStrategyItem>, Error> {
    let items = convert::cluster::strategy(given)?;
    if items.len() > STRATEGY_ITEMS_MAX {
        return Err(invalid(format!(
            "The specified capacity provider strategy cannot contain more than {STRATEGY_ITEMS_MAX} capacity providers."
        )));
    }
    for (place, item) in items.iter().enumerate() {
        if !cluster.capacity_providers.contains(&item.capacity_provider) {
            return Err(invalid(format!(
                "The specified capacity provider '{}' is not associated with the cluster.",
                item.capacity_provider
            )));
        }
        if items[..place].iter().any(|other| other.capacity_provider == item.capacity_provider) {
            return Err(invalid("The specified capacity provider strategy contains duplicate capacity providers."));
        }
        if item.weight > STRATEGY_WEIGHT_MAX {
            return Err(invalid(format!("The weight of a capacity provider must be at most {STRATEGY_WEIGHT_MAX}.")));
        }
        if item.base > STRATEGY_BASE_MAX {
            return Err(invalid(format!("The base of a capacity provider must be at most {STRATEGY_BASE_MAX}.")));
        }
    }
    if items.iter().filter(|item| item.base > 0).count() > 1 {
        return Err(invalid(
            "The specified capacity provider strategy can have only one capacity provider with a base.",
        ));
    }
    if !items.is_empty() && items.iter().all(|item| item.weight == 0) {
        return Err(invalid(
            "The specified capacity provider strategy must have at least one capacity provider with a weight greater than 0.",
        ));
    }
    let is_fargate = |item: &CapacityProviderStrategyItem| PREDEFINED.contains(&item.capacity_provider.as_str());
    let fargate = items.iter().filter(|item| is_fargate(item)).count();
    if fargate > 0 && fargate < items.len() {
        return Err(invalid(
            "The specified capacity provider strategy cannot contain both Auto Scaling group and Fargate capacity providers.",
        ));
    }
    Ok(items)
}

/// The strategy that tasks are placed by: that of the request, or without one and without a launch type that of the cluster.
/// Nothing when a launch type decides.
pub(crate) fn effective(
    cluster: &Cluster,
    given: Option<&Vec<api_ecs::CapacityProviderStrategyItem>>,
    launch_type: Option<&str>,
) -> Result<Vec<CapacityProviderStrategyItem>, Error> {
    let items = strategy(cluster, given)?;
    if launch_type.is_some() {
        return match items.is_empty() {
            true => Ok(items),
            false => Err(invalid("Specify either launch type or capacity provider strategy. Not both.")),
        };
    }
    let items = if items.is_empty() { cluster.default_capacity_provider_strategy.clone() } else { items };
    match items.iter().find(|item| PREDEFINED.contains(&item.capacity_provider.as_str())) {
        Some(item) => Err(unsupported(&format!("The capacity provider {}", item.capacity_provider))),
        None => Ok(items),
    }
}
