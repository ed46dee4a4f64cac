//! The messages of the agent communication socket, except for the task payload and the attachments.

use serde::{Deserialize, Serialize};

use crate::attachment::{AttachInstanceNetworkInterfaces, AttachTaskNetworkInterfaces, ConfirmAttachment};
use crate::envelope::messages;
use crate::extras::{ExecuteCommand, Prepull, PrepullFailed};
use crate::payload::Payload;
use crate::serde_rules::null_is_default;

messages! {
    /// Control plane to agent.
    ToAgent {
        "HeartbeatMessage" => Heartbeat(Heartbeat),
        "PayloadMessage" => Payload(Payload),
        "IAMRoleCredentialsMessage" => IamRoleCredentials(IamRoleCredentialsMessage),
        "TaskManifestMessage" => TaskManifest(TaskManifest),
        "TaskStopVerificationAck" => TaskStopVerificationAck(TaskStopVerificationAck),
        "AttachTaskNetworkInterfacesMessage" => AttachTaskNetworkInterfaces(AttachTaskNetworkInterfaces),
        "AttachInstanceNetworkInterfacesMessage" => AttachInstanceNetworkInterfaces(AttachInstanceNetworkInterfaces),
        "ConfirmAttachmentMessage" => ConfirmAttachment(ConfirmAttachment),
        "StageUpdateMessage" => StageUpdate(UpdateMessage),
        "PerformUpdateMessage" => PerformUpdate(UpdateMessage),
        "BerthExecuteCommandMessage" => ExecuteCommand(ExecuteCommand),
        "BerthPrepullMessage" => Prepull(Prepull),
        "ErrorMessage" => Error(ErrorMessage),
        "CloseMessage" => Close(CloseMessage),
    }
}

messages! {
    /// Agent to control plane.
    FromAgent {
        "AckRequest" => Ack(Ack),
        "NackRequest" => Nack(Nack),
        "HeartbeatAckRequest" => HeartbeatAck(HeartbeatAck),
        "IAMRoleCredentialsAckRequest" => IamRoleCredentialsAck(IamRoleCredentialsAck),
        "TaskStopVerificationMessage" => TaskStopVerification(TaskStopVerification),
        "BerthPrepullFailedMessage" => PrepullFailed(PrepullFailed),
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// May be absent; the acknowledgement then has none either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub healthy: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAck {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// `cluster` and `container_instance` are copied from the message that is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance: String,
    pub message_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nack {
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance: String,
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IamRoleCredentialsMessage {
    pub message_id: String,
    pub task_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_cluster_arn: Option<String>,
    pub role_type: RoleType,
    pub role_credentials: RoleCredentials,
}

/// Whose keys they are. An agent drops other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RoleType {
    TaskApplication,
    TaskExecution,
    #[serde(other)]
    Unknown,
}

/// Keys of a role. `expiration` is ISO 8601 text that agents repeat and never parse.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleCredentials {
    #[serde(default, deserialize_with = "null_is_default")]
    pub credentials_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub role_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub access_key_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub secret_access_key: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub session_token: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub expiration: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_scope: Option<String>,
}

/// Secrets never reach a log, so the two secret fields are left out.
impl std::fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleCredentials")
            .field("credentials_id", &self.credentials_id)
            .field("role_arn", &self.role_arn)
            .field("access_key_id", &self.access_key_id)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IamRoleCredentialsAck {
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub credentials_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub expiration: String,
}

/// Every task that should be on the instance. It stops things, after a verification, and never starts any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManifest {
    pub message_id: String,
    pub cluster_arn: String,
    pub container_instance_arn: String,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "null_is_default")]
    pub generated_at: i64,
    /// Accepted only when greater than every `timeline` and payload `seqNum` the agent has seen.
    pub timeline: i64,
    #[serde(default, deserialize_with = "null_is_default")]
    pub tasks: Vec<ManifestTask>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestTask {
    pub task_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub task_cluster_arn: String,
    /// Required: the official agent crashes on a manifest task without it.
    pub desired_status: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStopVerification {
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub stop_candidates: Vec<ManifestTask>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStopVerificationAck {
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub generated_at: i64,
    #[serde(default, deserialize_with = "null_is_default")]
    pub stop_tasks: Vec<ManifestTask>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateMessage {
    pub message_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub cluster_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub container_instance_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_info: Option<UpdateInfo>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateInfo {
    #[serde(default, deserialize_with = "null_is_default")]
    pub location: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub signature: String,
}

/// Recognised by agents, and ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorMessage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Recognised by agents, and ignored: only a websocket close frame closes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloseMessage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
