//! What the caller may choose about a node's network.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use crate::Subnet;

/// The host ports that `hostPort: 0` is served from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DynamicPorts {
    /// The kernel's ephemeral range, `/proc/sys/net/ipv4/ip_local_port_range`, as the ECS agent does.
    EphemeralRange,
    /// From the first to the second, both included.
    Between(u16, u16),
}

/// An address and TCP port that belong to nobody, at which a process of this host answers containers and the host itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    pub from: SocketAddrV4,
    /// Where the process listens, on 127.0.0.1 or on all addresses.
    pub to_port: u16,
}

/// Names, addresses and folders of a node's network.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The bridge's interface name, at most 15 bytes.
    pub bridge: String,
    /// The nftables table, family `ip`. Everything in it is ours.
    pub table: String,
    /// The containers' subnet. When it clashes with a route of the host the next free one is taken;
    /// a bridge that exists already keeps the subnet it has.
    pub subnet: Subnet,
    pub dynamic_ports: DynamicPorts,
    pub redirects: Vec<Redirect>,
    /// One small record per container, so that a restarted agent finds addresses and ports again.
    pub state_dir: PathBuf,
    /// Where network namespaces are mounted. It should not survive a reboot: `/run/berth/netns`.
    pub run_dir: PathBuf,
}

impl NetworkConfig {
    /// The usual names: bridge `berth0`, table `berth`, 172.29.0.0/16, the ephemeral port range, no redirects.
    pub fn new(state_dir: impl Into<PathBuf>, run_dir: impl Into<PathBuf>) -> Self {
        Self {
            bridge: "berth0".to_owned(),
            table: "berth".to_owned(),
            subnet: Subnet::around([172, 29, 0, 0].into(), 16).expect("16 is a valid prefix"),
            dynamic_ports: DynamicPorts::EphemeralRange,
            redirects: Vec::new(),
            state_dir: state_dir.into(),
            run_dir: run_dir.into(),
        }
    }
}
