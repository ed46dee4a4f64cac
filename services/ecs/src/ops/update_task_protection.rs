use std::time::Duration;

use api_ecs::{ProtectedTask, UpdateTaskProtectionRequest, UpdateTaskProtectionResponse};
use model::{Cluster, RolloutState, Service, Task, TaskArn};
use state::{Changes, Record};

use super::get_task_protection::{protectable, protected_task};
use crate::ctx::{Applied, Ctx};
use crate::error::{Error, invalid};
use crate::limits::{PROTECTION_MINUTES_DEFAULT, PROTECTION_MINUTES_MAX, UPDATE_PROTECTION_MAX};
use crate::{lookup, views};

/// Keeps tasks of services from scale-in and deployments for a while, or no longer.
pub(crate) fn apply(input: &UpdateTaskProtectionRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateTaskProtectionResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let wanted = input.tasks.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if wanted.len() > UPDATE_PROTECTION_MAX {
        return Err(invalid(format!("Tasks cannot have more than {UPDATE_PROTECTION_MAX} elements.")));
    }
    let enabled = input.protection_enabled.ok_or_else(|| invalid("protectionEnabled cannot be empty."))?;
    let until = if enabled { Some(ctx.now + expires_in(input.expires_in_minutes)?) } else { None };

    let (mut changes, mut protected, mut failures) = (Changes::new(), Vec::<ProtectedTask>::new(), Vec::new());
    for text in wanted {
        let task = match protectable(ctx, &cluster, text) {
            Ok(task) => task,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        if enabled && blocks_deployment(ctx, &cluster, &task) {
            failures.push(views::failure(task.arn(), "DEPLOYMENT_BLOCKED"));
            continue;
        }
        let mut task = Task::clone(&task);
        task.protected_until = until;
        task.version += 1;
        changes.put(ctx.snapshot, &task);
        protected.push(protected_task(&task, ctx.now));
    }
    Ok((changes, UpdateTaskProtectionResponse { protected_tasks: Some(protected), failures: Some(failures) }))
}

fn expires_in(minutes: Option<i32>) -> Result<Duration, Error> {
    match minutes.map_or(Ok(PROTECTION_MINUTES_DEFAULT), u64::try_from) {
        Ok(minutes @ 1..=PROTECTION_MINUTES_MAX) => Ok(Duration::from_secs(60 * minutes)),
        _ => Err(invalid(format!("expiresInMinutes must be between 1 and {PROTECTION_MINUTES_MAX}."))),
    }
}

/// Another old task holds up the deployment already: no further one may begin to. One that has its protection may keep it.
fn blocks_deployment(ctx: &Ctx<'_>, cluster: &Cluster, task: &Task) -> bool {
    if task.protection(ctx.now).is_some() {
        return false;
    }
    let Some(service) = task.service().and_then(|name| lookup::service(ctx, cluster, name)) else { return false };
    let Some(primary) = service.primary().filter(|primary| primary.rollout_state == RolloutState::InProgress) else {
        return false;
    };
    let is_old = |task: &Task| task.started_by != primary.id;
    let mut of_service = ctx.snapshot.tasks.by("service", &Service::name(&service));
    is_old(task) && of_service.any(|other| is_old(other) && other.protection(ctx.now).is_some())
}

/// The ARN of what was asked for, whether it exists or not.
pub(super) fn arn_of(ctx: &Ctx<'_>, cluster: &Cluster, text: &str) -> String {
    match text.starts_with("arn:") {
        true => text.to_owned(),
        false => TaskArn::new(&ctx.scope, &cluster.name, text).to_string(),
    }
}
