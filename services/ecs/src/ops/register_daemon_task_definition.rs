use api_ecs::{
    RegisterDaemonTaskDefinitionRequest, RegisterDaemonTaskDefinitionResponse, RegisterTaskDefinitionRequest,
};
use model::daemon::DAEMON_FAMILY;

use super::create_cluster::valid_name;
use super::register_task_definition::define;
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{client, unsupported};

/// A task definition like any other, in a family that only daemons see.
pub(crate) fn apply(
    input: &RegisterDaemonTaskDefinitionRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<RegisterDaemonTaskDefinitionResponse> {
    let family = input.family.as_deref().unwrap_or_default();
    if !valid_name(family) {
        return Err(client(
            "Family contains invalid characters or exceeds 255 characters. Use letters, numbers, underscores and hyphens.",
        ));
    }
    if input.volumes.iter().flatten().any(|volume| volume.log_driver_volume_configuration.is_some()) {
        return Err(unsupported("logDriverVolumeConfiguration"));
    }
    let containers = input.container_definitions.iter().flatten().map(convert::daemon::container);
    let request = RegisterTaskDefinitionRequest {
        family: input.family.clone(),
        task_role_arn: input.task_role_arn.clone(),
        execution_role_arn: input.execution_role_arn.clone(),
        container_definitions: Some(containers.collect()),
        cpu: input.cpu.clone(),
        memory: input.memory.clone(),
        volumes: input.volumes.as_ref().map(|volumes| volumes.iter().map(convert::daemon::volume).collect()),
        tags: input.tags.clone(),
        pid_mode: convert::daemon::of_the_host(input.pid_mode.as_deref()),
        ipc_mode: convert::daemon::of_the_host(input.ipc_mode.as_deref()),
        ..Default::default()
    };
    let (definition, changes) = define(&request, format!("{DAEMON_FAMILY}{family}"), ctx)?;
    let arn = definition.arn().to_string();
    Ok((changes, RegisterDaemonTaskDefinitionResponse { daemon_task_definition_arn: Some(arn) }))
}
