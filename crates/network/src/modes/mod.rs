//! The network modes, one file each: a pure `plan`, and its two halves `ensure` and `release`.
//!
//! `awsvpc` will stand here as `awsvpc.rs`: an ENI per task, shared by the task's containers.

pub mod bridge;
pub mod host;
pub mod none;

use crate::plan::NetPlan;

/// What every namespace of ours gets. IPv6 is off on interfaces because the subnet is IPv4, and address
/// detection would more than double the time to attach; the default is enough, as it is set before there is
/// an interface, while the setting for all would wait for the kernel's one network lock. Low ports and ping are open to any user, as Docker
/// has done by default since 20.10: an image whose user is not root may listen on port 80.
const SYSCTLS: &[(&str, &str)] = &[
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
];

/// A plan that makes a namespace with a loopback, to which a mode adds its own.
fn namespace_plan(container_id: &str, node: &crate::plan::Node) -> NetPlan {
    NetPlan { netns: Some(node.run_dir.join(container_id)), sysctls: SYSCTLS.to_vec(), veth: None }
}
