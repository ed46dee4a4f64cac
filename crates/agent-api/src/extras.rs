//! What Berth adds to the protocol: optional fields, under the one name `berth`, that the official agent skips.
//!
//! Nothing here is ever required. A Berth agent under a control plane that sends no extras works as the official one does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
