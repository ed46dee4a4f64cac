use api_ecs::{DeleteDaemonTaskDefinitionRequest, DeleteDaemonTaskDefinitionResponse};
use model::TaskDefinitionStatus;
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::{client, invalid};
use crate::lookup;

/// One that nothing uses is removed at once; one in use waits as `DELETE_IN_PROGRESS`, and its daemons go on.
pub(crate) fn apply(
    input: &DeleteDaemonTaskDefinitionRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DeleteDaemonTaskDefinitionResponse> {
    let text = input.daemon_task_definition.as_deref().unwrap_or_default();
    let found = if text.contains(':') { lookup::daemon_task_definition(ctx, text) } else { None };
    let mut definition =
        (*found.ok_or_else(|| client("The specified daemon task definition does not exist."))?).clone();
    if definition.status != TaskDefinitionStatus::Active {
        return Err(invalid("The specified daemon task definition is not in ACTIVE status."));
    }
    definition.status = TaskDefinitionStatus::DeleteInProgress;
    definition.deregistered_at = Some(ctx.now);
    let mut changes = Changes::new();
    if reconcilers::janitor::in_use(ctx.snapshot, &definition) {
        changes.put(ctx.snapshot, &definition);
    } else {
        changes.delete(ctx.snapshot, &definition);
    }
    let arn = definition.arn().to_string();
    Ok((changes, DeleteDaemonTaskDefinitionResponse { daemon_task_definition_arn: Some(arn) }))
}
