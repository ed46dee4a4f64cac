use api_ecs::{DeleteServiceRequest, DeleteServiceResponse, Error, ErrorCode};
use model::{ServiceStatus, TaskSetStatus};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

/// The service drains: its tasks are stopped, and when none is left it is `INACTIVE`.
pub(crate) fn apply(input: &DeleteServiceRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteServiceResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let known = lookup::service(ctx, &cluster, input.service.as_deref().unwrap_or_default())
        .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))?;
    match known.status {
        ServiceStatus::Inactive => {
            return Err(Error::new(ErrorCode::ServiceNotActiveException, "Service was not ACTIVE."));
        }
        ServiceStatus::Draining => {
            let shown = views::service(ctx.snapshot, &known, None);
            return crate::ctx::unchanged(DeleteServiceResponse { service: Some(shown) });
        }
        ServiceStatus::Active => {}
    }
    let force = input.force == Some(true);
    if !known.task_sets.is_empty() && !force {
        return Err(invalid("The service cannot be stopped while it has task sets."));
    }
    // A daemon cannot be scaled, so it is not asked to be at 0.
    if known.desired_count > 0 && !known.is_daemon() && !force {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    let mut service = (*known).clone();
    service.status = ServiceStatus::Draining;
    service.desired_count = 0;
    for set in &mut service.task_sets {
        set.status = TaskSetStatus::Draining;
        set.updated_at = ctx.now;
    }
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    Ok((changes, DeleteServiceResponse { service: Some(views::service(ctx.snapshot, &service, None)) }))
}
