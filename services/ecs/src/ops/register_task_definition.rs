use api_ecs::{RegisterTaskDefinitionRequest, RegisterTaskDefinitionResponse};
use model::task_definition::{NetworkMode, RuntimePlatform};
use model::{Family, TaskDefinition, TaskDefinitionStatus};
use state::Changes;

use super::create_cluster::valid_name;
use crate::convert;
use crate::convert::number::{task_cpu, task_memory};
use crate::ctx::{Applied, Ctx};
use crate::error::{Error, client, unsupported};
use crate::limits::TASK_DEFINITION_BYTES_MAX;
use crate::views;

mod capabilities;
mod check;
mod fargate;
mod firelens;
pub(crate) mod settings;

pub(crate) fn apply(
    input: &RegisterTaskDefinitionRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<RegisterTaskDefinitionResponse> {
    let family = input.family.clone().unwrap_or_default();
    if !valid_name(&family) {
        return Err(client(
            "Family contains invalid characters or exceeds 255 characters. Use letters, numbers, underscores and hyphens.",
        ));
    }
    let (definition, changes) = define(input, family, ctx)?;
    let tags = convert::tags::view(&definition.tags);
    Ok((
        changes,
        RegisterTaskDefinitionResponse { task_definition: Some(views::task_definition(&definition)), tags: Some(tags) },
    ))
}

/// The next revision of a family.
pub(crate) fn define(
    input: &RegisterTaskDefinitionRequest,
    family: String,
    ctx: &mut Ctx<'_>,
) -> Result<(TaskDefinition, Changes), Error> {
    if fargate::is_asked_for(input) {
        fargate::check(input)?;
        return Err(unsupported("The compatibility FARGATE"));
    }
    refuse_what_is_not_there_yet(input)?;
    let mut definition = TaskDefinition {
        scope: ctx.scope.clone(),
        revision: next_revision(ctx, &family),
        family,
        status: TaskDefinitionStatus::Active,
        containers: Vec::new(),
        volumes: Vec::new(),
        network_mode: network_mode(input.network_mode.as_deref())?,
        task_role_arn: input.task_role_arn.clone(),
        execution_role_arn: input.execution_role_arn.clone(),
        placement_constraints: Vec::new(),
        requires_compatibilities: input.requires_compatibilities.clone().unwrap_or_default(),
        compatibilities: vec!["EXTERNAL".into(), "EC2".into()],
        requires_attributes: Vec::new(),
        cpu: size(input.cpu.as_deref(), task_cpu, "cpu")?,
        memory: size(input.memory.as_deref(), task_memory, "memory")?,
        pid_mode: input.pid_mode.clone(),
        ipc_mode: input.ipc_mode.clone(),
        runtime_platform: input.runtime_platform.as_ref().map(|platform| RuntimePlatform {
            cpu_architecture: platform.cpu_architecture.clone(),
            operating_system_family: platform.operating_system_family.clone(),
        }),
        enable_fault_injection: input.enable_fault_injection,
        registered_at: ctx.now,
        registered_by: ctx.caller.principal.arn.clone(),
        deregistered_at: None,
        tags: convert::tags::parse(input.tags.as_ref())?,
    };
    for container in input.container_definitions.iter().flatten() {
        definition.containers.push(convert::container_definition::parse(container)?);
    }
    for volume in input.volumes.iter().flatten() {
        definition.volumes.push(convert::volume::parse(volume)?);
    }
    definition.placement_constraints = convert::placement::of_definition(input.placement_constraints.as_ref())?;
    fill_in_host_ports(&mut definition);
    check::definition(&definition)?;
    settings::of_task(&definition)?;
    definition.requires_attributes = capabilities::required(&definition);
    within_size(&definition)?;

    let mut changes = Changes::new();
    let last = Family { scope: ctx.scope.clone(), name: definition.family.clone(), last_revision: definition.revision };
    changes.put(ctx.snapshot, &last);
    changes.put(ctx.snapshot, &definition);
    Ok((definition, changes))
}

/// A number is never used twice, not even after its revision was deleted.
fn next_revision(ctx: &Ctx<'_>, family: &str) -> u32 {
    ctx.snapshot.families.get(&format!("{}/{family}", ctx.scope)).map_or(1, |family| family.last_revision + 1)
}

fn refuse_what_is_not_there_yet(input: &RegisterTaskDefinitionRequest) -> Result<(), Error> {
    if input.proxy_configuration.is_some() {
        return Err(unsupported("proxyConfiguration"));
    }
    if input.inference_accelerators.as_ref().is_some_and(|list| !list.is_empty()) {
        return Err(unsupported("inferenceAccelerators"));
    }
    if input.ephemeral_storage.is_some() {
        return Err(unsupported("ephemeralStorage"));
    }
    if input.trusted_execution_configuration.is_some() {
        return Err(unsupported("trustedExecutionConfiguration"));
    }
    let system = input.runtime_platform.as_ref().and_then(|platform| platform.operating_system_family.as_deref());
    if system.is_some_and(|system| system != "LINUX") {
        return Err(unsupported("An operating system other than LINUX"));
    }
    Ok(())
}

fn network_mode(given: Option<&str>) -> Result<Option<NetworkMode>, Error> {
    Ok(match given {
        None | Some("") => None,
        Some("bridge") => Some(NetworkMode::Bridge),
        Some("host") => Some(NetworkMode::Host),
        Some("none") => Some(NetworkMode::None),
        Some("awsvpc") => return Err(unsupported("The network mode awsvpc")),
        Some(other) => return Err(client(format!("Unrecognized network mode: {other}"))),
    })
}

fn size<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>, what: &str) -> Result<Option<T>, Error> {
    text.map(|text| read(text).ok_or_else(|| client(format!("Invalid '{what}' setting for task")))).transpose()
}

/// In `host` mode a mapping without a host port has the container's, and is described with it.
fn fill_in_host_ports(definition: &mut TaskDefinition) {
    if definition.effective_network_mode() != NetworkMode::Host {
        return;
    }
    for mapping in definition.containers.iter_mut().flat_map(|container| &mut container.port_mappings) {
        if mapping.host_port.unwrap_or_default() == 0 {
            mapping.host_port = mapping.container_port;
        }
    }
}

/// Source: Amazon ECS service quotas, "Task definition size": 64 KiB.
fn within_size(definition: &TaskDefinition) -> Result<(), Error> {
    let length = state::encode(definition).len();
    if length > TASK_DEFINITION_BYTES_MAX {
        return Err(client(format!(
            "Actual length: '{length}'. Max allowed length is '{TASK_DEFINITION_BYTES_MAX}' bytes."
        )));
    }
    Ok(())
}
