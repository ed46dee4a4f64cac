//! Volumes of a task definition, in and out.

use model::task_definition::{DockerVolume, Volume, VolumeSource};

use super::container_definition::{map, map_view};
use crate::error::{Error, client, unsupported};

pub(crate) fn parse(given: &api_ecs::Volume) -> Result<Volume, Error> {
    if given.efs_volume_configuration.is_some() {
        return Err(unsupported("efsVolumeConfiguration"));
    }
    if given.fsx_windows_file_server_volume_configuration.is_some() {
        return Err(unsupported("fsxWindowsFileServerVolumeConfiguration"));
    }
    if given.s3files_volume_configuration.is_some() {
        return Err(unsupported("s3filesVolumeConfiguration"));
    }
    if given.configured_at_launch == Some(true) {
        return Err(unsupported("configuredAtLaunch"));
    }
    let name = given.name.clone().unwrap_or_default();
    let source = match (&given.docker_volume_configuration, &given.host) {
        (Some(_), Some(_)) => {
            return Err(client(format!("Volume '{name}' can only have one of host and dockerVolumeConfiguration.")));
        }
        (Some(docker), None) => VolumeSource::Docker(DockerVolume {
            scope: docker.scope.clone(),
            autoprovision: docker.autoprovision,
            driver: docker.driver.clone(),
            driver_opts: map(&docker.driver_opts),
            labels: map(&docker.labels),
        }),
        (None, host) => VolumeSource::Host { source_path: host.as_ref().and_then(|host| host.source_path.clone()) },
    };
    Ok(Volume { name, source })
}

pub(crate) fn view(kept: &Volume) -> api_ecs::Volume {
    let mut volume = api_ecs::Volume { name: Some(kept.name.clone()), ..Default::default() };
    match &kept.source {
        VolumeSource::Host { source_path } => {
            volume.host = Some(api_ecs::HostVolumeProperties { source_path: source_path.clone() });
        }
        VolumeSource::Docker(docker) => {
            volume.docker_volume_configuration = Some(api_ecs::DockerVolumeConfiguration {
                scope: docker.scope.clone(),
                autoprovision: docker.autoprovision,
                driver: docker.driver.clone(),
                driver_opts: map_view(&docker.driver_opts),
                labels: map_view(&docker.labels),
            });
        }
    }
    volume
}
