use api_ecs::{StopTaskRequest, StopTaskResponse};
use model::{StopCode, stop_reason};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

/// Source: Amazon ECS API Reference, `StopTask.reason`: up to 1024 characters.
const REASON_CHARS_MAX: usize = 1024;

pub(crate) fn apply(input: &StopTaskRequest, ctx: &mut Ctx<'_>) -> Applied<StopTaskResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let reason = input.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or(stop_reason::BY_USER);
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(invalid(format!("Reason length must be at most {REASON_CHARS_MAX}.")));
    }
    let mut task = (*lookup::task(ctx, &cluster, input.task.as_deref().unwrap_or_default())
        .ok_or_else(|| invalid("The referenced task was not found."))?)
    .clone();
    let before = task.version;
    task.request_stop(StopCode::UserInitiated, reason, ctx.now);
    let mut changes = Changes::new();
    if task.version != before {
        changes.put(ctx.snapshot, &task);
    }
    Ok((changes, StopTaskResponse { task: Some(views::task(ctx.snapshot, &task, None)) }))
}
