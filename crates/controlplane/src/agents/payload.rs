//! A task and its definition, in the words of a task payload. Pure.
//!
//! Whatever a task definition can say has its place: the fields that the official agent reads itself, or the two Docker
//! settings that it passes on. `docs` of each place: the agent protocol, section 8.

mod docker;
mod logging;

use std::collections::BTreeMap;
use std::time::Duration;

use agent_api::extras::{self, ContainerExtras, ImageHint, TaskExtras};
use agent_api::payload::{
    self, AsmAuthData, Association, DependencyCondition, DependsOn, DesiredStatus, DockerVolume, EcrAuthData,
    EncodedString, EnvironmentFile, FirelensConfiguration, HostVolume, MountPoint, PortMapping, RegistryAuthentication,
    RestartPolicy, Secret, VolumeFrom,
};
use model::probe::Ask;
use model::service_deployment::RevisionImage;
use model::task::ContainerOverride;
use model::task_definition::{NetworkMode, VolumeSource};
use model::{ContainerDefinition, Task, TaskDefinition};

/// Start this task. `images` are those of its service revision, and `endpoint` is where its agent reaches us.
pub fn start(task: &Task, definition: &TaskDefinition, images: &[RevisionImage], endpoint: &str) -> payload::Task {
    let overrides = task.overrides.as_deref();
    let of = |name: &str| overrides.and_then(|all| all.containers.iter().find(|container| container.name == name));
    let place = Place { task, definition, images, endpoint };
    payload::Task {
        containers: definition.containers.iter().map(|one| container(&place, one, of(&one.name))).collect(),
        family: task.family.trim_start_matches(model::daemon::DAEMON_FAMILY).to_owned(),
        version: task.revision.to_string(),
        volumes: definition.volumes.iter().map(volume).collect(),
        cpu: overrides.and_then(|all| all.cpu).or(definition.cpu).map(|cpu| f64::from(cpu.0) / 1024.0),
        memory: overrides.and_then(|all| all.memory).or(definition.memory).map(|memory| i64::from(memory.0)),
        network_mode: Some(definition.effective_network_mode().as_str().to_owned()),
        pid_mode: definition.pid_mode.clone(),
        ipc_mode: definition.ipc_mode.clone(),
        overrides: Some("{}".to_owned()),
        launch_type: Some(task.launch_type.as_str().to_owned()),
        group: Some(task.group.clone()),
        service_name: task.service().map(str::to_owned),
        task_definition_account_id: Some(definition.scope.account.to_string()),
        enable_fault_injection: definition.enable_fault_injection,
        associations: task.containers.iter().flat_map(associations).collect(),
        berth: Some(TaskExtras { availability_zone: None, created_at: Some(task.created_at.as_millis()) }),
        ..bare(task, DesiredStatus::Running)
    }
}

/// A GPU is an association of its container's that needs no content.
fn associations(container: &model::Container) -> impl Iterator<Item = Association> {
    container.gpus.iter().map(|gpu| Association {
        containers: vec![container.name.clone()],
        content: EncodedString { encoding: "base64".to_owned(), value: String::new() },
        name: gpu.clone(),
        kind: "gpu".to_owned(),
    })
}

/// Stop this task.
pub fn stop(task: &Task) -> payload::Task {
    bare(task, DesiredStatus::Stopped)
}

fn bare(task: &Task, desired_status: DesiredStatus) -> payload::Task {
    payload::Task {
        arn: task.arn().to_string(),
        task_cluster_arn: task.cluster_arn().to_string(),
        desired_status,
        ..payload::Task::default()
    }
}

/// Where a container is.
struct Place<'a> {
    task: &'a Task,
    definition: &'a TaskDefinition,
    images: &'a [RevisionImage],
    endpoint: &'a str,
}

