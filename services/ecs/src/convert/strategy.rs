//! How a deployment takes over from the one before: its strategy, its bake time and its lifecycle hooks.

use model::lifecycle::{CanaryConfiguration, HookAction, HookStage, HookTarget, LinearConfiguration};
use model::{DeploymentStrategy, LifecycleHook, Weight};

use crate::error::{Error, invalid, unsupported};
use crate::limits::{
    BAKE_MINUTES_MAX, CANARY_BAKE_MINUTES_DEFAULT, CANARY_PERCENT_DEFAULT, CANARY_PERCENT_MIN,
    HOOK_TIMEOUT_MINUTES_DEFAULT, HOOK_TIMEOUT_MINUTES_MAX, LIFECYCLE_HOOKS_MAX, LINEAR_BAKE_MINUTES_DEFAULT,
    LINEAR_PERCENT_DEFAULT, LINEAR_PERCENT_MIN,
};

/// Source: Amazon ECS API Reference, `DeploymentConfiguration`, `LinearConfiguration`, `CanaryConfiguration`. What is not given
/// stays as `current` has it.
pub(crate) fn strategy(
    given: &api_ecs::DeploymentConfiguration,
    current: DeploymentStrategy,
) -> Result<DeploymentStrategy, Error> {
    let name = given.strategy.as_deref().unwrap_or(current.as_str());
    if given.linear_configuration.is_some() && name != "LINEAR" {
        return Err(invalid("linearConfiguration can only be specified with the LINEAR deployment strategy."));
    }
    if given.canary_configuration.is_some() && name != "CANARY" {
        return Err(invalid("canaryConfiguration can only be specified with the CANARY deployment strategy."));
    }
    match name {
        "ROLLING" => Ok(DeploymentStrategy::Rolling),
        "BLUE_GREEN" => Ok(DeploymentStrategy::BlueGreen),
        "LINEAR" => {
            let given = given.linear_configuration.clone().unwrap_or_default();
            let known = if let DeploymentStrategy::Linear(known) = current { Some(known) } else { None };
            let step = percent(given.step_percent, LINEAR_PERCENT_MIN, "stepPercent")?;
            let minutes = minutes(given.step_bake_time_in_minutes, "stepBakeTimeInMinutes")?;
            Ok(DeploymentStrategy::Linear(LinearConfiguration {
                step: step.or(known.map(|one| one.step)).unwrap_or(LINEAR_PERCENT_DEFAULT),
                step_bake_time_in_minutes: minutes
                    .or(known.map(|one| one.step_bake_time_in_minutes))
                    .unwrap_or(LINEAR_BAKE_MINUTES_DEFAULT),
            }))
        }
        "CANARY" => {
            let given = given.canary_configuration.clone().unwrap_or_default();
            let known = if let DeploymentStrategy::Canary(known) = current { Some(known) } else { None };
            let canary = percent(given.canary_percent, CANARY_PERCENT_MIN, "canaryPercent")?;
            let minutes = minutes(given.canary_bake_time_in_minutes, "canaryBakeTimeInMinutes")?;
            Ok(DeploymentStrategy::Canary(CanaryConfiguration {
                canary: canary.or(known.map(|one| one.canary)).unwrap_or(CANARY_PERCENT_DEFAULT),
                canary_bake_time_in_minutes: minutes
                    .or(known.map(|one| one.canary_bake_time_in_minutes))
                    .unwrap_or(CANARY_BAKE_MINUTES_DEFAULT),
            }))
        }
        other => Err(invalid(format!("Invalid deployment strategy: {other}."))),
    }
}

/// A service without load balancer and Service Connect has no traffic that could be shifted in steps.
pub(crate) fn refuse_without_load_balancer(strategy: DeploymentStrategy) -> Result<(), Error> {
    match strategy {
        DeploymentStrategy::Rolling | DeploymentStrategy::BlueGreen => Ok(()),
        DeploymentStrategy::Linear(_) | DeploymentStrategy::Canary(_) => Err(unsupported(&format!(
            "The deployment strategy {} needs a load balancer or Service Connect. It",
            strategy.as_str()
        ))),
    }
}

pub(crate) fn bake_time(
    given: &api_ecs::DeploymentConfiguration,
    strategy: DeploymentStrategy,
    current: Option<u32>,
    succeeds_early: bool,
) -> Result<Option<u32>, Error> {
    let given = minutes(given.bake_time_in_minutes, "bakeTimeInMinutes")?;
    if strategy.is_rolling() {
        return match given {
            // Source: Amazon ECS API Reference, `DeploymentEarlySuccessCriteria.healthyPercent`.
            _ if succeeds_early => Ok(given.or(current)),
            None | Some(0) => Ok(None),
            Some(_) => Err(invalid("bakeTimeInMinutes cannot be specified with the ROLLING deployment strategy.")),
        };
    }
    let minutes = given.or(current);
    if strategy == DeploymentStrategy::BlueGreen && minutes.is_none() {
        return Err(invalid("bakeTimeInMinutes must be specified with the BLUE_GREEN deployment strategy."));
    }
    Ok(minutes)
}

/// All of them at once: what is given replaces what was.
pub(crate) fn hooks(
    given: Option<&Vec<api_ecs::DeploymentLifecycleHook>>,
    strategy: DeploymentStrategy,
    current: Vec<LifecycleHook>,
) -> Result<Vec<LifecycleHook>, Error> {
    let Some(given) = given else {
        return Ok(if strategy.is_rolling() { Vec::new() } else { current });
    };
    if !given.is_empty() && strategy.is_rolling() {
        return Err(invalid("Lifecycle hooks are not supported by the ROLLING deployment strategy."));
    }
    if given.len() > LIFECYCLE_HOOKS_MAX {
        return Err(invalid(format!("A service can have at most {LIFECYCLE_HOOKS_MAX} lifecycle hooks.")));
    }
    given.iter().map(hook).collect()
}

