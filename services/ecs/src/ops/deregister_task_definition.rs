use api_ecs::{DeregisterTaskDefinitionRequest, DeregisterTaskDefinitionResponse};
use model::TaskDefinitionStatus;
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::{client, invalid};
use crate::{lookup, views};

/// The revision stays for the tasks and services that have it; only new ones can't be made of it.
pub(crate) fn apply(
    input: &DeregisterTaskDefinitionRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DeregisterTaskDefinitionResponse> {
    let text = input.task_definition.as_deref().unwrap_or_default();
    if !text.contains(':') {
        return Err(invalid("Invalid revision number. Number: "));
    }
    let mut definition = (*lookup::task_definition(ctx, text)
        .ok_or_else(|| client("The specified task definition does not exist."))?)
    .clone();
    let mut changes = Changes::new();
    match definition.status {
        TaskDefinitionStatus::Active => {
            definition.status = TaskDefinitionStatus::Inactive;
            definition.deregistered_at = Some(ctx.now);
            changes.put(ctx.snapshot, &definition);
        }
        TaskDefinitionStatus::Inactive => {}
        TaskDefinitionStatus::DeleteInProgress => {
            return Err(invalid("The specified task definition is in the process of being deleted."));
        }
    }
    Ok((changes, DeregisterTaskDefinitionResponse { task_definition: Some(views::task_definition(&definition)) }))
}