fn container(
    place: &Place<'_>,
    defined: &ContainerDefinition,
    changed: Option<&ContainerOverride>,
) -> payload::Container {
    let cpu = changed.and_then(|changed| changed.cpu).unwrap_or(defined.cpu);
    let memory = changed.and_then(|changed| changed.memory).or(defined.memory);
    let command = changed.and_then(|changed| changed.command.clone()).or_else(|| defined.command.clone());
    let known = place.task.containers.iter().find(|container| container.name == defined.name);
    let logs = logging::configuration(place.task, defined);
    let seconds = |seconds: Option<u32>| seconds.map(i64::from);
    payload::Container {
        name: defined.name.clone(),
        image: defined.image.clone(),
        command: command.unwrap_or_default(),
        entry_point: defined.entry_point.clone().unwrap_or_default(),
        environment: environment(place, defined, changed),
        cpu: i64::from(cpu.0),
        memory: memory.map_or(0, |memory| i64::from(memory.0)),
        essential: defined.essential,
        port_mappings: defined.port_mappings.iter().map(|mapping| port_mapping(place.definition, mapping)).collect(),
        mount_points: defined.mount_points.iter().map(mount_point).collect(),
        volumes_from: defined.volumes_from.iter().map(volume_from).collect(),
        links: defined.links.clone(),
        depends_on: defined.depends_on.iter().map(depends_on).collect(),
        start_timeout: seconds(defined.start_timeout_seconds),
        stop_timeout: seconds(defined.stop_timeout_seconds),
        health_check_type: defined.health_check.as_ref().map(|_| "docker".to_owned()),
        restart_policy: defined.restart_policy.as_ref().map(restart_policy),
        overrides: Some("{}".to_owned()),
        docker_config: Some(docker::config(place, defined, changed, logs.as_ref())),
        registry_authentication: registry_authentication(&place.task.scope.region, Some(place.endpoint), defined),
        secrets: secrets(place, defined),
        environment_files: changed
            .map(|changed| &changed.environment_files)
            .filter(|files| !files.is_empty())
            .unwrap_or(&defined.environment_files)
            .iter()
            .map(|file| EnvironmentFile { value: file.value.clone(), file_type: file.kind.clone() })
            .collect(),
        firelens_configuration: defined.firelens_configuration.as_ref().map(|firelens| FirelensConfiguration {
            router: firelens.router.clone(),
            options: firelens.options.iter().cloned().collect(),
        }),
        container_arn: known.map(|container| place.task.container_arn(container).to_string()).unwrap_or_default(),
        berth: Some(ContainerExtras {
            log_configuration: logs,
            image: pinned(place.images, defined),
            probes: probes(&defined.probes()),
        }),
        ..payload::Container::default()
    }
}

/// What the agent is to ask the container, from its docker labels.
fn probes(defined: &model::Probes) -> Option<extras::Probes> {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let probe = |probe: &model::Probe| extras::Probe {
        ask: match probe.ask.clone() {
            Ask::Http { port, path } => extras::Ask::Http { port, path },
            Ask::Tcp { port } => extras::Ask::Tcp { port },
            Ask::Grpc { port, service } => extras::Ask::Grpc { port, service },
        },
        interval: seconds(probe.interval),
        timeout: seconds(probe.timeout),
        retries: probe.retries,
        start_period: seconds(probe.start_period),
    };
    let (health, ready) = (defined.health.as_ref().map(probe), defined.ready.as_ref().map(probe));
    (health.is_some() || ready.is_some()).then_some(extras::Probes { health, ready })
}

/// What earlier tasks of the same service revision found this image to be.
pub(super) fn pinned(images: &[RevisionImage], defined: &ContainerDefinition) -> Option<ImageHint> {
    let known = images.iter().find(|image| image.container == defined.name && image.image == defined.image);
    Some(ImageHint { digest: Some(known?.digest.clone()?) })
}

/// The definition's, with the overrides on top; and what every container on an EC2 instance is told.
fn environment(
    place: &Place<'_>,
    defined: &ContainerDefinition,
    changed: Option<&ContainerOverride>,
) -> BTreeMap<String, String> {
    let overridden = changed.map(|changed| changed.environment.as_slice()).unwrap_or_default();
    let platform = match place.task.launch_type {
        model::LaunchType::Ec2 => "AWS_ECS_EC2",
        model::LaunchType::Fargate => "AWS_ECS_FARGATE",
        model::LaunchType::External => "AWS_ECS_EXTERNAL",
    };
    let mut all = BTreeMap::from([("AWS_EXECUTION_ENV".to_owned(), platform.to_owned())]);
    all.extend(defined.environment.iter().chain(overridden).cloned());
    all
}

fn port_mapping(definition: &TaskDefinition, mapping: &model::container_definition::PortMapping) -> PortMapping {
    let host_port = match definition.effective_network_mode() {
        NetworkMode::Bridge => Some(mapping.host_port.unwrap_or(0)),
        NetworkMode::Host | NetworkMode::Awsvpc => {
            mapping.host_port.filter(|port| *port != 0).or(mapping.container_port)
        }
        NetworkMode::None => None,
    };
    PortMapping {
        container_port: mapping.container_port.map(i64::from),
        host_port: host_port.map(i64::from).filter(|_| mapping.container_port.is_some()),
        protocol: Some(mapping.protocol.as_str().to_owned()),
        container_port_range: mapping.container_port_range.clone(),
        name: mapping.name.clone(),
    }
}

fn mount_point(mount: &model::container_definition::MountPoint) -> MountPoint {
    MountPoint {
        source_volume: mount.source_volume.clone(),
        container_path: mount.container_path.clone(),
        read_only: mount.read_only.unwrap_or(false),
    }
}

