use api_ecs::{StartTaskRequest, StartTaskResponse};
use model::ContainerInstanceArn;
use model::task::LaunchType;
use scheduler::{Launch, Request, Scheduler};
use state::Changes;

use super::run_task::{failure, group};
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{invalid, unsupported};
use crate::limits::TASKS_PER_CALL_MAX;
use crate::{lookup, views};

/// One task on each of the named instances; nothing is chosen.
pub(crate) fn apply(input: &StartTaskRequest, ctx: &mut Ctx<'_>) -> Applied<StartTaskResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let definition = lookup::runnable_task_definition(ctx, input.task_definition.as_deref())?;
    let wanted = input.container_instances.clone().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Container instances cannot be empty."));
    }
    if wanted.len() > TASKS_PER_CALL_MAX {
        return Err(invalid(format!("Container instances cannot have more than {TASKS_PER_CALL_MAX} elements.")));
    }
    if input.network_configuration.is_some() {
        return Err(invalid("Network Configuration is not valid for the given networkMode of this task definition."));
    }
    if input.volume_configurations.as_ref().is_some_and(|volumes| !volumes.is_empty()) {
        return Err(unsupported("volumeConfigurations"));
    }
    let overrides = convert::overrides::parse(input.overrides.as_ref(), &definition)?;
    let group = group(input.group.as_deref(), &definition)?;
    let mut tags = convert::tags::parse(input.tags.as_ref())?;
    if input.propagate_tags.as_deref() == Some("TASK_DEFINITION") {
        tags = model::tag::merged(&definition.tags, &tags);
    }
    let mut scheduler = Scheduler::new(ctx.indexes, ctx.snapshot, &ctx.scope, &cluster.name, ctx.ids.number());
    reconcilers::daemon::keep_room(&mut scheduler, ctx.snapshot, &ctx.scope, &cluster.name);
    let (mut changes, mut tasks, mut failures) = (Changes::new(), Vec::new(), Vec::new());
    for text in &wanted {
        let Some(instance) = lookup::container_instance(ctx, &cluster, text) else {
            let arn = text.parse().unwrap_or_else(|_| ContainerInstanceArn::new(&ctx.scope, &cluster.name, text));
            failures.push(views::failure(arn, "MISSING"));
            continue;
        };
        // StartTask has no launch type of its own: the instance decides.
        let launch_type = if instance.is_external() { LaunchType::External } else { LaunchType::Ec2 };
        let request = Request::new(&definition, overrides.as_ref(), &group, launch_type)
            .map_err(|error| invalid(error.to_string()))?;
        match scheduler.place_on(&instance.id, &request) {
            Ok(placement) => {
                let launch = Launch {
                    definition: &definition,
                    request: &request,
                    cluster: &cluster.name,
                    launch_type,
                    started_by: input.started_by.clone().unwrap_or_default(),
                    overrides: overrides.clone(),
                    tags: tags.clone(),
                    execute_command_enabled: input.enable_execute_command.unwrap_or_default(),
                };
                tasks.push(launch.record(&placement, ctx.snapshot, &mut changes, ctx.ids, ctx.now));
            }
            Err(Some(rejection)) => failures.push(failure(rejection)),
            Err(None) => failures.push(views::failure(instance.arn(), "INACTIVE")),
        }
    }
    let include = Some(vec!["TAGS".to_owned()]);
    let tasks = tasks.iter().map(|task| views::task(ctx.snapshot, task, include.as_ref())).collect();
    Ok((changes, StartTaskResponse { tasks: Some(tasks), failures: Some(failures) }))
}
