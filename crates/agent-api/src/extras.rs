//! What Berth adds to the protocol: optional fields, under the one name `berth`, that the official agent skips.
//!
//! Nothing here is ever required. A Berth agent under a control plane that sends no extras works as the official one does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::payload::RegistryAuthentication;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskExtras {
    /// Shown to the task as its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// When RunTask was answered, milliseconds since 1970: lets an agent measure launch latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerExtras {
    /// The log configuration as the task definition has it, filled in with stream name and region. Wins over
    /// `hostConfig.LogConfig`, which can hold only what Docker's drivers understand (`awslogs-stream-prefix` is not among it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
    /// What the control plane already knows about the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageHint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
}

/// What the agent itself asks the container, instead of running a program in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Probe>,
}

/// Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    pub ask: Ask,
    pub interval: u32,
    pub timeout: u32,
    pub retries: u32,
    pub start_period: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    Http {
        port: u16,
        path: String,
    },
    Tcp {
        port: u16,
    },
    Grpc {
        port: u16,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        service: String,
    },
}

/// What the probes of a container say, beside its health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probed {
    /// Nothing when nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// How the last probe of its health failed; empty when it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health_says: String,
    /// The same of its readiness.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ready_says: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogConfiguration {
    /// `awslogs`, `json-file`, `none`.
    pub log_driver: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageHint {
    /// `sha256:...` of the manifest that this deployment is pinned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Opens a session of ECS Exec: the agent starts a program in a container and comes to `path`, on the host that it reaches
/// the control plane at, to speak for it. A whole message of ours, of a type that the official agent skips.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecuteCommand {
    pub session_id: String,
    /// `/v1/data-channel/...`
    pub path: String,
    /// Who comes shows it.
    pub token: String,
    pub task_arn: String,
    pub container: String,
    pub command: Vec<String>,
    /// With a terminal.
    pub interactive: bool,
    /// Where what is typed and shown is written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<SessionLogs>,
    /// And where as an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<SessionBucket>,
}

/// A log group. The stream has the session's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionLogs {
    pub group: String,
    pub region: String,
}

/// An object of the session's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionBucket {
    pub name: String,
    /// Stands before the object's name; may be empty.
    pub key_prefix: String,
    /// With keys of the bucket's own.
    pub encrypted: bool,
    pub region: String,
}

/// A token never reaches a log, and neither does a command, which may hold a password.
impl std::fmt::Debug for ExecuteCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ExecuteCommand");
        shown
            .field("session_id", &self.session_id)
            .field("task_arn", &self.task_arn)
            .field("container", &self.container);
        shown.finish_non_exhaustive()
    }
}

/// Asks an agent to have images ready that a deployment will soon need there. It goes to those alone that say they can, needs no
/// answer, and harms nobody who loses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prepull {
    /// What it is for: a deployment's, a task set's or a daemon deployment's id.
    pub deployment: String,
    pub images: Vec<PrepullImage>,
}

/// An image of a [`Prepull`] that did not come. Nothing fails by it: a task that needs the image pulls it itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrepullFailed {
    pub deployment: String,
    pub image: String,
    /// As a container's reason would be.
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrepullImage {
    /// As the task definition names it.
    pub image: String,
    /// What the deployment is pinned to, where that is known already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_authentication: Option<RegistryAuthentication>,
}
