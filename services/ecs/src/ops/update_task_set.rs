use api_ecs::{UpdateTaskSetRequest, UpdateTaskSetResponse};
use model::{StabilityStatus, TaskSetStatus};
use state::Changes;

use super::create_task_set::{external_service, position};
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

/// Another scale.
pub(crate) fn apply(input: &UpdateTaskSetRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateTaskSetResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut service = external_service(ctx, &cluster, input.service.as_deref())?;
    let at = position(ctx, &service, input.task_set.as_deref())?;
    let given = input.scale.as_ref().ok_or_else(|| invalid("Scale cannot be empty."))?;
    let percent = convert::service::scale(Some(given))?;
    let desired = service.desired_count;
    let set = &mut service.task_sets[at];
    if set.status == TaskSetStatus::Draining {
        return Err(invalid("A task set that is DRAINING cannot be updated."));
    }
    let before = set.computed_desired_count(desired);
    set.scale_percent = percent;
    set.updated_at = ctx.now;
    if set.computed_desired_count(desired) != before {
        set.stability = StabilityStatus::Stabilizing;
        set.stability_at = ctx.now;
    }
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    let shown = views::task_set(ctx.snapshot, &service, &service.task_sets[at], None);
    Ok((changes, UpdateTaskSetResponse { task_set: Some(shown) }))
}
