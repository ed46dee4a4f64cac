use api_ecs::{RunTaskRequest, RunTaskResponse};
use model::daemon::DAEMON_GROUP;
use model::task::{LaunchType, Provisioning};
use model::{TaskArn, TaskDefinition};
use reconcilers::provisioning::{WAITING_MAX, waiting};
use scheduler::{Explanation, Launch, Rejection, Request, Scheduler, Strategy};
use shape::Document;
use state::Changes;

use crate::convert;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::{Error, ErrorCode, invalid, unsupported};
use crate::idempotency::{Token, Used};
use crate::limits::{FAILURES_MAX, RUN_TASK_TOKEN_CHARS_MAX, TASKS_PER_CALL_MAX};
use crate::{capacity, lookup, views};

pub(crate) fn apply(input: &RunTaskRequest, ctx: &mut Ctx<'_>) -> Applied<RunTaskResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let given = (input.client_token.as_deref(), RUN_TASK_TOKEN_CHARS_MAX);
    let token = Token::read(ctx, ("RunTask", &cluster.name), given, input)?;
    match token.as_ref().map(|token| token.used(ctx)) {
        Some(Used::Before(ids)) => return unchanged(again(ctx, &cluster.name, &ids)),
        Some(Used::Otherwise(ids)) => return Err(conflict(ctx, &cluster.name, &ids)),
        Some(Used::Never) | None => {}
    }
    let definition = lookup::runnable_task_definition(ctx, input.task_definition.as_deref())?;
    let count = count(input.count)?;
    if input.volume_configurations.as_ref().is_some_and(|volumes| !volumes.is_empty()) {
        return Err(unsupported("volumeConfigurations"));
    }
    let given = (input.capacity_provider_strategy.as_ref(), input.launch_type.as_deref());
    let strategy = capacity::effective(&cluster, given.0, given.1)?;
    let launch_type = parse_launch_type(given.1, input.network_configuration.is_some())?;
    let overrides = convert::overrides::parse(input.overrides.as_ref(), &definition)?;
    let group = group(input.group.as_deref(), &definition)?;
    let mut request = Request::new(&definition, overrides.as_ref(), &group, launch_type)
        .map_err(|error| invalid(error.to_string()))?;
    let how = Provisioning {
        constraints: convert::placement::constraints(input.placement_constraints.as_ref(), Some(&definition))?,
        strategies: convert::placement::strategies(input.placement_strategy.as_ref())?,
    };
    request.constrain(&how.constraints).map_err(|error| invalid(error.to_string()))?;
    for strategy in &how.strategies {
        request.strategies.push(Strategy::parse(strategy).map_err(|error| invalid(error.to_string()))?);
    }
    request.providers = scheduler::providers(ctx.snapshot, &ctx.scope, &strategy, std::iter::empty());

    let mut scheduler = Scheduler::new(ctx.indexes, ctx.snapshot, &ctx.scope, &cluster.name, ctx.ids.number());
    reconcilers::daemon::keep_room(&mut scheduler, ctx.snapshot, &ctx.scope, &cluster.name);
    let scales = request.providers.iter().any(|provider| provider.scales);
    if scheduler.is_empty() && !scales {
        return Err(invalid("No Container Instances were found in your cluster."));
    }
    let mut tags = convert::tags::parse(input.tags.as_ref())?;
    if input.propagate_tags.as_deref() == Some("TASK_DEFINITION") {
        tags = model::tag::merged(&definition.tags, &tags);
    }
    let launch = Launch {
        definition: &definition,
        request: &request,
        cluster: &cluster.name,
        launch_type,
        started_by: input.started_by.clone().unwrap_or_default(),
        overrides: overrides.clone(),
        tags,
        execute_command_enabled: input.enable_execute_command.unwrap_or_default(),
    };
    let waiting = if scales { waiting(ctx.snapshot, &ctx.scope, &cluster.name).count() } else { WAITING_MAX };
    let mut may_wait = WAITING_MAX.saturating_sub(waiting);
    let (mut changes, mut tasks, mut failures) = (Changes::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        match scheduler.place(&request) {
            Some(placement) => tasks.push(launch.record(&placement, ctx.snapshot, &mut changes, ctx.ids, ctx.now)),
            None if may_wait > 0
                && let Some(provider) = scheduler.waits_for(&request) =>
            {
                may_wait -= 1;
                let how = (provider, how.clone());
                tasks.push(launch.wait(how, ctx.snapshot, &mut changes, ctx.ids, ctx.now));
            }
            None => {
                failures.extend(closest(scheduler.explain(&request)));
                // Nothing gets free within one call, so the tasks that are left would meet the same rejections; but another
                // capacity provider may have room.
                if request.providers.is_empty() {
                    break;
                }
            }
        }
    }
    failures.truncate(FAILURES_MAX);
    if let Some(token) = token
        && !tasks.is_empty()
    {
        token.remember(ctx, &mut changes, tasks.iter().map(|task| task.id.clone()).collect());
    }
    let include = Some(vec!["TAGS".to_owned()]);
    let tasks = tasks.iter().map(|task| views::task(ctx.snapshot, task, include.as_ref())).collect();
    Ok((changes, RunTaskResponse { tasks: Some(tasks), failures: Some(failures) }))
}

