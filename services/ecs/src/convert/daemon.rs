//! Managed daemons, in and out. Their container definitions are those of other tasks, with fewer members.

use api_ecs::{
    ContainerDefinition, DaemonContainerDefinition, DaemonLinuxParameters, DaemonVolume, LinuxParameters, Volume,
};
use model::daemon::DaemonDeploymentConfiguration;

use super::number;
use crate::error::{Error, invalid, unsupported};
use crate::limits::DAEMON_BAKE_MINUTES_MAX;

/// What is not given stays.
pub(crate) fn configuration(
    given: Option<&api_ecs::DaemonDeploymentConfiguration>,
    current: DaemonDeploymentConfiguration,
) -> Result<DaemonDeploymentConfiguration, Error> {
    let Some(given) = given else { return Ok(current) };
    if given.alarms.as_ref().is_some_and(|alarms| alarms.enable == Some(true)) {
        return Err(unsupported("deploymentConfiguration.alarms of a daemon"));
    }
    let drain_percent = given.drain_percent.unwrap_or(current.drain_percent);
    if !(0.0..=100.0).contains(&drain_percent) {
        return Err(invalid("drainPercent must be between 0.0 and 100.0."));
    }
    let bake_minutes = number::amount(given.bake_time_in_minutes, "bakeTimeInMinutes")?.unwrap_or(current.bake_minutes);
    if bake_minutes > DAEMON_BAKE_MINUTES_MAX {
        return Err(invalid(format!("bakeTimeInMinutes must be between 0 and {DAEMON_BAKE_MINUTES_MAX}.")));
    }
    Ok(DaemonDeploymentConfiguration { drain_percent, bake_minutes })
}

pub(crate) fn configuration_view(kept: &DaemonDeploymentConfiguration) -> api_ecs::DaemonDeploymentConfiguration {
    api_ecs::DaemonDeploymentConfiguration {
        drain_percent: Some(kept.drain_percent),
        alarms: None,
        bake_time_in_minutes: Some(kept.bake_minutes as i32),
    }
}

macro_rules! same_members {
    ($($member:ident),* $(,)?) => {
        pub(crate) fn container(given: &DaemonContainerDefinition) -> ContainerDefinition {
            ContainerDefinition {
                $($member: given.$member.clone(),)*
                linux_parameters: given.linux_parameters.as_ref().map(|it| LinuxParameters {
                    capabilities: it.capabilities.clone(),
                    devices: it.devices.clone(),
                    init_process_enabled: it.init_process_enabled,
                    tmpfs: it.tmpfs.clone(),
                    ..Default::default()
                }),
                ..Default::default()
            }
        }

        pub(crate) fn container_view(shown: ContainerDefinition) -> DaemonContainerDefinition {
            DaemonContainerDefinition {
                $($member: shown.$member,)*
                linux_parameters: shown.linux_parameters.map(|it| DaemonLinuxParameters {
                    capabilities: it.capabilities,
                    devices: it.devices,
                    init_process_enabled: it.init_process_enabled,
                    tmpfs: it.tmpfs,
                }),
            }
        }
    };
}

same_members!(
    name,
    image,
    memory,
    memory_reservation,
    repository_credentials,
    health_check,
    cpu,
    essential,
    entry_point,
    command,
    working_directory,
    environment_files,
    environment,
    secrets,
    readonly_root_filesystem,
    mount_points,
    log_configuration,
    firelens_configuration,
    privileged,
    user,
    ulimits,
    depends_on,
    start_timeout,
    stop_timeout,
    system_controls,
    interactive,
    pseudo_terminal,
    restart_policy,
);

/// A daemon's namespaces are its own, or the host's: what other tasks call `host` is `shared` here.
pub(crate) fn of_the_host(given: Option<&str>) -> Option<String> {
    given.filter(|mode| *mode == "shared").map(|_| "host".to_owned())
}

pub(crate) fn shared(mode: Option<String>) -> String {
    if mode.as_deref() == Some("host") { "shared".into() } else { "none".into() }
}

pub(crate) fn volume(given: &DaemonVolume) -> Volume {
    Volume { name: given.name.clone(), host: given.host.clone(), ..Default::default() }
}

pub(crate) fn volume_view(shown: Volume) -> DaemonVolume {
    DaemonVolume { name: shown.name, host: shown.host, log_driver_volume_configuration: None }
}
