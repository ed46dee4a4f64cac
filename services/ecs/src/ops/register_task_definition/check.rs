//! What a task definition must be to be registered, in the words of ECS.

use std::collections::BTreeSet;

use model::container_definition::{ContainerDefinition, LogConfiguration, PortMapping};
use model::probe::HEALTH;
use model::task_definition::NetworkMode;
use model::{MemoryMib, Probes, TaskDefinition};

use super::super::create_cluster::valid_name;
use super::firelens;
use crate::error::{Error, client, unsupported};
use crate::limits::{CONTAINERS_MAX, MEMORY_MIB_MIN, TIMEOUT_SECONDS_MAX};

/// Source: Amazon ECS API Reference, `LogConfiguration.logDriver`, on EC2.
const LOG_DRIVERS: &[&str] =
    &["awslogs", "fluentd", "gelf", "journald", "json-file", "none", "splunk", "syslog", "awsfirelens"];

pub(super) fn definition(definition: &TaskDefinition) -> Result<(), Error> {
    if definition.containers.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    if definition.containers.len() > CONTAINERS_MAX {
        return Err(client(format!("Too many containers: at most {CONTAINERS_MAX} are allowed in a task definition.")));
    }
    for compatibility in &definition.requires_compatibilities {
        match compatibility.as_str() {
            "EC2" | "EXTERNAL" => {}
            "MANAGED_INSTANCES" => return Err(unsupported("The compatibility MANAGED_INSTANCES")),
            other => return Err(client(format!("Unrecognized compatibility: {other}"))),
        }
    }
    let mut names = BTreeSet::new();
    for container in &definition.containers {
        one(container, definition)?;
        if !names.insert(&container.name) {
            return Err(client(format!("Container name '{}' is used more than once.", container.name)));
        }
    }
    if !definition.containers.iter().any(|container| container.essential) {
        return Err(client("Task definition does not have any essential containers."));
    }
    firelens::check(definition)?;
    volumes(definition)?;
    for container in &definition.containers {
        references(container, definition)?;
    }
    no_cycle(definition)?;
    sizes(definition)
}

fn one(container: &ContainerDefinition, definition: &TaskDefinition) -> Result<(), Error> {
    let name = &container.name;
    if name.is_empty() {
        return Err(client("Container.name should not be null or empty."));
    }
    if !valid_name(name) {
        return Err(client(format!(
            "Invalid container name '{name}': use up to 255 letters, numbers, hyphens and underscores."
        )));
    }
    if container.image.is_empty() {
        return Err(client("Container.image should not be null or empty."));
    }
    if container.image.len() > 255 || container.image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(client("Container.image contains invalid characters."));
    }
    if container.memory.is_none() && container.memory_reservation.is_none() && definition.memory.is_none() {
        return Err(client(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        )));
    }
    let too_small = |memory: Option<MemoryMib>| memory.is_some_and(|memory| (memory.0 as i32) < MEMORY_MIB_MIN);
    if too_small(container.memory) || too_small(container.memory_reservation) {
        return Err(client(format!(
            "Invalid setting for container '{name}'. Memory must be at least {MEMORY_MIB_MIN} MiB."
        )));
    }
    if let (Some(hard), Some(soft)) = (container.memory, container.memory_reservation)
        && soft > hard
    {
        return Err(client(format!(
            "Invalid setting for container '{name}'. The value for 'memory' must be greater than or equal to 'memoryReservation'."
        )));
    }
    for timeout in [container.start_timeout_seconds, container.stop_timeout_seconds].into_iter().flatten() {
        if timeout > TIMEOUT_SECONDS_MAX as u32 {
            return Err(client(format!(
                "Invalid timeout for container '{name}': at most {TIMEOUT_SECONDS_MAX} seconds."
            )));
        }
    }
    if let Some(logs) = &container.log_configuration {
        log_configuration(logs)?;
    }
    probes(container)?;
    let mut taken = BTreeSet::new();
    for mapping in &container.port_mappings {
        port_mapping(mapping, definition.effective_network_mode())?;
        if let Some(port) = mapping.host_port.filter(|port| *port != 0)
            && !taken.insert((port, mapping.protocol))
        {
            return Err(client(format!("Port {port} is mapped more than once in container '{name}'.")));
        }
    }
    Ok(())
}

/// Labels of ours say what the agent asks the container; what it cannot ask is told here, not by a task that never gets well.
fn probes(container: &ContainerDefinition) -> Result<(), Error> {
    let name = &container.name;
    let probes = Probes::parse(&container.docker_labels)
        .map_err(|error| client(format!("Invalid setting for container '{name}'. {error}")))?;
    if probes.health.is_some() && container.health_check.is_some() {
        return Err(client(format!(
            "Invalid setting for container '{name}'. healthCheck and docker labels {HEALTH}* exclude each other."
        )));
    }
    Ok(())
}

fn port_mapping(mapping: &PortMapping, mode: NetworkMode) -> Result<(), Error> {
    if let Some(range) = &mapping.container_port_range {
        return port_range(mapping, range, mode);
    }
    match mode {
        NetworkMode::None => Err(client("When networkMode=none, port mappings are not allowed.")),
        NetworkMode::Host if mapping.host_port.is_some_and(|port| Some(port) != mapping.container_port) => {
            Err(client("When networkMode=host, the host ports and container ports in port mappings must match."))
        }
        _ => Ok(()),
    }
}

