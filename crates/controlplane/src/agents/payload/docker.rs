//! What the official agent passes on to Docker as it is.

use std::collections::BTreeMap;

use agent_api::docker::{ContainerConfig, Device, DockerConfig, Healthcheck, HostConfig, Ulimit};
use agent_api::extras::LogConfiguration;
use model::ContainerDefinition;
use model::container_definition::{HealthCheck, LinuxParameters};
use model::task::ContainerOverride;
use model::task_definition::NetworkMode;

use super::{Place, logging};

const MIB: i64 = 1024 * 1024;

pub fn config(
    place: &Place<'_>,
    defined: &ContainerDefinition,
    changed: Option<&ContainerOverride>,
    logs: Option<&LogConfiguration>,
) -> DockerConfig {
    let config = ContainerConfig {
        user: defined.user.clone(),
        working_dir: defined.working_directory.clone(),
        hostname: defined.hostname.clone(),
        labels: defined.docker_labels.iter().cloned().collect(),
        open_stdin: defined.interactive,
        tty: defined.pseudo_terminal,
        stop_signal: None,
        healthcheck: defined.health_check.as_ref().map(healthcheck),
    };
    let mut host = HostConfig {
        network_mode: Some(network_mode(place, defined).as_str().to_owned()),
        privileged: defined.privileged,
        readonly_rootfs: defined.readonly_root_filesystem,
        extra_hosts: defined.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect(),
        dns: defined.dns_servers.clone(),
        dns_search: defined.dns_search_domains.clone(),
        security_opt: defined.docker_security_options.clone(),
        ulimits: defined
            .ulimits
            .iter()
            .map(|limit| Ulimit { name: limit.name.clone(), soft: limit.soft.into(), hard: limit.hard.into() })
            .collect(),
        sysctls: defined.system_controls.iter().cloned().collect(),
        memory_reservation: changed
            .and_then(|changed| changed.memory_reservation)
            .or(defined.memory_reservation)
            .map(|memory| i64::from(memory.0) * MIB),
        log_config: logs.map(|logs| logging::docker(logs, place.endpoint)),
        ..HostConfig::default()
    };
    if let Some(linux) = &defined.linux_parameters {
        linux_parameters(&mut host, linux, defined, changed);
    }
    DockerConfig::new(&config, &host)
}

fn network_mode(place: &Place<'_>, defined: &ContainerDefinition) -> NetworkMode {
    if defined.disable_networking == Some(true) { NetworkMode::None } else { place.definition.effective_network_mode() }
}

/// Seconds become nanoseconds. The API's defaults are filled in, because Docker has others.
///
/// Source: Amazon ECS API Reference, `HealthCheck`: interval 30, timeout 5, retries 3, no start period.
fn healthcheck(check: &HealthCheck) -> Healthcheck {
    let nanos = |seconds: u32| Some(i64::from(seconds) * 1_000_000_000);
    Healthcheck {
        test: check.command.clone(),
        interval: nanos(check.interval_seconds.unwrap_or(30)),
        timeout: nanos(check.timeout_seconds.unwrap_or(5)),
        retries: Some(i64::from(check.retries.unwrap_or(3))),
        start_period: check.start_period_seconds.and_then(nanos),
    }
}

fn linux_parameters(
    host: &mut HostConfig,
    linux: &LinuxParameters,
    defined: &ContainerDefinition,
    changed: Option<&ContainerOverride>,
) {
    host.cap_add = linux.capabilities_add.clone().unwrap_or_default();
    host.cap_drop = linux.capabilities_drop.clone().unwrap_or_default();
    host.init = linux.init_process_enabled;
    host.shm_size = linux.shared_memory_size_mib.map(|mib| i64::from(mib) * MIB);
    host.memory_swappiness = linux.swappiness.map(i64::from);
    // Docker's number is memory and swap together.
    let memory = changed.and_then(|changed| changed.memory).or(defined.memory);
    host.memory_swap =
        linux.max_swap_mib.zip(memory).map(|(swap, memory)| (i64::from(swap) + i64::from(memory.0)) * MIB);
    host.tmpfs = linux
        .tmpfs
        .iter()
        .map(|tmpfs| {
            let size = format!("size={}m", tmpfs.size_mib);
            let options: Vec<&str> = tmpfs.mount_options.iter().map(String::as_str).chain([size.as_str()]).collect();
            (tmpfs.container_path.clone(), options.join(","))
        })
        .collect::<BTreeMap<_, _>>();
    host.devices = linux
        .devices
        .iter()
        .map(|device| Device {
            path_on_host: device.host_path.clone(),
            path_in_container: device.container_path.clone().unwrap_or_else(|| device.host_path.clone()),
            cgroup_permissions: permissions(&device.permissions),
        })
        .collect();
}

/// `read`, `write` and `mknod`, as Docker abbreviates them; all three when none is given.
fn permissions(given: &[String]) -> String {
    if given.is_empty() {
        return "rwm".to_owned();
    }
    given.iter().filter_map(|one| one.chars().next()).collect()
}
