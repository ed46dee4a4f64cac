use api_ecs::{UpdateCapacityProviderRequest, UpdateCapacityProviderResponse};
use model::capacity_provider::UpdateStatus;
use state::Changes;

use super::create_capacity_provider::refuse_managed_instances;
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

/// Other settings for the same Auto Scaling group. What is not given stays.
pub(crate) fn apply(
    input: &UpdateCapacityProviderRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<UpdateCapacityProviderResponse> {
    refuse_managed_instances(input.managed_instances_provider.is_some(), input.cluster.is_some())?;
    let mut provider = lookup::capacity_provider(ctx, input.name.as_deref().unwrap_or_default())?;
    let given = input.auto_scaling_group_provider.as_ref();
    let given = given.ok_or_else(|| invalid("An Auto Scaling group provider must be specified."))?;
    let (termination, draining) = (&given.managed_termination_protection, &given.managed_draining);
    provider.group = convert::capacity_provider::changed(
        &provider.group,
        given.managed_scaling.as_ref(),
        termination.as_deref(),
        draining.as_deref(),
    )?;
    provider.update_status = UpdateStatus::UpdateComplete;
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &provider);
    let shown = views::capacity_provider(&provider, None);
    Ok((changes, UpdateCapacityProviderResponse { capacity_provider: Some(shown) }))
}
