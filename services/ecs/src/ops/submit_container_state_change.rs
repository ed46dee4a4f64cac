use api_ecs::{ContainerStateChange, SubmitContainerStateChangeRequest, SubmitContainerStateChangeResponse};
use state::Changes;

use super::submit_task_state_change::container;
use crate::ctx::{Applied, Ctx};
use crate::lookup;

/// What older agents say about one container. Unknown tasks are acknowledged, for the same reason as in SubmitTaskStateChange.
pub(crate) fn apply(
    input: &SubmitContainerStateChangeRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<SubmitContainerStateChangeResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut changes = Changes::new();
    if let Some(task) = lookup::task(ctx, &cluster, input.task.as_deref().unwrap_or_default()).filter(|task| task.is_live()) {
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
    }
    Ok((changes, SubmitContainerStateChangeResponse { acknowledgment: Some("ACK".into()) }))
}
