use api_ecs::{ContainerStateChange, SubmitContainerStateChangeRequest, SubmitContainerStateChangeResponse};
use state::Changes;

use super::submit_task_state_change::{absent, container, reported_task};
use crate::ctx::{Applied, Ctx};

/// What older agents say about one container. Unknown tasks are acknowledged, for the same reason as in SubmitTaskStateChange.
pub(crate) fn apply(
    input: &SubmitContainerStateChangeRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<SubmitContainerStateChangeResponse> {
    let mut changes = Changes::new();
    let acknowledged = SubmitContainerStateChangeResponse { acknowledgment: Some("ACK".into()) };
    let Some(task) = reported_task(ctx, input.cluster.as_deref(), input.task.as_deref()) else {
        return Ok((absent(ctx, input.cluster.as_deref(), input.task.as_deref()), acknowledged));
    };
    let mut changed = (*task).clone();
    let report = ContainerStateChange {
        container_name: input.container_name.clone(),
        runtime_id: input.runtime_id.clone(),
        exit_code: input.exit_code,
        network_bindings: input.network_bindings.clone(),
        reason: input.reason.clone(),
        status: input.status.clone(),
        ..Default::default()
    };
    container(&mut changed, &report);
    if changed != *task {
        changed.version += 1;
        changes.put(ctx.snapshot, &changed);
    }
    Ok((changes, acknowledged))
}
