use api_ecs::{ContinueServiceDeploymentRequest, ContinueServiceDeploymentResponse, Error, ErrorCode};

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::lookup;

/// Source: Amazon ECS Developer Guide, "Continuing service deployments": only a hook that awaits an action can be continued.
pub(crate) fn apply(
    input: &ContinueServiceDeploymentRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ContinueServiceDeploymentResponse> {
    let text = input.service_deployment_arn.as_deref().unwrap_or_default();
    let not_found = || Error::new(ErrorCode::ServiceDeploymentNotFoundException, "Service deployment not found.");
    lookup::service_deployment(ctx, text)?.ok_or_else(not_found)?;
    let hook = input.hook_id.as_deref().unwrap_or_default();
    Err(invalid(format!("The service deployment has no lifecycle hook {hook} that awaits an action.")))
}
