//! The network of a node: what a container needs to talk, and what others need to reach it.
//!
//! Three network modes: `bridge` (a network namespace, a veth pair on our bridge, static and dynamic host
//! ports), `none` (a namespace with a loopback only) and `host` (nothing to make). Interfaces, addresses and
//! routes go through netlink; port mappings live in one map of one nftables table of ours, changed in
//! batches. Planning is pure and lives in [`plan`] and [`modes`]; acting stands at the edge.
//!
//! It never knows AWS, never starts a process of a container, and never touches a rule, an interface or a
//! namespace that it did not make, apart from two accept rules for its bridge where a Docker engine would
//! otherwise drop the traffic.
//!
//! Start reading at [`Network`], then `node.rs` for the order of steps, then `modes/bridge.rs`.

mod config;
mod docker;
mod error;
mod fabric;
pub mod files;
pub mod modes;
mod netlink;
mod netns;
mod network;
mod nfnetlink;
mod node;
pub mod plan;
mod pools;
mod ports;
mod probe;
mod records;
mod rules;
mod state;
mod subnet;

pub use config::{DynamicPorts, NetworkConfig, Redirect};
pub use error::NetworkError;
pub use network::{Attachment, Link, Network, Recovered};
pub use plan::{Binding, Mac, NetworkMode, PortMapping, Protocol};
pub use subnet::Subnet;
