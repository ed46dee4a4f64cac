//! Container definitions, in and out.

use std::collections::BTreeMap;

use model::ContainerDefinition;
use model::container_definition::{
    ContainerDependency, EnvironmentFile, FirelensConfiguration, HealthCheck, LogConfiguration, MountPoint,
    PortMapping, ResourceRequirement, RestartPolicy, Ulimit, VolumeFrom,
};
use model::resources::Protocol;

use super::{linux_parameters, number};
use crate::error::{Error, client, unsupported};

pub(crate) fn parse(given: &api_ecs::ContainerDefinition) -> Result<ContainerDefinition, Error> {
    check_sharing(given.resource_requirements.as_ref())?;
    if given.credential_specs.as_ref().is_some_and(|specs| !specs.is_empty()) {
        return Err(unsupported("credentialSpecs"));
    }
    Ok(ContainerDefinition {
        name: given.name.clone().unwrap_or_default(),
        image: given.image.clone().unwrap_or_default(),
        cpu: number::cpu(given.cpu, "Container.cpu")?.unwrap_or_default(),
        memory: number::memory(given.memory, "Container.memory")?,
        memory_reservation: number::memory(given.memory_reservation, "Container.memoryReservation")?,
        essential: given.essential.unwrap_or(true),
        repository_credentials: given.repository_credentials.as_ref().and_then(|it| it.credentials_parameter.clone()),
        port_mappings: each(&given.port_mappings, port_mapping)?,
        entry_point: given.entry_point.clone().filter(|words| !words.is_empty()),
        command: given.command.clone().filter(|words| !words.is_empty()),
        environment: pairs(&given.environment),
        environment_files: list(&given.environment_files, |file| EnvironmentFile {
            value: file.value.clone().unwrap_or_default(),
            kind: file.r#type.clone().unwrap_or_default(),
        }),
        secrets: secrets(&given.secrets),
        links: given.links.clone().unwrap_or_default(),
        mount_points: list(&given.mount_points, |point| MountPoint {
            source_volume: point.source_volume.clone().unwrap_or_default(),
            container_path: point.container_path.clone().unwrap_or_default(),
            read_only: point.read_only,
        }),
        volumes_from: list(&given.volumes_from, |from| VolumeFrom {
            source_container: from.source_container.clone().unwrap_or_default(),
            read_only: from.read_only,
        }),
        depends_on: list(&given.depends_on, |dependency| ContainerDependency {
            container: dependency.container_name.clone().unwrap_or_default(),
            condition: dependency.condition.clone().unwrap_or_default(),
        }),
        restart_policy: given.restart_policy.as_ref().map(restart_policy).transpose()?,
        start_timeout_seconds: number::amount(given.start_timeout, "Container.startTimeout")?,
        stop_timeout_seconds: number::amount(given.stop_timeout, "Container.stopTimeout")?,
        version_consistency: given.version_consistency.clone(),
        hostname: given.hostname.clone(),
        user: given.user.clone(),
        working_directory: given.working_directory.clone(),
        disable_networking: given.disable_networking,
        privileged: given.privileged,
        readonly_root_filesystem: given.readonly_root_filesystem,
        interactive: given.interactive,
        pseudo_terminal: given.pseudo_terminal,
        dns_servers: given.dns_servers.clone().unwrap_or_default(),
        dns_search_domains: given.dns_search_domains.clone().unwrap_or_default(),
        extra_hosts: list(&given.extra_hosts, |host| {
            (host.hostname.clone().unwrap_or_default(), host.ip_address.clone().unwrap_or_default())
        }),
        docker_security_options: given.docker_security_options.clone().unwrap_or_default(),
        docker_labels: map(&given.docker_labels),
        ulimits: list(&given.ulimits, |limit| Ulimit {
            name: limit.name.clone().unwrap_or_default(),
            soft: limit.soft_limit.unwrap_or_default(),
            hard: limit.hard_limit.unwrap_or_default(),
        }),
        system_controls: list(&given.system_controls, |control| {
            (control.namespace.clone().unwrap_or_default(), control.value.clone().unwrap_or_default())
        }),
        resource_requirements: list(&given.resource_requirements, resource_requirement),
        log_configuration: given.log_configuration.as_ref().map(|logs| LogConfiguration {
            driver: logs.log_driver.clone().unwrap_or_default(),
            options: map(&logs.options),
            secret_options: secrets(&logs.secret_options),
        }),
        firelens_configuration: given.firelens_configuration.as_ref().map(|firelens| FirelensConfiguration {
            router: firelens.r#type.clone().unwrap_or_default(),
            options: map(&firelens.options),
        }),
        health_check: given.health_check.as_ref().map(health_check).transpose()?,
        linux_parameters: given.linux_parameters.as_ref().map(linux_parameters::parse).transpose()?,
    })
}