fn hook(given: &api_ecs::DeploymentLifecycleHook) -> Result<LifecycleHook, Error> {
    let mut stages = Vec::new();
    for name in given.lifecycle_stages.iter().flatten() {
        let stage = HookStage::parse(name).ok_or_else(|| invalid(format!("Invalid lifecycle stage: {name}.")))?;
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    if stages.is_empty() {
        return Err(invalid("lifecycleStages must be specified for a lifecycle hook."));
    }
    let target = match given.target_type.as_deref() {
        Some("PAUSE") => pause(given, &stages)?,
        None | Some("AWS_LAMBDA") => function(given)?,
        Some(other) => return Err(invalid(format!("Invalid lifecycle hook target type: {other}."))),
    };
    let timeout = given.timeout_configuration.clone().unwrap_or_default();
    let timeout_in_minutes = match timeout.timeout_in_minutes {
        None => HOOK_TIMEOUT_MINUTES_DEFAULT,
        Some(minutes @ 1..=HOOK_TIMEOUT_MINUTES_MAX) => minutes as u32,
        Some(_) => {
            let message = format!("timeoutInMinutes must be between 1 and {HOOK_TIMEOUT_MINUTES_MAX}.");
            return Err(invalid(message));
        }
    };
    let timeout_action = match timeout.action.as_deref() {
        None | Some("ROLLBACK") => HookAction::Rollback,
        Some("CONTINUE") => HookAction::Continue,
        Some(other) => return Err(invalid(format!("Invalid timeout action: {other}."))),
    };
    Ok(LifecycleHook { target, stages, details: None, timeout_in_minutes, timeout_action })
}

/// Source: Amazon ECS API Reference, `DeploymentLifecycleHook`: a pause has no target and no details, and traffic that is on its
/// way cannot be paused.
fn pause(given: &api_ecs::DeploymentLifecycleHook, stages: &[HookStage]) -> Result<HookTarget, Error> {
    for (what, value) in [("hookTargetArn", &given.hook_target_arn), ("roleArn", &given.role_arn)] {
        if value.is_some() {
            return Err(invalid(format!("{what} cannot be specified for a lifecycle hook of the type PAUSE.")));
        }
    }
    match stages.iter().find(|stage| !stage.can_pause()) {
        Some(stage) => {
            Err(invalid(format!("Lifecycle hooks of the type PAUSE are not supported at {}.", stage.as_str())))
        }
        None => Ok(HookTarget::Pause),
    }
}

fn function(given: &api_ecs::DeploymentLifecycleHook) -> Result<HookTarget, Error> {
    for (what, value) in [("hookTargetArn", &given.hook_target_arn), ("roleArn", &given.role_arn)] {
        if value.as_deref().is_none_or(str::is_empty) {
            return Err(invalid(format!("{what} must be specified for a lifecycle hook of the type AWS_LAMBDA.")));
        }
    }
    Err(unsupported("A lifecycle hook of the type AWS_LAMBDA"))
}

fn percent(given: Option<f64>, least: Weight, what: &str) -> Result<Option<Weight>, Error> {
    let Some(given) = given else { return Ok(None) };
    let weight = Weight::from_percent(given).filter(|weight| *weight >= least);
    weight
        .map(Some)
        .ok_or_else(|| invalid(format!("{what} must be a multiple of 0.1 between {:.1} and 100.0.", least.percent())))
}

fn minutes(given: Option<i32>, what: &str) -> Result<Option<u32>, Error> {
    match given {
        None => Ok(None),
        Some(minutes @ 0..=BAKE_MINUTES_MAX) => Ok(Some(minutes as u32)),
        Some(_) => Err(invalid(format!("{what} must be between 0 and {BAKE_MINUTES_MAX}."))),
    }
}

pub(crate) fn linear_view(kept: DeploymentStrategy) -> Option<api_ecs::LinearConfiguration> {
    let DeploymentStrategy::Linear(kept) = kept else { return None };
    Some(api_ecs::LinearConfiguration {
        step_percent: Some(kept.step.percent()),
        step_bake_time_in_minutes: Some(kept.step_bake_time_in_minutes as i32),
    })
}

pub(crate) fn canary_view(kept: DeploymentStrategy) -> Option<api_ecs::CanaryConfiguration> {
    let DeploymentStrategy::Canary(kept) = kept else { return None };
    Some(api_ecs::CanaryConfiguration {
        canary_percent: Some(kept.canary.percent()),
        canary_bake_time_in_minutes: Some(kept.canary_bake_time_in_minutes as i32),
    })
}

pub(crate) fn hooks_view(kept: &[LifecycleHook]) -> Option<Vec<api_ecs::DeploymentLifecycleHook>> {
    let view = |hook: &LifecycleHook| {
        let (hook_target_arn, role_arn) = match &hook.target {
            HookTarget::Pause => (None, None),
            HookTarget::AwsLambda { arn, role_arn } => (Some(arn.clone()), Some(role_arn.clone())),
        };
        api_ecs::DeploymentLifecycleHook {
            target_type: Some(hook.target.as_str().into()),
            hook_target_arn,
            role_arn,
            lifecycle_stages: Some(hook.stages.iter().map(|stage| stage.as_str().to_owned()).collect()),
            hook_details: None,
            timeout_configuration: Some(api_ecs::DeploymentLifecycleHookTimeoutConfiguration {
                timeout_in_minutes: Some(hook.timeout_in_minutes as i32),
                action: Some(hook.timeout_action.as_str().into()),
            }),
        }
    };
    (!kept.is_empty()).then(|| kept.iter().map(view).collect())
}
