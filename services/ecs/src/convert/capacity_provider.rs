//! Auto Scaling group providers, in and out.
//!
//! Source: Amazon ECS API Reference, `AutoScalingGroupProvider`, `ManagedScaling`.

use model::capacity_provider::{AutoScalingGroupProvider, ManagedScaling};

use super::number;
use crate::error::{Error, invalid};

const ARN_SHAPE: &str =
    "The specified Auto Scaling group ARN is not valid. Specify a valid Auto Scaling group ARN or name.";
const NAME_MAX: usize = 255;

pub(crate) fn group(given: &api_ecs::AutoScalingGroupProvider) -> Result<AutoScalingGroupProvider, Error> {
    let arn = given.auto_scaling_group_arn.clone().unwrap_or_default();
    let group = AutoScalingGroupProvider {
        arn,
        managed_scaling: ManagedScaling::default(),
        managed_termination_protection: false,
        managed_draining: false,
    };
    let is_arn = group.arn.starts_with("arn:");
    if is_arn && !(group.arn.contains(":autoscaling:") && group.arn.contains("autoScalingGroupName/")) {
        return Err(invalid(ARN_SHAPE));
    }
    if group.name().is_empty() || group.name().len() > NAME_MAX {
        return Err(invalid(ARN_SHAPE));
    }
    let (termination, draining) = (&given.managed_termination_protection, &given.managed_draining);
    changed(&group, given.managed_scaling.as_ref(), termination.as_deref(), draining.as_deref())
}

/// What is not given stays.
pub(crate) fn changed(
    group: &AutoScalingGroupProvider,
    scaling: Option<&api_ecs::ManagedScaling>,
    termination: Option<&str>,
    draining: Option<&str>,
) -> Result<AutoScalingGroupProvider, Error> {
    let mut group = group.clone();
    if let Some(given) = scaling {
        group.managed_scaling = managed_scaling(&group.managed_scaling, given)?;
    }
    if let Some(text) = termination {
        group.managed_termination_protection = switch(text, "managedTerminationProtection")?;
    }
    if let Some(text) = draining {
        group.managed_draining = switch(text, "managedDraining")?;
    }
    if group.managed_termination_protection && !group.managed_scaling.enabled {
        return Err(invalid(
            "The managed termination protection setting for the capacity provider is invalid. To enable managed termination \
             protection for a capacity provider, managed scaling must be enabled.",
        ));
    }
    Ok(group)
}

fn managed_scaling(known: &ManagedScaling, given: &api_ecs::ManagedScaling) -> Result<ManagedScaling, Error> {
    let scaling = ManagedScaling {
        enabled: given.status.as_deref().map_or(Ok(known.enabled), |text| switch(text, "managedScaling.status"))?,
        target_capacity_percent: number::amount(given.target_capacity, "targetCapacity")?
            .unwrap_or(known.target_capacity_percent),
        minimum_step: number::amount(given.minimum_scaling_step_size, "minimumScalingStepSize")?
            .unwrap_or(known.minimum_step),
        maximum_step: number::amount(given.maximum_scaling_step_size, "maximumScalingStepSize")?
            .unwrap_or(known.maximum_step),
        instance_warmup_seconds: number::amount(given.instance_warmup_period, "instanceWarmupPeriod")?
            .unwrap_or(known.instance_warmup_seconds),
    };
    if scaling.minimum_step > scaling.maximum_step {
        return Err(invalid("minimumScalingStepSize must not be greater than maximumScalingStepSize."));
    }
    Ok(scaling)
}

fn switch(text: &str, what: &str) -> Result<bool, Error> {
    match text {
        "ENABLED" => Ok(true),
        "DISABLED" => Ok(false),
        other => Err(invalid(format!("Invalid value for {what}: {other}."))),
    }
}

pub(crate) fn group_view(group: &AutoScalingGroupProvider) -> api_ecs::AutoScalingGroupProvider {
    let shown = |enabled| Some(if enabled { "ENABLED".to_owned() } else { "DISABLED".to_owned() });
    let scaling = &group.managed_scaling;
    api_ecs::AutoScalingGroupProvider {
        auto_scaling_group_arn: Some(group.arn.clone()),
        managed_scaling: Some(api_ecs::ManagedScaling {
            status: shown(scaling.enabled),
            target_capacity: Some(scaling.target_capacity_percent as i32),
            minimum_scaling_step_size: Some(scaling.minimum_step as i32),
            maximum_scaling_step_size: Some(scaling.maximum_step as i32),
            instance_warmup_period: Some(scaling.instance_warmup_seconds as i32),
        }),
        managed_termination_protection: shown(group.managed_termination_protection),
        managed_draining: shown(group.managed_draining),
    }
}