/// A GPU is one container's alone.
pub(crate) fn check_sharing(given: Option<&Vec<api_ecs::ResourceRequirement>>) -> Result<(), Error> {
    match given.into_iter().flatten().any(|one| one.sharing_strategy.is_some()) {
        true => Err(unsupported("sharingStrategy")),
        false => Ok(()),
    }
}

pub(crate) fn resource_requirement(given: &api_ecs::ResourceRequirement) -> ResourceRequirement {
    ResourceRequirement {
        kind: given.r#type.clone().unwrap_or_default(),
        value: given.value.clone().unwrap_or_default(),
    }
}

fn port_mapping(given: &api_ecs::PortMapping) -> Result<PortMapping, Error> {
    let protocol = match given.protocol.as_deref() {
        None | Some("tcp") => Protocol::Tcp,
        Some("udp") => Protocol::Udp,
        Some(other) => return Err(client(format!("Unrecognized protocol: {other}"))),
    };
    let container_port = number::port(given.container_port, "containerPort")?;
    if container_port.unwrap_or_default() == 0 && given.container_port_range.is_none() {
        return Err(client("Invalid 'containerPort' setting for container"));
    }
    Ok(PortMapping {
        container_port: container_port.filter(|port| *port != 0),
        host_port: number::port(given.host_port, "hostPort")?,
        protocol,
        name: given.name.clone(),
        app_protocol: given.app_protocol.clone(),
        container_port_range: given.container_port_range.clone(),
    })
}

fn restart_policy(given: &api_ecs::ContainerRestartPolicy) -> Result<RestartPolicy, Error> {
    Ok(RestartPolicy {
        enabled: given.enabled.unwrap_or_default(),
        ignored_exit_codes: given.ignored_exit_codes.clone().unwrap_or_default(),
        restart_attempt_period_seconds: number::amount(given.restart_attempt_period, "restartAttemptPeriod")?,
    })
}

/// Source: Amazon ECS API Reference, `HealthCheck`: the ranges of its members.
fn health_check(given: &api_ecs::HealthCheck) -> Result<HealthCheck, Error> {
    let within = |value: Option<i32>, low: i32, high: i32, what: &str| match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(client(format!("Health check {what} must be between {low} and {high}.")))
        }
        value => number::amount(value, what),
    };
    let command = given.command.clone().unwrap_or_default();
    if command.is_empty() {
        return Err(client("Health check command cannot be empty."));
    }
    Ok(HealthCheck {
        command,
        interval_seconds: within(given.interval, 5, 300, "interval")?,
        timeout_seconds: within(given.timeout, 2, 60, "timeout")?,
        retries: within(given.retries, 1, 10, "retries")?,
        start_period_seconds: within(given.start_period, 0, 300, "startPeriod")?,
    })
}