/// What was answered to the token before, as it is now.
fn again(ctx: &Ctx<'_>, cluster: &str, ids: &[String]) -> RunTaskResponse {
    let include = Some(vec!["TAGS".to_owned()]);
    let tasks = ids
        .iter()
        .filter_map(|id| ctx.snapshot.tasks.get(&format!("{}/{cluster}/{id}", ctx.scope)))
        .map(|task| views::task(ctx.snapshot, task, include.as_ref()))
        .collect();
    RunTaskResponse { tasks: Some(tasks), failures: Some(Vec::new()) }
}

fn count(given: Option<i32>) -> Result<usize, Error> {
    match given.unwrap_or(1) {
        count @ 1.. if count as usize <= TASKS_PER_CALL_MAX => Ok(count as usize),
        count @ ..=0 => Err(invalid(format!("Count must be at least 1, but was {count}."))),
        _ => Err(invalid(format!("Count cannot be greater than {TASKS_PER_CALL_MAX}."))),
    }
}

/// `family:NAME` unless something else was given. Groups of services and daemons are made by their schedulers alone.
pub(crate) fn group(given: Option<&str>, definition: &TaskDefinition) -> Result<String, Error> {
    match given {
        None | Some("") => Ok(format!("family:{}", definition.family)),
        Some(group) if group.starts_with("service:") || group.starts_with(DAEMON_GROUP) => {
            Err(invalid("Invalid namespace for group."))
        }
        Some(group) => Ok(group.to_owned()),
    }
}

/// EC2 when nothing is said, as on AWS for a cluster without a default strategy.
pub(crate) fn parse_launch_type(given: Option<&str>, has_network_configuration: bool) -> Result<LaunchType, Error> {
    if has_network_configuration {
        // Until awsvpc is there, no task can be of that mode; AWS says this of every other mode.
        return Err(invalid("Network Configuration is not valid for the given networkMode of this task definition."));
    }
    match given.unwrap_or("EC2") {
        "EC2" => Ok(LaunchType::Ec2),
        "EXTERNAL" => Ok(LaunchType::External),
        kind @ ("FARGATE" | "MANAGED_INSTANCES") => Err(unsupported(&format!("The launch type {kind}"))),
        other => Err(invalid(format!("Unknown launch type: {other}"))),
    }
}

/// The failures of the instances that came closest first, and no more of them than anybody reads.
fn closest(explanation: Explanation) -> Vec<api_ecs::Failure> {
    explanation.by_closeness().into_iter().take(FAILURES_MAX).map(failure).collect()
}

/// Source: Amazon ECS API Reference, `ConflictException`: `resourceIds` are the task ARNs that belong to the token.
fn conflict(ctx: &Ctx<'_>, cluster: &str, ids: &[String]) -> Error {
    let message = "The RunTask request could not be processed due to conflicts. The provided clientToken is already in use with \
                   a different RunTask request.";
    let arn = |id: &String| Document::String(TaskArn::new(&ctx.scope, cluster, id).to_string());
    let arns = ids.iter().map(arn).collect();
    Error::new(ErrorCode::ConflictException, message).with_member("resourceIds", Document::List(arns))
}

/// One failure for each instance that did not fit: its ARN, the reason AWS gives, and the numbers behind it.
pub(crate) fn failure(rejection: Rejection) -> api_ecs::Failure {
    views::failure_with_detail(&rejection.instance, rejection.why.reason(), rejection.why.to_string())
}
