//! A capacity provider, made by somebody or there from the beginning.

use model::{CapacityProvider, CapacityProviderArn, Scope};

use super::included;
use crate::convert;

/// Those that every account has.
pub(crate) const PREDEFINED: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];

/// Said where somebody would wonder why no instance comes.
const NOT_SCALED: &str = "Tasks wait in PROVISIONING for instances of the group, which somebody has to start: there is no Auto \
                          Scaling in this version of Berth.";

pub(crate) fn capacity_provider(kept: &CapacityProvider, include: Option<&Vec<String>>) -> api_ecs::CapacityProvider {
    api_ecs::CapacityProvider {
        capacity_provider_arn: Some(kept.arn().to_string()),
        name: Some(kept.name.clone()),
        status: Some(kept.status.as_str().into()),
        r#type: Some("EC2_AUTOSCALING".into()),
        auto_scaling_group_provider: Some(convert::capacity_provider::group_view(&kept.group)),
        update_status: Some(kept.update_status.as_str().into()),
        update_status_reason: kept.group.managed_scaling.enabled.then(|| NOT_SCALED.to_owned()),
        tags: Some(if included(include, "TAGS") { convert::tags::view(&kept.tags) } else { Vec::new() }),
        ..Default::default()
    }
}

pub(crate) fn predefined_capacity_provider(scope: &Scope, name: &str) -> api_ecs::CapacityProvider {
    api_ecs::CapacityProvider {
        capacity_provider_arn: Some(CapacityProviderArn::new(scope, name).to_string()),
        name: Some(name.to_owned()),
        status: Some("ACTIVE".into()),
        r#type: Some(name.to_owned()),
        tags: Some(Vec::new()),
        ..Default::default()
    }
}
