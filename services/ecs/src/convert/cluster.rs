//! Settings and configuration of a cluster, in and out.

use model::cluster::{CapacityProviderStrategyItem, ClusterSetting, ExecuteCommandConfiguration};

use super::number;
use crate::error::{Error, invalid, unsupported};

/// Source: Amazon ECS API Reference, `ClusterSetting`: `containerInsights` is the only one.
pub(crate) fn settings(given: Option<&Vec<api_ecs::ClusterSetting>>) -> Result<Vec<ClusterSetting>, Error> {
    let mut settings = Vec::new();
    for one in given.into_iter().flatten() {
        let (name, value) = (one.name.clone().unwrap_or_default(), one.value.clone().unwrap_or_default());
        if name != "containerInsights" {
            return Err(invalid(format!("Invalid cluster setting name: {name}")));
        }
        if !["enabled", "disabled", "enhanced"].contains(&value.as_str()) {
            return Err(invalid(format!("Invalid value for cluster setting containerInsights: {value}")));
        }
        settings.push(ClusterSetting { name, value });
    }
    Ok(settings)
}

pub(crate) fn execute_command(
    given: Option<&api_ecs::ClusterConfiguration>,
) -> Result<Option<ExecuteCommandConfiguration>, Error> {
    let Some(given) = given else { return Ok(None) };
    if given.managed_storage_configuration.is_some() {
        return Err(unsupported("managedStorageConfiguration"));
    }
    let Some(command) = &given.execute_command_configuration else { return Ok(None) };
    if command.log_configuration.is_some() {
        return Err(unsupported("executeCommandConfiguration.logConfiguration"));
    }
    Ok(Some(ExecuteCommandConfiguration { kms_key_id: command.kms_key_id.clone(), logging: command.logging.clone() }))
}

pub(crate) fn strategy(
    given: Option<&Vec<api_ecs::CapacityProviderStrategyItem>>,
) -> Result<Vec<CapacityProviderStrategyItem>, Error> {
    let mut items = Vec::new();
    for one in given.into_iter().flatten() {
        items.push(CapacityProviderStrategyItem {
            capacity_provider: one.capacity_provider.clone().unwrap_or_default(),
            weight: number::amount(one.weight, "weight")?.unwrap_or_default(),
            base: number::amount(one.base, "base")?.unwrap_or_default(),
        });
    }
    Ok(items)
}

pub(crate) fn strategy_view(kept: &[CapacityProviderStrategyItem]) -> Vec<api_ecs::CapacityProviderStrategyItem> {
    kept.iter()
        .map(|one| api_ecs::CapacityProviderStrategyItem {
            capacity_provider: Some(one.capacity_provider.clone()),
            weight: Some(one.weight as i32),
            base: Some(one.base as i32),
        })
        .collect()
}
