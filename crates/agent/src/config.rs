//! What an operator may choose about an agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Source: the official agent's defaults: ssh, Docker, and its own two.
const RESERVED_PORTS: [u16; 5] = [22, 2375, 2376, 51678, 51679];

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
    /// Given to the instance when it is new. `ECS_CONTAINER_INSTANCE_TAGS`.
    pub instance_tags: BTreeMap<String, String>,
    /// Of the host, which no task gets. `ECS_RESERVED_PORTS`, `ECS_RESERVED_PORTS_UDP`.
    pub reserved_ports: Vec<u16>,
    pub reserved_ports_udp: Vec<u16>,
    /// Tasks with privileged containers are placed elsewhere. `ECS_DISABLE_PRIVILEGED`.
    pub privileged_disabled: bool,
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
            instance_tags: BTreeMap::new(),
            reserved_ports: RESERVED_PORTS.to_vec(),
            reserved_ports_udp: Vec::new(),
            privileged_disabled: false,
            reserved_memory_mib: 0,
            task_cleanup_wait: Duration::from_secs(3 * 3600),
            stop_timeout: task_engine::STOP_TIMEOUT_DEFAULT,
        }
    }
}
