use api_ecs::{CreateTaskSetRequest, CreateTaskSetResponse};
use model::{DeploymentController, Service, ServiceStatus, StabilityStatus, TaskSet, TaskSetStatus};
use state::Changes;

use super::run_task::parse_launch_type;
use crate::convert;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::{Error, ErrorCode, invalid, unsupported};
use crate::idempotency::{Token, Used};
use crate::limits::{TASK_SET_TOKEN_CHARS_MAX, TASK_SETS_PER_SERVICE_MAX};
use crate::{capacity, lookup, views};

/// Tasks of another definition beside those that a service has; how many is said by their scale.
pub(crate) fn apply(input: &CreateTaskSetRequest, ctx: &mut Ctx<'_>) -> Applied<CreateTaskSetResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut service = external_service(ctx, &cluster, input.service.as_deref())?;
    let given = (input.client_token.as_deref(), TASK_SET_TOKEN_CHARS_MAX);
    let within = format!("{}/{}", cluster.name, service.name);
    let token = Token::read(ctx, ("CreateTaskSet", &within), given, input)?;
    let tags_shown = Some(vec!["TAGS".to_owned()]);
    let not_idempotent = || invalid("Creation of task set was not idempotent.");
    match token.as_ref().map(|token| token.used(ctx)) {
        Some(Used::Before(ids)) => {
            let known = service.task_sets.iter().find(|set| ids.contains(&set.id)).ok_or_else(not_idempotent)?;
            let shown = views::task_set(ctx.snapshot, &service, known, tags_shown.as_ref());
            return unchanged(CreateTaskSetResponse { task_set: Some(shown) });
        }
        Some(Used::Otherwise(_)) => return Err(not_idempotent()),
        Some(Used::Never) | None => {}
    }
    refuse_what_is_not_there_yet(input)?;
    if service.task_sets.len() >= TASK_SETS_PER_SERVICE_MAX {
        return Err(invalid(format!(
            "{TASK_SETS_PER_SERVICE_MAX} deployments exist on the service. Unable to create new TaskSet since this exceeds the \
             maximum limit."
        )));
    }
    let definition = lookup::runnable_task_definition(ctx, input.task_definition.as_deref())?;
    let named = input.launch_type.as_deref();
    let strategy = capacity::effective(&cluster, input.capacity_provider_strategy.as_ref(), named)?;
    let launch_type = parse_launch_type(named, input.network_configuration.is_some())?;
    let set = TaskSet {
        id: format!("ecs-svc/{}", ctx.ids.digits()),
        external_id: input.external_id.clone(),
        status: TaskSetStatus::Active,
        family: definition.family.clone(),
        revision: definition.revision,
        launch_type: strategy.is_empty().then_some(launch_type),
        capacity_provider_strategy: strategy,
        scale_percent: convert::service::scale(input.scale.as_ref())?,
        stability: StabilityStatus::Stabilizing,
        stability_at: ctx.now,
        created_at: ctx.now,
        updated_at: ctx.now,
        tags: convert::tags::parse(input.tags.as_ref())?,
    };
    let mut changes = Changes::new();
    if let Some(token) = token {
        token.remember(ctx, &mut changes, vec![set.id.clone()]);
    }
    let shown = views::task_set(ctx.snapshot, &service, &set, tags_shown.as_ref());
    service.task_sets.push(set);
    changes.put(ctx.snapshot, &service);
    Ok((changes, CreateTaskSetResponse { task_set: Some(shown) }))
}

/// A service that somebody else deploys.
pub(super) fn external_service(ctx: &Ctx<'_>, cluster: &model::Cluster, named: Option<&str>) -> Result<Service, Error> {
    let known = lookup::service(ctx, cluster, named.unwrap_or_default())
        .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))?;
    if known.status != ServiceStatus::Active {
        return Err(Error::new(ErrorCode::ServiceNotActiveException, "Service was not ACTIVE."));
    }
    if known.deployment_controller != DeploymentController::External {
        return Err(invalid(
            "Amazon ECS only supports task set management on services configured to use external deployment controllers.",
        ));
    }
    Ok(Service::clone(&known))
}

/// Where the task set that is named by its id or its ARN stands in the service.
pub(super) fn position(ctx: &Ctx<'_>, service: &Service, named: Option<&str>) -> Result<usize, Error> {
    let id = lookup::task_set_id(ctx, service, named.unwrap_or_default());
    id.and_then(|id| service.task_sets.iter().position(|set| set.id == id))
        .ok_or_else(|| Error::new(ErrorCode::TaskSetNotFoundException, "The specified task set was not found."))
}

fn refuse_what_is_not_there_yet(input: &CreateTaskSetRequest) -> Result<(), Error> {
    fn given<T>(list: &Option<Vec<T>>) -> bool {
        list.as_ref().is_some_and(|list| !list.is_empty())
    }
    if given(&input.load_balancers) {
        return Err(unsupported("loadBalancers"));
    }
    if given(&input.service_registries) {
        return Err(unsupported("serviceRegistries"));
    }
    if input.platform_version.is_some() {
        return Err(invalid("Platform version is only valid for the launch type FARGATE."));
    }
    Ok(())
}
