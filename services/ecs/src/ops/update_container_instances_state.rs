use api_ecs::{UpdateContainerInstancesStateRequest, UpdateContainerInstancesStateResponse};
use model::{ContainerInstanceArn, ContainerInstanceStatus};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::limits::UPDATE_STATE_MAX;
use crate::{lookup, views};

/// Draining: no new tasks come, and services replace theirs elsewhere.
pub(crate) fn apply(
    input: &UpdateContainerInstancesStateRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<UpdateContainerInstancesStateResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let status = match input.status.as_deref() {
        Some("ACTIVE") => ContainerInstanceStatus::Active,
        Some("DRAINING") => ContainerInstanceStatus::Draining,
        other => {
            return Err(invalid(format!(
                "Container instances status should be one of [ACTIVE,DRAINING], but was {}.",
                other.unwrap_or_default()
            )));
        }
    };
    let wanted = input.container_instances.clone().unwrap_or_default();
    if wanted.is_empty() || wanted.len() > UPDATE_STATE_MAX {
        return Err(invalid(format!("The number of container instances must be between 1 and {UPDATE_STATE_MAX}.")));
    }
    let (mut changes, mut instances, mut failures) = (Changes::new(), Vec::new(), Vec::new());
    for text in &wanted {
        let Some(found) = lookup::container_instance(ctx, &cluster, text) else {
            let arn = text.parse().unwrap_or_else(|_| ContainerInstanceArn::new(&ctx.scope, &cluster.name, text));
            failures.push(views::failure(arn, "MISSING"));
            continue;
        };
        if found.status == ContainerInstanceStatus::Inactive {
            failures.push(views::failure(found.arn(), "INACTIVE"));
            continue;
        }
        let mut instance = (*found).clone();
        if instance.status != status {
            instance.status = status;
            instance.version += 1;
            changes.put(ctx.snapshot, &instance);
        }
        instances.push(views::container_instance(ctx.snapshot, &instance, None));
    }
    Ok((
        changes,
        UpdateContainerInstancesStateResponse { container_instances: Some(instances), failures: Some(failures) },
    ))
}
