//! How a socket ends, and how an upgrade is refused.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// What an agent does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterClose {
    ReconnectAtOnce,
    BackOff,
}

/// The websocket close codes that this protocol gives a meaning to.
pub mod code {
    pub const NORMAL: u16 = 1000;
    pub const GOING_AWAY: u16 = 1001;
    /// A close frame without a code. Never sent.
    pub const NO_STATUS: u16 = 1005;
    /// No frame, only a dropped connection. Never sent.
    pub const ABNORMAL: u16 = 1006;
    pub const POLICY: u16 = 1008;
    pub const SERVER_ERROR: u16 = 1011;
}

/// The rule of the official agent, which ours keeps.
pub fn after_close(code: u16) -> AfterClose {
    match code {
        code::NORMAL | code::GOING_AWAY | code::ABNORMAL | code::SERVER_ERROR => AfterClose::ReconnectAtOnce,
        _ => AfterClose::BackOff,
    }
}

/// How long a deregistered agent waits before it asks again.
pub const INACTIVE_INSTANCE_WAIT: Duration = Duration::from_secs(3600);

/// Why an upgrade is refused. Sent as the body of any answer that is not 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeRefusal {
    /// The instance was deregistered: the agent waits an hour.
    InactiveInstance(String),
    InvalidInstance(String),
    InvalidCluster(String),
    AccessDenied(String),
    /// Any other exception; the agent backs off as for the three above.
    Other {
        exception: String,
        message: String,
    },
}

impl UpgradeRefusal {
    pub fn exception(&self) -> &str {
        match self {
            UpgradeRefusal::InactiveInstance(_) => "InactiveInstanceException",
            UpgradeRefusal::InvalidInstance(_) => "InvalidInstanceException",
            UpgradeRefusal::InvalidCluster(_) => "InvalidClusterException",
            UpgradeRefusal::AccessDenied(_) => "AccessDeniedException",
            UpgradeRefusal::Other { exception, .. } => exception,
        }
    }

    pub fn message(&self) -> &str {
        match self {
            UpgradeRefusal::InactiveInstance(message)
            | UpgradeRefusal::InvalidInstance(message)
            | UpgradeRefusal::InvalidCluster(message)
            | UpgradeRefusal::AccessDenied(message)
            | UpgradeRefusal::Other { message, .. } => message,
        }
    }

    /// An HTTP status that fits; agents look only at the body.
    pub fn status(&self) -> u16 {
        match self {
            UpgradeRefusal::AccessDenied(_) => 403,
            _ => 400,
        }
    }

    /// `{"InactiveInstanceException":"text"}`.
    pub fn encode(&self) -> String {
        Value::Object(Map::from_iter([(self.exception().to_owned(), json!(self.message()))])).to_string()
    }

    /// Reads a refusal's body, in its bare form or as an envelope. `None` when it names no exception.
    pub fn decode(body: &str) -> Option<UpgradeRefusal> {
        let Value::Object(object) = serde_json::from_str(body).ok()? else { return None };
        let (exception, message) = match object.get("type").and_then(Value::as_str) {
            Some(exception) => {
                let message = object.get("message");
                let text = message.and_then(|message| message.as_str().or_else(|| message.get("message")?.as_str()));
                (exception.to_owned(), text.unwrap_or_default().to_owned())
            }
            None => {
                let (name, text) = object.iter().find(|(name, _)| name.ends_with("Exception"))?;
                (name.clone(), text.as_str().unwrap_or_default().to_owned())
            }
        };
        Some(match exception.as_str() {
            "InactiveInstanceException" => UpgradeRefusal::InactiveInstance(message),
            "InvalidInstanceException" => UpgradeRefusal::InvalidInstance(message),
            "InvalidClusterException" => UpgradeRefusal::InvalidCluster(message),
            "AccessDeniedException" => UpgradeRefusal::AccessDenied(message),
            _ => UpgradeRefusal::Other { exception, message },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_in_both_forms() {
        let inactive = UpgradeRefusal::InactiveInstance("gone".into());
        assert_eq!(inactive.encode(), r#"{"InactiveInstanceException":"gone"}"#);
        assert_eq!(UpgradeRefusal::decode(&inactive.encode()), Some(inactive.clone()));
        let envelope = r#"{"type":"InactiveInstanceException","message":{"message":"gone"}}"#;
        assert_eq!(UpgradeRefusal::decode(envelope), Some(inactive));
        let other = UpgradeRefusal::decode(r#"{"ServerException":"busy"}"#).unwrap();
        assert_eq!((other.exception(), other.message()), ("ServerException", "busy"));
        for text in ["", "[]", "{}", r#"{"a":1}"#] {
            assert_eq!(UpgradeRefusal::decode(text), None, "{text}");
        }
    }

    #[test]
    fn only_ordinary_ends_are_followed_at_once() {
        for code in [1000, 1001, 1006, 1011] {
            assert_eq!(after_close(code), AfterClose::ReconnectAtOnce);
        }
        for code in [1002, 1008, 1012, 4000] {
            assert_eq!(after_close(code), AfterClose::BackOff);
        }
    }
}
