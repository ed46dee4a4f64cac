use api_ecs::{UpdateServicePrimaryTaskSetRequest, UpdateServicePrimaryTaskSetResponse};
use model::TaskSetStatus;
use state::Changes;

use super::create_task_set::{external_service, position};
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

/// Says which task set serves production traffic. The one that did so becomes `ACTIVE`.
pub(crate) fn apply(
    input: &UpdateServicePrimaryTaskSetRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<UpdateServicePrimaryTaskSetResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut service = external_service(ctx, &cluster, input.service.as_deref())?;
    let at = position(ctx, &service, input.primary_task_set.as_deref())?;
    if service.task_sets[at].status == TaskSetStatus::Draining {
        return Err(invalid("A task set that is DRAINING cannot become the primary task set."));
    }
    for (place, set) in service.task_sets.iter_mut().enumerate() {
        let status = match set.status {
            _ if place == at => TaskSetStatus::Primary,
            TaskSetStatus::Primary => TaskSetStatus::Active,
            other => other,
        };
        if status != set.status {
            set.status = status;
            set.updated_at = ctx.now;
        }
    }
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    let shown = views::task_set(ctx.snapshot, &service, &service.task_sets[at], None);
    Ok((changes, UpdateServicePrimaryTaskSetResponse { task_set: Some(shown) }))
}
