pub(crate) mod kind;

use api_ecs::{CreateServiceRequest, CreateServiceResponse};
use model::{Service, ServiceStatus};
use state::Changes;

use self::kind::Kind;
use super::create_cluster::valid_name;
use super::run_task::parse_launch_type;
use crate::convert;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::{Error, invalid, unsupported};
use crate::idempotency::{Token, Used};
use crate::limits::{CREATE_SERVICE_TOKEN_CHARS_MAX, TASKS_PER_SERVICE_MAX};
use crate::{capacity, deploy, lookup, views};

/// The name, or the client token, belongs to another request.
const NOT_IDEMPOTENT: &str = "Creation of service was not idempotent.";

pub(crate) fn apply(input: &CreateServiceRequest, ctx: &mut Ctx<'_>) -> Applied<CreateServiceResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let given = (input.client_token.as_deref(), CREATE_SERVICE_TOKEN_CHARS_MAX);
    let token = Token::read(ctx, ("CreateService", &cluster.name), given, input)?;
    let used = token.as_ref().map(|token| token.used(ctx));
    let name = input.service_name.clone().unwrap_or_default();
    if !valid_name(&name) {
        return Err(invalid(
            "Service names can contain up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens.",
        ));
    }
    let tags_shown = Some(vec!["TAGS".to_owned()]);
    let known = lookup::service(ctx, &cluster, &name);
    if let Some(Used::Otherwise(_)) = used {
        return Err(invalid(NOT_IDEMPOTENT));
    }
    if let Some(known) = known.as_ref().filter(|known| known.status != ServiceStatus::Inactive) {
        // The same request twice makes the service once; another request for the same name is refused.
        if let Some(Used::Before(_)) = used {
            let service = views::service(ctx.snapshot, known, tags_shown.as_ref());
            return unchanged(CreateServiceResponse { service: Some(service) });
        }
        return Err(match known.status {
            ServiceStatus::Draining => invalid("Unable to Start a service that is still Draining."),
            _ => invalid(NOT_IDEMPOTENT),
        });
    }
    refuse_what_is_not_there_yet(input)?;
    let kind = Kind::of(input)?;
    let (mut definition, mut launch_type) = (None, None);
    let mut capacity_provider_strategy = Vec::new();
    if !kind.is_external() {
        definition = Some(lookup::runnable_task_definition(ctx, input.task_definition.as_deref())?);
        let has_network_configuration = input.network_configuration.is_some();
        let (given, named) = (input.capacity_provider_strategy.as_ref(), input.launch_type.as_deref());
        if !kind.is_daemon() {
            capacity_provider_strategy = capacity::effective(&cluster, given, named)?;
        }
        let parsed = parse_launch_type(named, has_network_configuration)?;
        launch_type = capacity_provider_strategy.is_empty().then_some(parsed);
    }
    let mut service = Service {
        scope: ctx.scope.clone(),
        cluster: cluster.name.clone(),
        name,
        status: ServiceStatus::Active,
        scheduling_strategy: kind.scheduling_strategy,
        deployment_controller: kind.deployment_controller,
        desired_count: desired_count(input.desired_count)?.unwrap_or(0),
        deployments: Vec::new(),
        last_completed: None,
        task_sets: Vec::new(),
        deployment_configuration: convert::service::deployment_configuration(
            input.deployment_configuration.as_ref(),
            kind.deployment_configuration(),
        )?,
        launch_type,
        capacity_provider_strategy,
        placement_constraints: convert::placement::constraints(
            input.placement_constraints.as_ref(),
            definition.as_deref(),
        )?,
        placement_strategy: convert::placement::strategies(input.placement_strategy.as_ref())?,
        role_arn: input.role.clone(),
        health_check_grace_period_seconds: convert::number::amount(
            input.health_check_grace_period_seconds,
            "healthCheckGracePeriodSeconds",
        )?,
        propagate_tags: input.propagate_tags.clone().filter(|from| from != "NONE"),
        ecs_managed_tags_enabled: input.enable_ecs_managed_tags.unwrap_or_default(),
        execute_command_enabled: input.enable_execute_command.unwrap_or_default(),
        availability_zone_rebalancing: false,
        events: Vec::new(),
        tags: convert::tags::parse(input.tags.as_ref())?,
        created_at: ctx.now,
        created_by: ctx.caller.principal.arn.clone(),
    };
    service.availability_zone_rebalancing =
        convert::rebalancing::of_new(input.availability_zone_rebalancing.as_deref(), &service)?;
    kind.check_strategy(&service.deployment_configuration)?;
    let mut changes = Changes::new();
    if let Some(definition) = definition {
        deploy::begin(ctx, &mut service, &definition, &mut changes);
    }
    changes.put(ctx.snapshot, &service);
    if let Some(token) = token {
        token.remember(ctx, &mut changes, vec![service.name.clone()]);
    }
    let shown = views::service(ctx.snapshot, &service, tags_shown.as_ref());
    Ok((changes, CreateServiceResponse { service: Some(shown) }))
}

pub(crate) fn desired_count(given: Option<i32>) -> Result<Option<u32>, Error> {
    match given {
        None => Ok(None),
        Some(count @ 0..=TASKS_PER_SERVICE_MAX) => Ok(Some(count as u32)),
        Some(count) if count < 0 => Err(invalid("Desired count cannot be negative.")),
        Some(_) => Err(invalid(format!("Desired count cannot be greater than {TASKS_PER_SERVICE_MAX}."))),
    }
}

fn refuse_what_is_not_there_yet(input: &CreateServiceRequest) -> Result<(), Error> {
    fn given<T>(list: &Option<Vec<T>>) -> bool {
        list.as_ref().is_some_and(|list| !list.is_empty())
    }
    if given(&input.load_balancers) {
        return Err(unsupported("loadBalancers"));
    }
    if given(&input.service_registries) {
        return Err(unsupported("serviceRegistries"));
    }
    if given(&input.volume_configurations) {
        return Err(unsupported("volumeConfigurations"));
    }
    if given(&input.gateway_connectors) {
        return Err(unsupported("gatewayConnectors"));
    }
    if input.monitoring.is_some() {
        return Err(unsupported("monitoring"));
    }
    if given(&input.vpc_lattice_configurations) {
        return Err(unsupported("vpcLatticeConfigurations"));
    }
    if input.service_connect_configuration.as_ref().is_some_and(|connect| connect.enabled == Some(true)) {
        return Err(unsupported("serviceConnectConfiguration"));
    }
    Ok(())
}
