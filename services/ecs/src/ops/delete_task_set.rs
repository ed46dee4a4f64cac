use api_ecs::{DeleteTaskSetRequest, DeleteTaskSetResponse};
use model::{StabilityStatus, TaskSetStatus};
use state::Changes;

use super::create_task_set::{external_service, position};
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

/// Its tasks are stopped, and when none is left it is gone.
pub(crate) fn apply(input: &DeleteTaskSetRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteTaskSetResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut service = external_service(ctx, &cluster, input.service.as_deref())?;
    let at = position(ctx, &service, input.task_set.as_deref())?;
    let desired = service.desired_count;
    let set = &mut service.task_sets[at];
    if set.computed_desired_count(desired) > 0 && input.force != Some(true) && set.status != TaskSetStatus::Draining {
        return Err(invalid("The task set cannot be deleted while it is scaled above 0."));
    }
    if set.status != TaskSetStatus::Draining {
        set.status = TaskSetStatus::Draining;
        set.stability = StabilityStatus::Stabilizing;
        set.stability_at = ctx.now;
        set.updated_at = ctx.now;
    }
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    let shown = views::task_set(ctx.snapshot, &service, &service.task_sets[at], None);
    Ok((changes, DeleteTaskSetResponse { task_set: Some(shown) }))
}
