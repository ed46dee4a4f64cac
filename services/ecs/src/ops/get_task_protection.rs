use std::sync::Arc;

use api_ecs::{Failure, GetTaskProtectionRequest, GetTaskProtectionResponse, ProtectedTask};
use model::{Cluster, Task};
use stdx::Timestamp;

use super::update_task_protection::arn_of;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_MAX;
use crate::{lookup, views};

pub(crate) fn apply(input: &GetTaskProtectionRequest, ctx: &mut Ctx<'_>) -> Applied<GetTaskProtectionResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let wanted = input.tasks.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Tasks cannot have more than {DESCRIBE_MAX} elements.")));
    }
    let (mut protected, mut failures) = (Vec::new(), Vec::new());
    for text in wanted {
        match protectable(ctx, &cluster, text) {
            Ok(task) => protected.push(protected_task(&task, ctx.now)),
            Err(failure) => failures.push(failure),
        }
    }
    unchanged(GetTaskProtectionResponse { protected_tasks: Some(protected), failures: Some(failures) })
}

/// A task that protection means something for: a service has it, and it has not been asked to stop.
///
/// Source: Amazon ECS Developer Guide, "API failure reasons".
pub(super) fn protectable(ctx: &Ctx<'_>, cluster: &Cluster, text: &str) -> Result<Arc<Task>, Failure> {
    let task = lookup::task(ctx, cluster, text).ok_or_else(|| views::failure(arn_of(ctx, cluster, text), "MISSING"))?;
    let valid = task.service().is_some() && task.is_live() && task.desired_status == model::TaskStatus::Running;
    if valid { Ok(task) } else { Err(views::failure(task.arn(), "TASK_NOT_VALID")) }
}

pub(super) fn protected_task(task: &Task, now: Timestamp) -> ProtectedTask {
    let until = task.protection(now);
    ProtectedTask {
        task_arn: Some(task.arn().to_string()),
        protection_enabled: Some(until.is_some()),
        expiration_date: until,
    }
}
