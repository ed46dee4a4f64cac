use api_ecs::{DeregisterContainerInstanceRequest, DeregisterContainerInstanceResponse};
use model::{ContainerInstanceStatus, StopCode, stop_reason};
use state::{Changes, Record};

use crate::ctx::{Applied, Ctx};
use crate::error::{client, invalid};
use crate::{lookup, views};

/// Takes an instance out. With `force` its tasks are orphaned: they are stopped as far as ECS is concerned, and replaced by
/// their services elsewhere.
pub(crate) fn apply(
    input: &DeregisterContainerInstanceRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DeregisterContainerInstanceResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let named = input.container_instance.as_deref().unwrap_or_default();
    let active = lookup::active_container_instance(ctx, &cluster, named);
    let mut instance = (*active.ok_or_else(|| client("Referenced container instance not found."))?).clone();
    let tasks: Vec<_> = ctx.snapshot.tasks.by("live", &instance.name()).cloned().collect();
    if !tasks.is_empty() && input.force != Some(true) {
        return Err(invalid("Found running tasks on the instance."));
    }
    let mut changes = Changes::new();
    for task in tasks {
        let mut task = (*task).clone();
        task.stopped(StopCode::UserInitiated, stop_reason::DEREGISTERED, ctx.now);
        changes.put(ctx.snapshot, &task);
    }
    instance.status = ContainerInstanceStatus::Inactive;
    instance.agent_connected = false;
    instance.version += 1;
    changes.put(ctx.snapshot, &instance);
    // Its counts are those it has afterwards, without its tasks.
    let after = ctx.snapshot.with(&changes, ctx.snapshot.revision).expect("what was just written can be read");
    let shown = views::container_instance(&after, &instance, None);
    Ok((changes, DeregisterContainerInstanceResponse { container_instance: Some(shown) }))
}
