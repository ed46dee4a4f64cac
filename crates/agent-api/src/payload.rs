//! The task payload: what should run on an instance, and what should stop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::acs::RoleCredentials;
use crate::attachment::ElasticNetworkInterface;
use crate::docker::DockerConfig;
use crate::extras::{ContainerExtras, TaskExtras};
use crate::serde_rules::null_is_default;

/// The first three fields must not be empty, or the official agent drops the message in silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    #[serde(default, deserialize_with = "null_is_default")]
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance_arn: String,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "null_is_default")]
    pub generated_at: i64,
    /// Rises for each payload to one instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq_num: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<i64>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub tasks: Vec<Task>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The task's identity.
    pub arn: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub task_cluster_arn: String,
    pub desired_status: DesiredStatus,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub family: String,
    /// The task definition's revision, as text.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub containers: Vec<Container>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// The task's CPU limit in vCPUs (0.5), not in units of a 1024th.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// The task's memory limit, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    /// `bridge`, `host`, `none`, `awsvpc`; empty means `bridge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_credentials: Option<RoleCredentials>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_role_credentials: Option<RoleCredentials>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition_account_id: Option<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub elastic_network_interfaces: Vec<ElasticNetworkInterface>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_fault_injection: Option<bool>,
    /// The GPUs of its containers, and what else is theirs alone.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub associations: Vec<Association>,
    /// What only a Berth agent reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub berth: Option<TaskExtras>,
    /// Fields without a member here, kept as they came: `attachments`, `proxyConfiguration`, ...
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `type` is `gpu`, and `name` then the id of a GPU; or `elastic-inference`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Association {
    #[serde(default, deserialize_with = "null_is_default")]
    pub containers: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub content: EncodedString,
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(rename = "type", default, deserialize_with = "null_is_default")]
    pub kind: String,
}

/// What an association of another type than `gpu` is about, in base64.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EncodedString {
    #[serde(default, deserialize_with = "null_is_default")]
    pub encoding: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub value: String,
}

impl Task {
    /// The ids of the GPUs that a container was given.
    pub fn gpus(&self, container: &str) -> impl Iterator<Item = &str> {
        let gpus = self.associations.iter().filter(|association| association.kind == "gpu");
        let own = gpus.filter(move |gpu| gpu.containers.iter().any(|name| name == container));
        own.map(|gpu| gpu.name.as_str())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DesiredStatus {
    #[default]
    Running,
    Stopped,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub name: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub image: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub entry_point: Vec<String>,
    /// Name to value: an object, unlike the public API's list of pairs.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// CPU shares; 1024 is one vCPU.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cpu: i64,
    /// The hard limit in MiB; zero is none.
    #[serde(default, deserialize_with = "null_is_default")]
    pub memory: i64,
    /// Absent means false.
    #[serde(default, deserialize_with = "null_is_default")]
    pub essential: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub port_mappings: Vec<PortMapping>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<MountPoint>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub volumes_from: Vec<VolumeFrom>,
    /// `name:alias`.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<i64>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// `docker`, in lower case, with a `Healthcheck` in `docker_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// JSON text in which only `command` is understood; any other key makes the official agent reject the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<DockerConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_authentication: Option<RegistryAuthentication>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub environment_files: Vec<EnvironmentFile>,
    /// `ExecutionRole`: the log driver uses the execution role's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_auth_strategy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firelens_configuration: Option<FirelensConfiguration>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub managed_agents: Vec<ManagedAgent>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub container_arn: String,
    /// What only a Berth agent reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub berth: Option<ContainerExtras>,
    /// Fields without a member here, kept as they came.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<i64>,
    /// Zero or absent: the agent picks one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<i64>,
    /// `tcp` or `udp`; absent is `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// `"9000-9002"`, instead of `container_port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port_range: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountPoint {
    #[serde(default, deserialize_with = "null_is_default")]
    pub source_volume: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_path: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub read_only: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeFrom {
    pub source_container: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependsOn {
    pub container_name: String,
    pub condition: DependencyCondition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DependencyCondition {
    Start,
    Complete,
    Success,
    Healthy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartPolicy {
    #[serde(default, deserialize_with = "null_is_default")]
    pub enabled: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub ignored_exit_codes: Vec<i64>,
    /// Seconds that the container must have run before it is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_attempt_period: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryAuthentication {
    /// `ecr` or `asm`.
    #[serde(rename = "type", default, deserialize_with = "null_is_default")]
    pub auth_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecr_auth_data: Option<EcrAuthData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asm_auth_data: Option<AsmAuthData>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EcrAuthData {
    #[serde(default, deserialize_with = "null_is_default")]
    pub region: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub registry_id: String,
    /// Any URL: a control plane can name its own ECR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_override: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub use_execution_role: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AsmAuthData {
    /// The secret's ARN.
    #[serde(default, deserialize_with = "null_is_default")]
    pub credentials_parameter: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub region: String,
}

/// `provider`: `ssm` or `asm`; `type`: `ENVIRONMENT_VARIABLE`, `MOUNT_POINT` or `BOOTSTRAP`; `target`: `CONTAINER` or `LOG_DRIVER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    pub name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub value_from: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub region: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub provider: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentFile {
    pub value: String,
    #[serde(rename = "type", default, deserialize_with = "null_is_default")]
    pub file_type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FirelensConfiguration {
    #[serde(rename = "type")]
    pub router: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedAgent {
    pub name: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// `type` decides which block applies: `host` (also when absent), `docker`, `efs`, `fsxWindowsFileServer`, `ebs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostVolume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_volume_configuration: Option<DockerVolume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efs_volume_configuration: Option<Value>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An empty path is a scratch volume that lives as long as the task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostVolume {
    #[serde(default, deserialize_with = "null_is_default")]
    pub source_path: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerVolume {
    /// `task` or `shared`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub scope: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub autoprovision: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    pub driver: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
