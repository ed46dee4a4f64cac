//! What an operator may choose about an agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{STOP_TIMEOUT_MIN, TASK_CLEANUP_WAIT_MIN};

/// Settings of one agent. `ECS_*` names in the comments are the official agent's for the same thing.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The control plane: `http://127.0.0.1:4566`. `ECS_BACKEND_HOST`.
    pub server_url: String,
    /// Name or ARN. `ECS_CLUSTER`.
    pub cluster: String,
    pub region: String,
    pub credentials: Credentials,
    /// The node's directory; everything the agent keeps is below it. `ECS_DATADIR`.
    pub node_dir: PathBuf,
    /// Not an EC2 instance. `ECS_EXTERNAL`.
    pub external: bool,
    /// Sent at the first registration. `ECS_INSTANCE_ATTRIBUTES`.
    pub instance_attributes: BTreeMap<String, String>,
    /// MiB kept from tasks. `ECS_RESERVED_MEMORY`.
    pub reserved_memory_mib: u64,
    /// How long a stopped task's directory stays. `ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION`.
    pub task_cleanup_wait: Duration,
    /// For containers that do not say. `ECS_CONTAINER_STOP_TIMEOUT`.
    pub stop_timeout: Duration,
}

/// An access key. Never printed.
#[derive(Clone)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl AgentConfig {
    /// The usual settings for a node whose files live in `node_dir`.
    pub fn new(server_url: impl Into<String>, node_dir: impl Into<PathBuf>) -> AgentConfig {
        AgentConfig {
            server_url: server_url.into(),
            cluster: "default".to_owned(),
            region: "us-east-1".to_owned(),
            credentials: Credentials {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned(),
                session_token: None,
            },
            node_dir: node_dir.into(),
            external: false,
            instance_attributes: BTreeMap::new(),
            reserved_memory_mib: 0,
            task_cleanup_wait: Duration::from_secs(3 * 3600),
            stop_timeout: task_engine::STOP_TIMEOUT_DEFAULT,
        }
    }

    /// What the variables of `ecs.config` say of times. What they say wrongly is told; then a cleanup has its usual time, and a
    /// stop the shortest one, which is the official agent's way. Source: amazon-ecs-agent, `agent/config`.
    #[must_use]
    pub fn with_times(mut self, variable: impl Fn(&str) -> Option<String>) -> AgentConfig {
        let read = |name: &str, least: Duration| {
            let text = variable(name).filter(|text| !text.is_empty())?;
            let duration = stdx::parse_duration(&text).filter(|duration| *duration >= least);
            if duration.is_none() {
                tracing::warn!(name, text, "this setting is not understood, or too short");
            }
            Some(duration)
        };
        if let Some(Some(wait)) = read("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", TASK_CLEANUP_WAIT_MIN) {
            self.task_cleanup_wait = wait;
        }
        if let Some(timeout) = read("ECS_CONTAINER_STOP_TIMEOUT", STOP_TIMEOUT_MIN) {
            self.stop_timeout = timeout.unwrap_or(STOP_TIMEOUT_MIN);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_what_ecs_config_says() {
        let read = |cleanup: &str, stop: &str| {
            let config = AgentConfig::new("http://h", "/n").with_times(|name| match name {
                "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION" => Some(cleanup.to_owned()),
                "ECS_CONTAINER_STOP_TIMEOUT" => Some(stop.to_owned()),
                _ => None,
            });
            (config.task_cleanup_wait.as_secs(), config.stop_timeout.as_secs())
        };
        assert_eq!(read("", ""), (10_800, 30));
        assert_eq!(read("1m", "1s"), (60, 1));
        assert_eq!(read("1h30m", "10m"), (5400, 600));
        for (cleanup, stop) in [("59s", "10ms"), ("soon", "0"), ("60", "-1s")] {
            assert_eq!(read(cleanup, stop), (10_800, 1), "{cleanup} {stop}");
        }
    }
}
