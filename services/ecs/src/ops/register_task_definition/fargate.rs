//! What a task definition must be to be validated for Fargate, in the words of ECS. It needs no network: Berth has no Fargate capacity
//! yet, and a definition that is fine is refused for that alone.
//!
//! Source: Amazon ECS API Reference, `RegisterTaskDefinition.memory`; Amazon ECS Developer Guide, "Amazon ECS task definition
//! differences for Fargate". The messages are those that users of AWS report.

use api_ecs::{ContainerDefinition, RegisterTaskDefinitionRequest, Volume};

use crate::convert::number::{task_cpu, task_memory};
use crate::error::{Error, client};

/// CPU units, and the memory that goes with them: from, to, and in steps of how many MiB.
const SIZES: [(u32, u32, u32, u32); 8] = [
    (256, 512, 1024, 512),
    (256, 2048, 2048, 1),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];
/// Source: Amazon ECS API Reference, `LogConfiguration.logDriver`, on Fargate.
const LOG_DRIVERS: [&str; 3] = ["awslogs", "splunk", "awsfirelens"];

/// True when the definition asks to be validated for Fargate.
pub(super) fn is_asked_for(input: &RegisterTaskDefinitionRequest) -> bool {
    input.requires_compatibilities.iter().flatten().any(|one| one == "FARGATE")
}

/// What AWS refuses of it because it is for Fargate.
pub(super) fn check(input: &RegisterTaskDefinitionRequest) -> Result<(), Error> {
    if input.network_mode.as_deref() != Some("awsvpc") {
        return Err(client("Fargate only supports network mode ‘awsvpc’."));
    }
    size(input)?;
    if let Some(mode) = input.pid_mode.as_deref().filter(|mode| !["", "task"].contains(mode)) {
        return Err(client(format!(
            "Tasks using the Fargate launch type do not support pidMode '{mode}'. The supported value for pidMode is 'task'."
        )));
    }
    if input.ipc_mode.as_deref().is_some_and(|mode| !mode.is_empty()) {
        return Err(client("Tasks using the Fargate launch type do not support ipcMode."));
    }
    let has_constraints = input.placement_constraints.as_ref().is_some_and(|list| !list.is_empty());
    supported(&[("constraints", has_constraints)])?;
    input.volumes.iter().flatten().try_for_each(volume)?;
    let has_role = input.execution_role_arn.as_deref().is_some_and(|arn| !arn.is_empty());
    input.container_definitions.iter().flatten().try_for_each(|one| container(one, has_role))
}

fn size(input: &RegisterTaskDefinitionRequest) -> Result<(), Error> {
    let given = |text: &Option<String>, what: &str| {
        let text = text.clone().filter(|text| !text.is_empty());
        text.ok_or_else(|| client(format!("Fargate requires that '{what}' be defined at the task level.")))
    };
    let invalid = |what: &str| client(format!("Invalid '{what}' setting for task."));
    let cpu = task_cpu(&given(&input.cpu, "cpu")?).ok_or_else(|| invalid("cpu"))?.0;
    let memory = task_memory(&given(&input.memory, "memory")?).ok_or_else(|| invalid("memory"))?.0;
    match is_size(cpu, memory) {
        true => Ok(()),
        false => Err(client(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS documentation \
             for the valid values."
        ))),
    }
}

fn is_size(cpu: u32, memory: u32) -> bool {
    let fits = |(units, from, to, step): &(u32, u32, u32, u32)| {
        *units == cpu && (*from..=*to).contains(&memory) && (memory - from).is_multiple_of(*step)
    };
    SIZES.iter().any(fits)
}

fn volume(volume: &Volume) -> Result<(), Error> {
    let path = volume.host.as_ref().and_then(|host| host.source_path.as_deref());
    supported(&[
        ("sourcePath", path.is_some_and(|path| !path.is_empty())),
        ("dockerVolumeConfiguration", volume.docker_volume_configuration.is_some()),
    ])
}

