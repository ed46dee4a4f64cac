use api_ecs::{DeleteServiceRequest, DeleteServiceResponse, Error, ErrorCode};
use model::ServiceStatus;
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
    if known.desired_count > 0 && input.force != Some(true) {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    let mut service = (*known).clone();
    service.status = ServiceStatus::Draining;
    service.desired_count = 0;
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    Ok((changes, DeleteServiceResponse { service: Some(views::service(ctx.snapshot, &service, None)) }))
}