/// What `describe-task-definition` shows. Lists are there even when empty: Terraform compares them.
pub(crate) fn view(kept: &ContainerDefinition) -> api_ecs::ContainerDefinition {
    let text = |value: &str| Some(value.to_owned());
    let signed = |value: u32| Some(value as i32);
    let some = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    api_ecs::ContainerDefinition {
        name: text(&kept.name),
        image: text(&kept.image),
        cpu: signed(kept.cpu.0),
        memory: kept.memory.map(|memory| memory.0 as i32),
        memory_reservation: kept.memory_reservation.map(|memory| memory.0 as i32),
        essential: Some(kept.essential),
        repository_credentials: kept
            .repository_credentials
            .as_ref()
            .map(|arn| api_ecs::RepositoryCredentials { credentials_parameter: text(arn) }),
        port_mappings: Some(kept.port_mappings.iter().map(port_mapping_view).collect()),
        entry_point: kept.entry_point.clone(),
        command: kept.command.clone(),
        environment: Some(
            kept.environment
                .iter()
                .map(|(name, value)| api_ecs::KeyValuePair { name: text(name), value: text(value) })
                .collect(),
        ),
        environment_files: shown(&kept.environment_files, |file| api_ecs::EnvironmentFile {
            value: text(&file.value),
            r#type: text(&file.kind),
        }),
        secrets: shown(&kept.secrets, secret_view),
        links: some(&kept.links),
        mount_points: Some(
            kept.mount_points
                .iter()
                .map(|point| api_ecs::MountPoint {
                    source_volume: text(&point.source_volume),
                    container_path: text(&point.container_path),
                    read_only: point.read_only,
                })
                .collect(),
        ),
        volumes_from: Some(
            kept.volumes_from
                .iter()
                .map(|from| api_ecs::VolumeFrom {
                    source_container: text(&from.source_container),
                    read_only: from.read_only,
                })
                .collect(),
        ),
        depends_on: shown(&kept.depends_on, |dependency| api_ecs::ContainerDependency {
            container_name: text(&dependency.container),
            condition: text(&dependency.condition),
        }),
        restart_policy: kept.restart_policy.as_ref().map(|policy| api_ecs::ContainerRestartPolicy {
            enabled: Some(policy.enabled),
            ignored_exit_codes: Some(policy.ignored_exit_codes.clone()).filter(|codes| !codes.is_empty()),
            restart_attempt_period: policy.restart_attempt_period_seconds.and_then(signed),
        }),
        start_timeout: kept.start_timeout_seconds.and_then(signed),
        stop_timeout: kept.stop_timeout_seconds.and_then(signed),
        version_consistency: kept.version_consistency.clone(),
        hostname: kept.hostname.clone(),
        user: kept.user.clone(),
        working_directory: kept.working_directory.clone(),
        disable_networking: kept.disable_networking,
        privileged: kept.privileged,
        readonly_root_filesystem: kept.readonly_root_filesystem,
        interactive: kept.interactive,
        pseudo_terminal: kept.pseudo_terminal,
        dns_servers: some(&kept.dns_servers),
        dns_search_domains: some(&kept.dns_search_domains),
        extra_hosts: shown(&kept.extra_hosts, |(name, address)| api_ecs::HostEntry {
            hostname: text(name),
            ip_address: text(address),
        }),
        docker_security_options: some(&kept.docker_security_options),
        docker_labels: map_view(&kept.docker_labels),
        ulimits: shown(&kept.ulimits, |limit| api_ecs::Ulimit {
            name: text(&limit.name),
            soft_limit: Some(limit.soft),
            hard_limit: Some(limit.hard),
        }),
        system_controls: Some(
            kept.system_controls
                .iter()
                .map(|(namespace, value)| api_ecs::SystemControl { namespace: text(namespace), value: text(value) })
                .collect(),
        ),
        resource_requirements: shown(&kept.resource_requirements, |one| api_ecs::ResourceRequirement {
            value: text(&one.value),
            r#type: text(&one.kind),
            sharing_strategy: None,
        }),
        log_configuration: kept.log_configuration.as_ref().map(|logs| api_ecs::LogConfiguration {
            log_driver: text(&logs.driver),
            options: map_view(&logs.options),
            secret_options: shown(&logs.secret_options, secret_view),
        }),
        health_check: kept.health_check.as_ref().map(|check| api_ecs::HealthCheck {
            command: Some(check.command.clone()),
            interval: signed(check.interval_seconds.unwrap_or(30)),
            timeout: signed(check.timeout_seconds.unwrap_or(5)),
            retries: signed(check.retries.unwrap_or(3)),
            start_period: check.start_period_seconds.and_then(signed),
        }),
        linux_parameters: kept.linux_parameters.as_ref().map(linux_parameters::view),
        firelens_configuration: kept.firelens_configuration.as_ref().map(|firelens| api_ecs::FirelensConfiguration {
            r#type: text(&firelens.router),
            options: map_view(&firelens.options),
        }),
        credential_specs: None,
    }
}

fn port_mapping_view(kept: &PortMapping) -> api_ecs::PortMapping {
    api_ecs::PortMapping {
        container_port: kept.container_port.map(i32::from),
        host_port: Some(kept.host_port.map_or(0, i32::from)).filter(|_| kept.container_port_range.is_none()),
        protocol: Some(kept.protocol.as_str().to_owned()),
        name: kept.name.clone(),
        app_protocol: kept.app_protocol.clone(),
        container_port_range: kept.container_port_range.clone(),
    }
}

fn secret_view((name, value_from): &(String, String)) -> api_ecs::Secret {
    api_ecs::Secret { name: Some(name.clone()), value_from: Some(value_from.clone()) }
}

fn secrets(given: &Option<Vec<api_ecs::Secret>>) -> Vec<(String, String)> {
    list(given, |secret| (secret.name.clone().unwrap_or_default(), secret.value_from.clone().unwrap_or_default()))
}

pub(crate) fn pairs(given: &Option<Vec<api_ecs::KeyValuePair>>) -> Vec<(String, String)> {
    list(given, |pair| (pair.name.clone().unwrap_or_default(), pair.value.clone().unwrap_or_default()))
}

pub(crate) fn map(given: &Option<BTreeMap<String, String>>) -> Vec<(String, String)> {
    given.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(crate) fn map_view(kept: &[(String, String)]) -> Option<BTreeMap<String, String>> {
    Some(kept.iter().cloned().collect::<BTreeMap<_, _>>()).filter(|map| !map.is_empty())
}

pub(crate) fn list<A, B>(given: &Option<Vec<A>>, convert: impl Fn(&A) -> B) -> Vec<B> {
    given.iter().flatten().map(convert).collect()
}

fn each<A, B>(given: &Option<Vec<A>>, convert: impl Fn(&A) -> Result<B, Error>) -> Result<Vec<B>, Error> {
    given.iter().flatten().map(convert).collect()
}

/// A list that is only shown when there is something in it.
pub(crate) fn shown<A, B>(kept: &[A], convert: impl Fn(&A) -> B) -> Option<Vec<B>> {
    if kept.is_empty() { None } else { Some(kept.iter().map(convert).collect()) }
}
