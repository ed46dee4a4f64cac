//! What a service is given at its creation and its updates, and how its deployment settings are shown.

use model::service::{CircuitBreaker, DeploymentAlarms, DeploymentConfiguration};

use super::strategy;
use crate::error::{Error, invalid};

/// Source: Amazon ECS API Reference, `DeploymentConfiguration`. What is not given stays as `current` has it.
pub(crate) fn deployment_configuration(
    given: Option<&api_ecs::DeploymentConfiguration>,
    current: DeploymentConfiguration,
) -> Result<DeploymentConfiguration, Error> {
    let Some(given) = given else { return Ok(current) };
    let strategy = strategy::strategy(given, current.strategy)?;
    let percent = |value: Option<i32>, current: u32, what: &str| match value {
        None => Ok(current),
        Some(value) => u32::try_from(value).map_err(|_| invalid(format!("{what} cannot be negative."))),
    };
    let configuration = DeploymentConfiguration {
        maximum_percent: percent(given.maximum_percent, current.maximum_percent, "maximumPercent")?,
        minimum_healthy_percent: percent(
            given.minimum_healthy_percent,
            current.minimum_healthy_percent,
            "minimumHealthyPercent",
        )?,
        circuit_breaker: match &given.deployment_circuit_breaker {
            None => current.circuit_breaker,
            Some(breaker) => Some(CircuitBreaker {
                enable: breaker.enable.unwrap_or_default(),
                rollback: breaker.rollback.unwrap_or_default(),
            }),
        },
        alarms: match &given.alarms {
            None => current.alarms,
            Some(alarms) => Some(DeploymentAlarms {
                names: alarms.alarm_names.clone().unwrap_or_default(),
                enable: alarms.enable.unwrap_or_default(),
                rollback: alarms.rollback.unwrap_or_default(),
            }),
        },
        bake_time_in_minutes: strategy::bake_time(given, strategy, current.bake_time_in_minutes)?,
        lifecycle_hooks: strategy::hooks(given.lifecycle_hooks.as_ref(), strategy, current.lifecycle_hooks)?,
        strategy,
    };
    strategy::refuse_without_load_balancer(strategy)?;
    if configuration.maximum_percent < 100 && configuration.maximum_percent <= configuration.minimum_healthy_percent
        || configuration.maximum_percent == 0
    {
        return Err(invalid("maximumPercent must be greater than minimumHealthyPercent."));
    }
    if configuration.minimum_healthy_percent > 100
        && configuration.minimum_healthy_percent >= configuration.maximum_percent
    {
        return Err(invalid("maximumPercent must be greater than minimumHealthyPercent."));
    }
    Ok(configuration)
}

/// Source: Amazon ECS API Reference, `Scale`: percent, from 0 to 100. A task set without one has no tasks.
pub(crate) fn scale(given: Option<&api_ecs::Scale>) -> Result<f64, Error> {
    let Some(given) = given else { return Ok(0.0) };
    if given.unit.as_deref().is_some_and(|unit| unit != "PERCENT") {
        return Err(invalid("Invalid unit for scale: only PERCENT is supported."));
    }
    let value = given.value.unwrap_or_default();
    if (0.0..=100.0).contains(&value) { Ok(value) } else { Err(invalid("Scale value must be between 0 and 100.")) }
}

pub(crate) fn deployment_configuration_view(kept: &DeploymentConfiguration) -> api_ecs::DeploymentConfiguration {
    let breaker = kept.circuit_breaker.unwrap_or(CircuitBreaker { enable: false, rollback: false });
    api_ecs::DeploymentConfiguration {
        deployment_circuit_breaker: Some(api_ecs::DeploymentCircuitBreaker {
            enable: Some(breaker.enable),
            rollback: Some(breaker.rollback),
        }),
        maximum_percent: Some(kept.maximum_percent as i32),
        minimum_healthy_percent: Some(kept.minimum_healthy_percent as i32),
        alarms: kept.alarms.as_ref().map(|alarms| api_ecs::DeploymentAlarms {
            alarm_names: Some(alarms.names.clone()),
            enable: Some(alarms.enable),
            rollback: Some(alarms.rollback),
        }),
        strategy: Some(kept.strategy.as_str().into()),
        bake_time_in_minutes: Some(kept.bake_time_in_minutes.unwrap_or(0) as i32),
        lifecycle_hooks: strategy::hooks_view(&kept.lifecycle_hooks),
        linear_configuration: strategy::linear_view(kept.strategy),
        canary_configuration: strategy::canary_view(kept.strategy),
    }
}
