use api_ecs::{DeleteTaskDefinitionsRequest, DeleteTaskDefinitionsResponse};
use model::TaskDefinitionStatus;
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::limits::DELETE_TASK_DEFINITIONS_MAX;
use crate::{lookup, views};

/// A deregistered revision that nothing uses any more is removed at once; one in use waits as `DELETE_IN_PROGRESS`.
pub(crate) fn apply(input: &DeleteTaskDefinitionsRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteTaskDefinitionsResponse> {
    let wanted = input.task_definitions.clone().unwrap_or_default();
    if wanted.is_empty() || wanted.len() > DELETE_TASK_DEFINITIONS_MAX {
        return Err(invalid(format!(
            "The number of task definitions must be between 1 and {DELETE_TASK_DEFINITIONS_MAX}."
        )));
    }
    let (mut changes, mut deleted, mut failures) = (Changes::new(), Vec::new(), Vec::new());
    for text in wanted {
        let found = if text.contains(':') { lookup::task_definition(ctx, &text) } else { None };
        let Some(definition) = found else {
            failures.push(views::failure(&text, "The specified task definition does not exist. Specify a valid account, family, revision and try again."));
            continue;
        };
        if definition.status == TaskDefinitionStatus::Active {
            failures.push(views::failure(
                definition.arn(),
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again.",
            ));
            continue;
        }
        let mut definition = (*definition).clone();
        definition.status = TaskDefinitionStatus::DeleteInProgress;
        // Stopped tasks keep their own copy of what describes them.
        if reconcilers::janitor::in_use(ctx.snapshot, &definition) {
            changes.put(ctx.snapshot, &definition);
        } else {
            changes.delete(ctx.snapshot, &definition);
        }
        deleted.push(views::task_definition(&definition));
    }
    Ok((changes, DeleteTaskDefinitionsResponse { task_definitions: Some(deleted), failures: Some(failures) }))
}
