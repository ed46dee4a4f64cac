//! Settings and configuration of a cluster, in and out.

use model::cluster::{
    CapacityProviderStrategyItem, ClusterSetting, ExecuteCommandConfiguration, ExecuteCommandLogConfiguration,
};

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
    let log_configuration = command.log_configuration.as_ref().map(exec_logs).transpose()?;
    let overrides = command.logging.as_deref() == Some("OVERRIDE");
    if overrides != log_configuration.is_some() {
        return Err(invalid(match overrides {
            true => "logConfiguration is required when logging is OVERRIDE.",
            false => "logConfiguration can be specified only when logging is OVERRIDE.",
        }));
    }
    let (kms_key_id, logging) = (command.kms_key_id.clone(), command.logging.clone());
    Ok(Some(ExecuteCommandConfiguration { kms_key_id, logging, log_configuration }))
}

fn exec_logs(given: &api_ecs::ExecuteCommandLogConfiguration) -> Result<ExecuteCommandLogConfiguration, Error> {
    let needs_bucket = given.s3_key_prefix.is_some() || given.s3_encryption_enabled == Some(true);
    if needs_bucket && given.s3_bucket_name.as_deref().is_none_or(str::is_empty) {
        return Err(invalid("s3BucketName is required when s3KeyPrefix or s3EncryptionEnabled is specified."));
    }
    Ok(ExecuteCommandLogConfiguration {
        cloud_watch_log_group_name: given.cloud_watch_log_group_name.clone(),
        cloud_watch_encryption_enabled: given.cloud_watch_encryption_enabled,
        s3_bucket_name: given.s3_bucket_name.clone(),
        s3_key_prefix: given.s3_key_prefix.clone(),
        s3_encryption_enabled: given.s3_encryption_enabled,
    })
}

pub(crate) fn exec_logs_view(kept: &ExecuteCommandLogConfiguration) -> api_ecs::ExecuteCommandLogConfiguration {
    api_ecs::ExecuteCommandLogConfiguration {
        cloud_watch_log_group_name: kept.cloud_watch_log_group_name.clone(),
        cloud_watch_encryption_enabled: kept.cloud_watch_encryption_enabled,
        s3_bucket_name: kept.s3_bucket_name.clone(),
        s3_key_prefix: kept.s3_key_prefix.clone(),
        s3_encryption_enabled: kept.s3_encryption_enabled,
    }
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
