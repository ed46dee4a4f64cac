use api_ecs::{Error, ErrorCode, UpdateServiceRequest, UpdateServiceResponse};
use model::{LaunchType, ServiceStatus};
use state::Changes;

use super::create_service::desired_count;
use super::create_service::kind::{Kind, check_update};
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{invalid, unsupported};
use crate::{capacity, deploy, lookup, views};

/// What is not given stays. Another task definition, or `forceNewDeployment`, begins a deployment.
pub(crate) fn apply(input: &UpdateServiceRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateServiceResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let known = lookup::service(ctx, &cluster, input.service.as_deref().unwrap_or_default())
        .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))?;
    if known.status != ServiceStatus::Active {
        return Err(Error::new(ErrorCode::ServiceNotActiveException, "Service was not ACTIVE."));
    }
    check_update(input, &known)?;
    refuse_what_is_not_there_yet(input)?;
    let mut service = (*known).clone();
    if let Some(count) = desired_count(input.desired_count)? {
        service.desired_count = count;
    }
    service.deployment_configuration = convert::service::deployment_configuration(
        input.deployment_configuration.as_ref(),
        service.deployment_configuration.clone(),
    )?;
    Kind::of_service(&service).check_strategy(&service.deployment_configuration)?;
    if input.placement_constraints.is_some() {
        service.placement_constraints = convert::placement::constraints(input.placement_constraints.as_ref(), None)?;
    }
    if input.placement_strategy.is_some() {
        service.placement_strategy = convert::placement::strategies(input.placement_strategy.as_ref())?;
    }
    let mut is_moved = false;
    if let Some(given) = input.capacity_provider_strategy.as_ref() {
        let strategy = capacity::effective(&cluster, Some(given), None)?;
        is_moved = strategy != service.capacity_provider_strategy;
        service.launch_type = strategy.is_empty().then_some(service.launch_type.unwrap_or(LaunchType::Ec2));
        service.capacity_provider_strategy = strategy;
    }
    if let Some(seconds) =
        convert::number::amount(input.health_check_grace_period_seconds, "healthCheckGracePeriodSeconds")?
    {
        service.health_check_grace_period_seconds = Some(seconds);
    }
    service.execute_command_enabled = input.enable_execute_command.unwrap_or(service.execute_command_enabled);
    service.ecs_managed_tags_enabled = input.enable_ecs_managed_tags.unwrap_or(service.ecs_managed_tags_enabled);
    if let Some(from) = &input.propagate_tags {
        service.propagate_tags = Some(from.clone()).filter(|from| from != "NONE");
    }

    service.availability_zone_rebalancing =
        convert::rebalancing::of_updated(input.availability_zone_rebalancing.as_deref(), &service)?;

    let mut changes = Changes::new();
    let definition = match input.task_definition.as_deref() {
        Some(text) => Some(lookup::runnable_task_definition(ctx, Some(text))?),
        None if is_moved || input.force_new_deployment == Some(true) => {
            let primary = service.primary().ok_or_else(|| invalid("The service has no deployment."))?;
            let name = format!("{}/{}/{:010}", ctx.scope, primary.family, primary.revision);
            ctx.snapshot.task_definitions.get(&name).cloned()
        }
        None => None,
    };
    if let Some(definition) = definition {
        let same = service
            .primary()
            .is_some_and(|primary| primary.family == definition.family && primary.revision == definition.revision);
        if !same || is_moved || input.force_new_deployment == Some(true) {
            deploy::begin(ctx, &mut service, &definition, &mut changes);
        }
    }
    if service != *known {
        changes.put(ctx.snapshot, &service);
    }
    Ok((changes, UpdateServiceResponse { service: Some(views::service(ctx.snapshot, &service, None)) }))
}

fn refuse_what_is_not_there_yet(input: &UpdateServiceRequest) -> Result<(), Error> {
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
    if input.network_configuration.is_some() {
        return Err(invalid("Network Configuration is not valid for the given networkMode of this task definition."));
    }
    if input.service_connect_configuration.as_ref().is_some_and(|connect| connect.enabled == Some(true)) {
        return Err(unsupported("serviceConnectConfiguration"));
    }
    Ok(())
}
