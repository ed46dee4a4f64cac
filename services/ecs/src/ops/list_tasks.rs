use std::sync::Arc;

use api_ecs::{Error, ErrorCode, ListTasksRequest, ListTasksResponse};
use model::Task;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::{invalid, unsupported};
use crate::limits::PAGE_MAX;
use crate::lookup;
use crate::page::{Order, page};

/// The tasks of a cluster, narrowed by whatever is given. Without `desiredStatus` those that should run.
pub(crate) fn apply(input: &ListTasksRequest, ctx: &mut Ctx<'_>) -> Applied<ListTasksResponse> {
    if input.daemon_name.is_some() {
        return Err(unsupported("daemonName"));
    }
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let tasks = &ctx.snapshot.tasks;
    let within = |name: &str| format!("{}/{}/{name}", ctx.scope, cluster.name);

    let service = match input.service_name.as_deref() {
        Some(text) => Some(
            lookup::service(ctx, &cluster, text)
                .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))?,
        ),
        None => None,
    };
    let instance = match input.container_instance.as_deref() {
        Some(text) => Some(
            lookup::container_instance(ctx, &cluster, text)
                .ok_or_else(|| invalid("The specified container instance does not exist."))?,
        ),
        None => None,
    };
    // The narrowest index goes first; the rest is checked on what it finds.
    let found: Box<dyn Iterator<Item = &Arc<Task>>> = match (&service, input.family.as_deref()) {
        (Some(service), _) => Box::new(tasks.by("service", &within(&service.name))),
        (None, Some(family)) => Box::new(tasks.by("family", &within(family))),
        (None, None) => Box::new(tasks.range(&within(""))),
    };
    let desired = input.desired_status.as_deref().unwrap_or("RUNNING");
    let matching = found.filter(|task| {
        task.desired_status.as_str() == desired
            && instance.as_ref().is_none_or(|instance| task.container_instance == instance.id)
            && input.family.as_deref().is_none_or(|family| task.family == family)
            && input.started_by.as_deref().is_none_or(|by| task.started_by == by)
            && input.launch_type.as_deref().is_none_or(|kind| task.launch_type.as_str() == kind)
    });
    let arns = matching.map(|task| task.arn().to_string());
    let (arns, next_token) = page(arns, input.next_token.as_deref(), input.max_results, PAGE_MAX, Order::Ascending)?;
    unchanged(ListTasksResponse { task_arns: Some(arns), next_token })
}
