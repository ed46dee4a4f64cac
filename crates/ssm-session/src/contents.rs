//! The payloads that are JSON. A reader skips fields it does not know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The first message of a client, as text: who it is, and that it may.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OpenDataChannel {
    pub message_schema_version: String,
    pub request_id: String,
    pub token_value: String,
    pub client_id: String,
    pub client_version: String,
}

/// A token never reaches a log.
impl std::fmt::Debug for OpenDataChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenDataChannel").field("client_version", &self.client_version).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledge {
    #[serde(rename = "AcknowledgedMessageType", default)]
    pub message_type: String,
    #[serde(rename = "AcknowledgedMessageId", default)]
    pub message_id: String,
    #[serde(rename = "AcknowledgedMessageSequenceNumber")]
    pub sequence: i64,
    #[serde(rename = "IsSequentialMessage", default)]
    pub is_sequential: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChannelClosed {
    pub message_id: String,
    pub created_date: String,
    pub destination_id: String,
    pub session_id: String,
    pub message_type: String,
    pub schema_version: u32,
    /// Shown to the person, when there is something to say.
    pub output: String,
    /// How the program ended. Not in AWS's message; the plugin skips it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HandshakeRequest {
    pub agent_version: String,
    pub requested_client_actions: Vec<RequestedAction>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RequestedAction {
    pub action_type: String,
    pub action_parameters: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HandshakeResponse {
    pub client_version: String,
    pub processed_client_actions: Vec<ProcessedAction>,
    /// Null when there are none.
    pub errors: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessedAction {
    pub action_type: String,
    /// 1 done, 2 failed, 3 unsupported.
    pub action_status: i64,
    pub action_result: Value,
    pub error: String,
}

/// The action that names the kind of session.
pub const SESSION_TYPE: &str = "SessionType";
pub const ACTION_DONE: i64 = 1;
pub const ACTION_UNSUPPORTED: i64 = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HandshakeComplete {
    /// Nanoseconds.
    pub handshake_time_to_complete: i64,
    pub customer_message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeData {
    pub cols: u32,
    pub rows: u32,
}

/// Payloads of the type `Flag`: one big-endian number.
pub mod flag {
    /// Of a port session: the client's side is closed. Here: there is no more input.
    pub const DISCONNECT_TO_PORT: u32 = 1;
    pub const TERMINATE_SESSION: u32 = 2;
}

pub(crate) fn json(content: &impl Serialize) -> Vec<u8> {
    // Structs of strings and numbers; there is nothing to fail.
    serde_json::to_vec(content).expect("a session's payload is always valid JSON")
}
