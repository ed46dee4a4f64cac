use api_ecs::{ContinueServiceDeploymentRequest, ContinueServiceDeploymentResponse, Error, ErrorCode};
use model::Service;
use model::lifecycle::{HookAction, HookStatus};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::lookup;

/// Writes down what somebody says to a paused hook; the service's reconciler goes on, or back, from there.
///
/// Source: Amazon ECS Developer Guide, "Continuing service deployments": only a hook that awaits an action can be continued.
pub(crate) fn apply(
    input: &ContinueServiceDeploymentRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ContinueServiceDeploymentResponse> {
    let text = input.service_deployment_arn.as_deref().unwrap_or_default();
    let kept = lookup::service_deployment(ctx, text)?.ok_or_else(not_found)?;
    let action = match input.action.as_deref() {
        None | Some("CONTINUE") => HookAction::Continue,
        Some("ROLLBACK") => HookAction::Rollback,
        Some(other) => return Err(invalid(format!("Invalid action: {other}."))),
    };
    let id = input.hook_id.as_deref().unwrap_or_default();
    let name = format!("{}/{}/{}", kept.scope, kept.cluster, kept.service);
    let mut service = Service::clone(ctx.snapshot.services.get(&name).ok_or_else(not_found)?);
    let mut runs = service
        .deployments
        .iter_mut()
        .filter(|one| one.service_deployment == kept.id)
        .filter_map(|one| one.lifecycle.as_mut())
        .flat_map(|lifecycle| &mut lifecycle.runs);
    let run = runs
        .find(|run| run.id == id && run.status == HookStatus::AwaitingAction)
        .ok_or_else(|| invalid(format!("The service deployment has no lifecycle hook {id} that awaits an action.")))?;
    // Its reconciler has not looked yet since it expired.
    if run.expires_at <= ctx.now {
        return Err(invalid(format!("The lifecycle hook {id} has timed out.")));
    }
    run.act(action);
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &service);
    Ok((changes, ContinueServiceDeploymentResponse { service_deployment_arn: Some(kept.arn().to_string()) }))
}

fn not_found() -> Error {
    Error::new(ErrorCode::ServiceDeploymentNotFoundException, "Service deployment not found.")
}