fn volume_from(from: &model::container_definition::VolumeFrom) -> VolumeFrom {
    VolumeFrom { source_container: from.source_container.clone(), read_only: from.read_only.unwrap_or(false) }
}

fn depends_on(dependency: &model::container_definition::ContainerDependency) -> DependsOn {
    let condition = match dependency.condition.as_str() {
        "COMPLETE" => DependencyCondition::Complete,
        "SUCCESS" => DependencyCondition::Success,
        "HEALTHY" => DependencyCondition::Healthy,
        // Registration lets only these four in.
        _ => DependencyCondition::Start,
    };
    DependsOn { container_name: dependency.container.clone(), condition }
}

fn restart_policy(policy: &model::container_definition::RestartPolicy) -> RestartPolicy {
    RestartPolicy {
        enabled: policy.enabled,
        ignored_exit_codes: policy.ignored_exit_codes.iter().map(|code| i64::from(*code)).collect(),
        restart_attempt_period: policy.restart_attempt_period_seconds.map(i64::from),
    }
}

fn volume(volume: &model::task_definition::Volume) -> payload::Volume {
    let named = payload::Volume { name: volume.name.clone(), ..payload::Volume::default() };
    match &volume.source {
        VolumeSource::Host { source_path } => payload::Volume {
            volume_type: Some("host".to_owned()),
            host: Some(HostVolume { source_path: source_path.clone().unwrap_or_default() }),
            ..named
        },
        VolumeSource::Docker(docker) => payload::Volume {
            volume_type: Some("docker".to_owned()),
            docker_volume_configuration: Some(DockerVolume {
                scope: docker.scope.clone().unwrap_or_else(|| "task".to_owned()),
                autoprovision: docker.autoprovision.unwrap_or(false),
                driver: docker.driver.clone().unwrap_or_else(|| "local".to_owned()),
                driver_opts: docker.driver_opts.iter().cloned().collect(),
                labels: docker.labels.iter().cloned().collect(),
            }),
            ..named
        },
    }
}

/// What the agent fetches with the execution role before the container starts. Only names of secrets travel, never what is in them.
fn secrets(place: &Place<'_>, defined: &ContainerDefinition) -> Vec<Secret> {
    let secret = |(name, from): &(String, String), kind: &str, target: &str| Secret {
        name: name.clone(),
        value_from: from.clone(),
        region: region_of(&place.task.scope.region, from),
        provider: if from.split(':').nth(2) == Some("secretsmanager") { "asm" } else { "ssm" }.to_owned(),
        secret_type: Some(kind.to_owned()),
        container_path: None,
        target: Some(target.to_owned()),
    };
    let variables = defined.secrets.iter().map(|one| secret(one, "ENVIRONMENT_VARIABLE", "CONTAINER"));
    let options = defined.log_configuration.iter().flat_map(|logs| &logs.secret_options);
    variables.chain(options.map(|one| secret(one, "BOOTSTRAP", "LOG_DRIVER"))).collect()
}

/// The region of a secret: its ARN's, and the task's own for a parameter that is only named.
fn region_of(own: &str, from: &str) -> String {
    let of_arn = from.starts_with("arn:").then(|| from.split(':').nth(3)).flatten();
    of_arn.filter(|region| !region.is_empty()).unwrap_or(own).to_owned()
}

/// An agent reads the login that the definition names from Secrets Manager. It asks ECR for a login to an image that ECR's form of name
/// points at: ECR is where we are.
pub(super) fn registry_authentication(
    own_region: &str,
    endpoint: Option<&str>,
    defined: &ContainerDefinition,
) -> Option<RegistryAuthentication> {
    if let Some(secret) = &defined.repository_credentials {
        return Some(RegistryAuthentication {
            auth_type: "asm".to_owned(),
            ecr_auth_data: None,
            asm_auth_data: Some(AsmAuthData {
                credentials_parameter: secret.clone(),
                region: region_of(own_region, secret),
            }),
        });
    }
    let host = defined.image.split('/').next()?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let (region, domain) = rest.split_once('.')?;
    if !domain.starts_with("amazonaws.com") {
        return None;
    }
    Some(RegistryAuthentication {
        auth_type: "ecr".to_owned(),
        ecr_auth_data: Some(EcrAuthData {
            region: region.to_owned(),
            registry_id: account.to_owned(),
            endpoint_override: endpoint.map(str::to_owned),
            // The session says otherwise when keys of the execution role travel along.
            use_execution_role: false,
        }),
        asm_auth_data: None,
    })
}

#[cfg(test)]
mod tests;
