use api_ecs::{Error, ErrorCode, StopServiceDeploymentRequest, StopServiceDeploymentResponse};
use model::service::StopType;
use model::{Service, ServiceDeployment, ServiceDeploymentStatus};
use state::Changes;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::lookup;

/// What the service does about it is its reconciler's to decide; it looks when its deployment says that it is to stop.
///
/// Source: Amazon ECS Developer Guide, "Stopping Amazon ECS service deployments", which states go where.
pub(crate) fn apply(input: &StopServiceDeploymentRequest, ctx: &mut Ctx<'_>) -> Applied<StopServiceDeploymentResponse> {
    let text = input.service_deployment_arn.as_deref().unwrap_or_default();
    let mut kept = ServiceDeployment::clone(&*lookup::service_deployment(ctx, text)?.ok_or_else(not_found)?);
    let answer = StopServiceDeploymentResponse { service_deployment_arn: Some(kept.arn().to_string()) };
    let stop = match input.stop_type.as_deref() {
        Some("ABORT") => StopType::Abort,
        _ => StopType::Rollback,
    };
    match kept.status {
        ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress => {}
        // It is stopping, or on its way back: it continues.
        status if status.is_ongoing() => return unchanged(answer),
        _ => {
            return Err(Error::new(
                ErrorCode::ConflictException,
                "The service deployment has ended and cannot be stopped.",
            ));
        }
    }
    let name = format!("{}/{}/{}", kept.scope, kept.cluster, kept.service);
    let mut service = Service::clone(ctx.snapshot.services.get(&name).ok_or_else(not_found)?);
    if stop == StopType::Rollback && service.last_completed.is_none() {
        return Err(invalid("The service has no completed deployment to roll back to."));
    }
    let of_it = service.deployments.iter_mut().find(|one| one.service_deployment == kept.id);
    of_it.ok_or_else(not_found)?.stop_requested = Some(stop);
    let status = match stop {
        StopType::Abort => ServiceDeploymentStatus::StopRequested,
        StopType::Rollback => ServiceDeploymentStatus::RollbackRequested,
    };
    kept.becomes(status, "The deployment was stopped by a user.", ctx.now);
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    changes.put(ctx.snapshot, &kept);
    Ok((changes, answer))
}

fn not_found() -> Error {
    Error::new(ErrorCode::ServiceDeploymentNotFoundException, "Service deployment not found.")
}
