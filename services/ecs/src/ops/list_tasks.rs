use std::sync::Arc;

use api_ecs::{Error, ErrorCode, ListTasksRequest, ListTasksResponse};
use model::{Cluster, ContainerInstance, Task};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::PAGE_MAX;
use crate::lookup;
use crate::page::{Order, Pages};

/// The tasks of a cluster, narrowed by whatever is given. Without `desiredStatus` those that should run.
pub(crate) fn apply(input: &ListTasksRequest, ctx: &mut Ctx<'_>) -> Applied<ListTasksResponse> {
    refuse_filters_that_exclude_each_other(input)?;
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let owner = match (input.service_name.as_deref(), input.daemon_name.as_deref()) {
        (Some(text), _) => Some(
            lookup::service(ctx, &cluster, text)
                .map(|service| service.name.clone())
                .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))?,
        ),
        (None, Some(name)) => {
            let known = ctx.snapshot.daemons.get(&format!("{}/{}/{name}", ctx.scope, cluster.name));
            Some(known.map(|daemon| daemon.group()).ok_or_else(|| invalid("The specified daemon does not exist."))?)
        }
        (None, None) => None,
    };
    let instance = match input.container_instance.as_deref() {
        Some(text) => Some(
            lookup::container_instance(ctx, &cluster, text)
                .ok_or_else(|| invalid("The specified container instance does not exist."))?,
        ),
        None => None,
    };
    let request = ListTasksRequest { next_token: None, max_results: None, ..input.clone() };
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), input.max_results, PAGE_MAX)?;

    let desired = input.desired_status.as_deref().unwrap_or("RUNNING");
    let matching =
        found(ctx, &cluster, owner.as_deref(), instance.as_deref(), input, pages.after()).filter(|(_, task)| {
            task.desired_status.as_str() == desired
                && instance.as_ref().is_none_or(|instance| task.container_instance == instance.id)
                && input.family.as_deref().is_none_or(|family| task.family == family)
                && input.started_by.as_deref().is_none_or(|by| task.started_by == by)
                && input.launch_type.as_deref().is_none_or(|kind| task.launch_type.as_str() == kind)
        });
    let arns = matching.map(|(place, task)| (place, task.arn().to_string()));
    let (arns, next_token) = pages.cut(arns, Order::Ascending);
    unchanged(ListTasksResponse { task_arns: Some(arns), next_token })
}

/// Source: Amazon ECS API Reference, `ListTasks.startedBy`: it must be the only filter.
fn refuse_filters_that_exclude_each_other(input: &ListTasksRequest) -> Result<(), Error> {
    if input.daemon_name.is_some() && input.service_name.is_some() {
        return Err(invalid("cannot specify daemonName with serviceName"));
    }
    let narrowed = input.family.is_some() || input.container_instance.is_some() || input.daemon_name.is_some();
    if input.started_by.is_some() && (narrowed || input.service_name.is_some() || input.launch_type.is_some()) {
        return Err(invalid("cannot specify startedBy with other arguments"));
    }
    if input.service_name.is_some() && narrowed {
        return Err(invalid("cannot specify serviceName with other arguments"));
    }
    Ok(())
}

type Found<'a> = Box<dyn Iterator<Item = (String, &'a Arc<Task>)> + 'a>;

/// Where the tasks are looked for: the narrowest index, from where the page begins. What else is asked is checked on what it
/// gives. Each task comes with its place, and in the order of the places.
fn found<'a>(
    ctx: &Ctx<'a>,
    cluster: &Cluster,
    owner: Option<&str>,
    instance: Option<&ContainerInstance>,
    input: &ListTasksRequest,
    after: &str,
) -> Found<'a> {
    let tasks = &ctx.snapshot.tasks;
    let within = |name: &str| format!("{}/{}/{name}", ctx.scope, cluster.name);
    let by_id = |task: &'a Arc<Task>| (task.id.clone(), task);
    let is_over = input.desired_status.as_deref().is_some_and(|status| status != "RUNNING");
    if let Some(owner) = owner {
        let live = tasks.by("service", &within(owner));
        let stopped = tasks.under("service-stopped", &within(&format!("{owner}/")));
        let mut all: Vec<_> = live.chain(stopped.take_while(|_| is_over)).map(by_id).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        return Box::new(all.into_iter());
    }
    if let Some(family) = input.family.as_deref() {
        let those = |which: &str| tasks.by_after("family", &within(&format!("{family}/{which}")), &within(after));
        if !is_over {
            return Box::new(those("live").map(by_id));
        }
        // Some are still on their way.
        let mut all: Vec<_> = those("live").chain(those("stopped")).map(by_id).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        return Box::new(all.into_iter());
    }
    if is_over {
        return Box::new(tasks.range_after(&within(""), after).map(by_id));
    }
    // Those that should run are few among those that have stopped and are remembered. They are filed by their instance.
    let (on, id) = after.split_once('/').unwrap_or_default();
    let by_instance = |task: &'a Arc<Task>| (format!("{}/{}", task.container_instance, task.id), task);
    match instance {
        Some(instance) => Box::new(tasks.by_after("live", &within(&instance.id), &within(id)).map(by_instance)),
        None => Box::new(tasks.under_after("live", &within(""), (&within(on), &within(id))).map(by_instance)),
    }
}
