//! What a service is given at its creation and its updates, and how its deployment settings are shown.

use model::DeploymentStrategy;
use model::service::{
    CircuitBreaker, DeploymentAlarms, DeploymentConfiguration, EarlySuccess, FailureThreshold, RevisionCleanup,
};

use super::strategy;
use crate::error::{Error, invalid};

/// Source: Amazon ECS API Reference, `DeploymentConfiguration`. What is not given stays as `current` has it.
pub(crate) fn deployment_configuration(
    given: Option<&api_ecs::DeploymentConfiguration>,
    current: DeploymentConfiguration,
) -> Result<DeploymentConfiguration, Error> {
    let Some(given) = given else { return Ok(current) };
    let strategy = strategy::strategy(given, current.strategy)?;
    let early_success = match &given.early_success_criteria {
        Some(criteria) => early_success(criteria, strategy)?,
        None => current.early_success.filter(|_| strategy.is_rolling()),
    };
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
            Some(breaker) => Some(circuit_breaker(breaker)?),
        },
        alarms: match &given.alarms {
            None => current.alarms,
            Some(alarms) => Some(DeploymentAlarms {
                names: alarms.alarm_names.clone().unwrap_or_default(),
                enable: alarms.enable.unwrap_or_default(),
                rollback: alarms.rollback.unwrap_or_default(),
            }),
        },
        bake_time_in_minutes: strategy::bake_time(
            given,
            strategy,
            current.bake_time_in_minutes,
            early_success.is_some_and(|early| early.enable),
        )?,
        early_success,
        lifecycle_hooks: strategy::hooks(given.lifecycle_hooks.as_ref(), strategy, current.lifecycle_hooks)?,
        strategy,
    };
    strategy::refuse_without_load_balancer(strategy)?;
    let early = configuration.early_success.filter(|early| early.enable);
    if early.is_some_and(|early| early.healthy_percent < configuration.minimum_healthy_percent) {
        return Err(invalid("healthyPercent must be greater than or equal to minimumHealthyPercent."));
    }
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

/// Nothing when they are given to be off and say nothing more.
fn early_success(
    given: &api_ecs::DeploymentEarlySuccessCriteria,
    strategy: DeploymentStrategy,
) -> Result<Option<EarlySuccess>, Error> {
    let enable = given.enable.unwrap_or_default();
    if enable && !strategy.is_rolling() {
        return Err(invalid("earlySuccessCriteria can only be specified with the ROLLING deployment strategy."));
    }
    let percent = given.healthy_percent.and_then(|percent| u32::try_from(percent).ok());
    let cleanup = given.source_service_revision_cleanup.as_deref().map(|cleanup| match cleanup {
        "DEFERRED" => RevisionCleanup::Deferred,
        _ => RevisionCleanup::Blocking,
    });
    match (percent, cleanup) {
        (Some(healthy_percent), Some(cleanup)) => Ok(Some(EarlySuccess { enable, healthy_percent, cleanup })),
        _ if enable => Err(invalid(
            "healthyPercent and sourceServiceRevisionCleanup must be specified when earlySuccessCriteria is enabled.",
        )),
        _ => Ok(None),
    }
}

/// What is not given is as on AWS without it, not as it was before: the breaker is given as a whole.
fn circuit_breaker(given: &api_ecs::DeploymentCircuitBreaker) -> Result<CircuitBreaker, Error> {
    let threshold = |given: &api_ecs::ThresholdConfiguration| {
        let value = given.value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0);
        let value = value.ok_or_else(|| invalid("The value of thresholdConfiguration must be greater than 0."))?;
        Ok(match given.r#type.as_deref() {
            Some("COUNT") => FailureThreshold::Count(value),
            Some("UNBOUNDED_PERCENT") => FailureThreshold::UnboundedPercent(value),
            _ => FailureThreshold::BoundedPercent(value),
        })
    };
    Ok(CircuitBreaker {
        enable: given.enable.unwrap_or_default(),
        rollback: given.rollback.unwrap_or_default(),
        reset_on_healthy_task: given.reset_on_healthy_task.unwrap_or(true),
        threshold: given.threshold_configuration.as_ref().map(threshold).transpose()?,
    })
}

fn circuit_breaker_view(kept: CircuitBreaker) -> api_ecs::DeploymentCircuitBreaker {
    let threshold = |threshold| {
        let (kind, value) = match threshold {
            FailureThreshold::Count(value) => ("COUNT", value),
            FailureThreshold::BoundedPercent(value) => ("BOUNDED_PERCENT", value),
            FailureThreshold::UnboundedPercent(value) => ("UNBOUNDED_PERCENT", value),
        };
        api_ecs::ThresholdConfiguration { r#type: Some(kind.into()), value: Some(value as i32) }
    };
    api_ecs::DeploymentCircuitBreaker {
        enable: Some(kept.enable),
        rollback: Some(kept.rollback),
        reset_on_healthy_task: (!kept.reset_on_healthy_task).then_some(false),
        threshold_configuration: kept.threshold.map(threshold),
    }
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
    let breaker = kept.circuit_breaker.unwrap_or(CircuitBreaker::new(false, false));
    api_ecs::DeploymentConfiguration {
        deployment_circuit_breaker: Some(circuit_breaker_view(breaker)),
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
        early_success_criteria: kept.early_success.map(|early| api_ecs::DeploymentEarlySuccessCriteria {
            enable: Some(early.enable),
            healthy_percent: Some(early.healthy_percent as i32),
            source_service_revision_cleanup: Some(early.cleanup.as_str().into()),
        }),
    }
}
