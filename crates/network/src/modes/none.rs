//! `none` mode: a namespace of its own with a loopback and no way out.

use std::path::Path;

use crate::error::NetworkError;
use crate::netlink::Netlink;
use crate::netns;
use crate::plan::{NetPlan, Node};

pub fn plan(container_id: &str, node: &Node) -> NetPlan {
    super::namespace_plan(container_id, node)
}

/// Makes the namespace. Blocking; changes the calling thread's namespace, so it wants a thread of its own.
pub(crate) fn ensure(netns: &Path, plan: &NetPlan) -> Result<(), NetworkError> {
    netns::enter_new(netns, &plan.sysctls)?;
    Netlink::open()?.batch(vec![Netlink::loopback_up()])
}

/// Removes what `ensure` made, or the part of it that there is.
pub(crate) fn release(netns: &Path) -> Result<(), NetworkError> {
    netns::remove(netns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_loopback_and_nothing_else() {
        let node = Node {
            bridge: "berth0".to_owned(),
            table: "berth".to_owned(),
            subnet: "172.29.0.0/16".parse().unwrap(),
            mtu: 1500,
            run_dir: "/run/berth/netns".into(),
            redirects: Vec::new(),
        };
        expect![[r#"
            namespace /run/berth/netns/c1
              sysctl net.ipv6.conf.default.disable_ipv6 = 1
              sysctl net.ipv4.ip_unprivileged_port_start = 0
              sysctl net.ipv4.ping_group_range = 0 2147483647
              link lo up
        "#]]
        .assert_eq(&plan("c1", &node).to_string());
    }
}