/// Source: Amazon ECS API Reference, `PortMapping.containerPortRange`: with `bridge` and `awsvpc`, and without `hostPort`, which is
/// chosen by the agent.
fn port_range(mapping: &PortMapping, range: &str, mode: NetworkMode) -> Result<(), Error> {
    let ends = range.split_once('-').and_then(|(first, last)| {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        Some((port(first)?, port(last)?))
    });
    if ends.is_none_or(|(first, last)| first > last) {
        return Err(client(format!(
            "Invalid containerPortRange '{range}': it must be like 9000-9010, between 1 and 65535."
        )));
    }
    if mapping.container_port.is_some_and(|port| port != 0) || mapping.host_port.is_some_and(|port| port != 0) {
        return Err(client("containerPortRange cannot be combined with containerPort or hostPort."));
    }
    match mode {
        NetworkMode::Bridge => Ok(()),
        _ => Err(client("containerPortRange is supported when networkMode is bridge or awsvpc.")),
    }
}

fn log_configuration(logs: &LogConfiguration) -> Result<(), Error> {
    if !LOG_DRIVERS.contains(&logs.driver.as_str()) {
        return Err(client(format!("Unrecognized log driver: {}", logs.driver)));
    }
    if logs.driver == "awslogs" {
        let missing: Vec<_> =
            ["awslogs-region", "awslogs-group"].into_iter().filter(|name| logs.option(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(client(format!("Log driver awslogs requires options: {}", missing.join(", "))));
        }
        match logs.option("mode") {
            None | Some("blocking" | "non-blocking") => {}
            Some(other) => return Err(client(format!("Invalid mode for log driver awslogs: {other}"))),
        }
    }
    Ok(())
}

fn volumes(definition: &TaskDefinition) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for volume in &definition.volumes {
        if volume.name.is_empty() || !valid_name(&volume.name) {
            return Err(client(format!("Invalid volume name: '{}'.", volume.name)));
        }
        if !names.insert(&volume.name) {
            return Err(client(format!("Duplicate volume name: {}.", volume.name)));
        }
    }
    Ok(())
}

/// Every name that a container uses must exist in the same definition.
fn references(container: &ContainerDefinition, definition: &TaskDefinition) -> Result<(), Error> {
    for point in &container.mount_points {
        if !definition.volumes.iter().any(|volume| volume.name == point.source_volume) {
            return Err(client(format!("Unknown volume '{}'.", point.source_volume)));
        }
        if !point.container_path.starts_with('/') {
            return Err(client(format!("Invalid container path '{}': it must be absolute.", point.container_path)));
        }
    }
    for from in &container.volumes_from {
        if definition.container(&from.source_container).is_none() {
            return Err(client(format!("Unknown container '{}' in volumesFrom.", from.source_container)));
        }
    }
    for link in &container.links {
        let target = link.split(':').next().unwrap_or_default();
        if definition.container(target).is_none() {
            return Err(client(format!("Unknown container '{target}' in links.")));
        }
        if definition.effective_network_mode() != NetworkMode::Bridge {
            return Err(client("Links are not supported when networkMode is not bridge."));
        }
    }
    for dependency in &container.depends_on {
        let Some(target) = definition.container(&dependency.container) else {
            return Err(client(format!("Unknown container '{}' in dependsOn.", dependency.container)));
        };
        match dependency.condition.as_str() {
            "START" => {}
            "COMPLETE" | "SUCCESS" if target.essential => {
                return Err(client(
                    "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
                ));
            }
            "COMPLETE" | "SUCCESS" => {}
            "HEALTHY" if !target.has_health_check() => {
                return Err(client(format!(
                    "Container '{}' is depended on as HEALTHY but has no health check.",
                    target.name
                )));
            }
            "HEALTHY" => {}
            other => return Err(client(format!("Unrecognized dependency condition: {other}"))),
        }
    }
    Ok(())
}

/// Takes away containers that wait for nothing that is left, until none or a ring remains.
fn no_cycle(definition: &TaskDefinition) -> Result<(), Error> {
    let mut waiting: Vec<&ContainerDefinition> = definition.containers.iter().collect();
    loop {
        let names: BTreeSet<&str> = waiting.iter().map(|container| container.name.as_str()).collect();
        let before = waiting.len();
        waiting.retain(|container| {
            let links = container.links.iter().filter_map(|link| link.split(':').next());
            let volumes = container.volumes_from.iter().map(|from| from.source_container.as_str());
            let others = container.depends_on.iter().map(|one| one.container.as_str());
            others.chain(links).chain(volumes).any(|name| names.contains(name))
        });
        if waiting.is_empty() {
            return Ok(());
        }
        if waiting.len() == before {
            return Err(client(format!("Container '{}' is part of a circular dependency.", waiting[0].name)));
        }
    }
}

fn sizes(definition: &TaskDefinition) -> Result<(), Error> {
    if let Some(task) = definition.cpu {
        let sum: model::CpuUnits = definition.containers.iter().map(|container| container.cpu).sum();
        if sum > task {
            return Err(client(
                "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.",
            ));
        }
    }
    if let Some(task) = definition.memory {
        let sum: MemoryMib = definition.containers.iter().map(ContainerDefinition::reserved_memory).sum();
        if sum > task || definition.containers.iter().any(|container| container.memory.is_some_and(|one| one > task)) {
            return Err(client(
                "Invalid setting for container. Container memory must not be greater than the value of the task 'memory'.",
            ));
        }
    }
    Ok(())
}