fn container(container: &ContainerDefinition, has_role: bool) -> Result<(), Error> {
    fn any<T>(list: &Option<Vec<T>>) -> bool {
        list.as_ref().is_some_and(|list| !list.is_empty())
    }
    let linux = container.linux_parameters.as_ref();
    supported(&[
        ("privileged", container.privileged == Some(true)),
        ("links", any(&container.links)),
        ("disableNetworking", container.disable_networking == Some(true)),
        ("dnsServers", any(&container.dns_servers)),
        ("dnsSearchDomains", any(&container.dns_search_domains)),
        ("extraHosts", any(&container.extra_hosts)),
        ("dockerSecurityOptions", any(&container.docker_security_options)),
        ("devices", linux.is_some_and(|linux| any(&linux.devices))),
        ("sharedMemorySize", linux.is_some_and(|linux| linux.shared_memory_size.is_some())),
        ("tmpfs", linux.is_some_and(|linux| any(&linux.tmpfs))),
        ("maxSwap", linux.is_some_and(|linux| linux.max_swap.is_some())),
        ("swappiness", linux.is_some_and(|linux| linux.swappiness.is_some())),
    ])?;
    let mut resources = container.resource_requirements.iter().flatten();
    if resources.any(|one| one.r#type.as_deref() == Some("GPU")) {
        return Err(client("Tasks using the Fargate launch type do not support GPU resource requirements."));
    }
    for mapping in container.port_mappings.iter().flatten() {
        if mapping.host_port.is_some_and(|port| port != 0 && Some(port) != mapping.container_port) {
            return Err(client(
                "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
            ));
        }
    }
    let driver = container.log_configuration.as_ref().and_then(|logs| logs.log_driver.as_deref());
    if let Some(driver) = driver.filter(|driver| !LOG_DRIVERS.contains(driver)) {
        return Err(client(format!("Fargate compatible task definitions do not support log driver {driver}")));
    }
    let needs_role =
        |what: &str| client(format!("Fargate requires task definition to have execution role ARN to support {what}."));
    if driver == Some("awslogs") && !has_role {
        return Err(needs_role("log driver awslogs"));
    }
    if container.image.as_deref().is_some_and(|image| image.contains(".dkr.ecr.")) && !has_role {
        return Err(needs_role("ECR images"));
    }
    Ok(())
}

/// The first of these that is there.
fn supported(parameters: &[(&str, bool)]) -> Result<(), Error> {
    match parameters.iter().find(|(_, is_there)| *is_there) {
        Some((name, _)) => Err(client(format!("Fargate compatible task definitions do not support {name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every amount of memory, in MiB, that goes with so much CPU.
    fn memories(cpu: u32) -> Vec<u32> {
        (1..=200_000).filter(|memory| is_size(cpu, *memory)).collect()
    }

    /// Source: Amazon ECS API Reference, `RegisterTaskDefinition.memory`.
    #[test]
    fn the_sizes_are_those_of_the_api_reference() {
        let gib = |from: u32, to: u32, step: u32| -> Vec<u32> {
            (from..=to).step_by(step as usize).map(|count| count * 1024).collect()
        };
        assert_eq!(memories(256), [512, 1024, 2048]);
        assert_eq!(memories(512), [1024, 2048, 3072, 4096]);
        assert_eq!(memories(1024), gib(2, 8, 1));
        assert_eq!(memories(2048), gib(4, 16, 1));
        assert_eq!(memories(4096), gib(8, 30, 1));
        assert_eq!(memories(8192), gib(16, 60, 4));
        assert_eq!(memories(16_384), gib(32, 120, 8));
        let others = (0..=40_000).filter(|cpu| ![256, 512, 1024, 2048, 4096, 8192, 16_384].contains(cpu));
        assert!(
            others
                .flat_map(|cpu| [512, 2048, 16_384, 122_880].map(|memory| (cpu, memory)))
                .all(|(c, m)| !is_size(c, m))
        );
    }
}
