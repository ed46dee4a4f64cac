//! `bridge` mode: a namespace, a veth pair whose host end is on our bridge, and host ports mapped inside.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;

use crate::error::NetworkError;
use crate::netlink::{Netlink, link_index};
use crate::netns;
use crate::plan::{Assigned, Binding, HostPort, Mac, NetPlan, Node, PortMapping, Target, VethPlan};

/// The name of the interface inside a container.
pub const INTERFACE: &str = "eth0";

/// The whole of what will be made. Pure: address and name were picked before.
pub fn plan(id: &str, node: &Node, assigned: &Assigned) -> NetPlan {
    NetPlan {
        veth: Some(VethPlan {
            host: assigned.veth.clone(),
            bridge: node.bridge.clone(),
            inside: INTERFACE.to_owned(),
            mac: Mac::for_ip(assigned.ip),
            mtu: node.mtu,
            address: assigned.ip,
            prefix: node.subnet.prefix(),
            broadcast: node.subnet.broadcast(),
            gateway: node.subnet.gateway(),
        }),
        ..super::namespace_plan(id, node)
    }
}

/// One binding for each mapping, with the host ports that were picked, in the same order.
pub fn bindings(mappings: &[PortMapping], host_ports: &[u16]) -> Vec<Binding> {
    debug_assert_eq!(mappings.len(), host_ports.len());
    mappings.iter().zip(host_ports).map(|(mapping, host_port)| Binding::new(mapping, *host_port)).collect()
}

/// The entries of the port map that bindings of the container at `ip` need.
pub fn routes(bindings: &[Binding], ip: Ipv4Addr) -> impl Iterator<Item = (HostPort, Target)> + '_ {
    bindings.iter().map(move |binding| (binding.host(), Target { ip, port: binding.container_port }))
}

/// Makes namespace and interfaces. Blocking; changes the calling thread's namespace, so it wants a thread
/// of its own.
///
/// The socket to the host is opened before the thread leaves: a netlink socket stays in the namespace that
/// it was born in. So each side costs one message with several requests, and no switching back and forth.
pub(crate) fn ensure(netns: &Path, plan: &NetPlan) -> Result<(), NetworkError> {
    let Some(veth) = &plan.veth else { return super::none::ensure(netns, plan) };
    let bridge_index = link_index(&veth.bridge).ok_or_else(|| NetworkError::Netlink {
        what: format!("find bridge {}", veth.bridge),
        source: std::io::Error::from_raw_os_error(libc::ENODEV),
    })?;
    let mut host = Netlink::open()?;
    let inside = netns::enter_new(netns, &plan.sysctls)?;
    host.batch(Netlink::veth(veth, bridge_index, inside.as_fd()))?;

    let index = link_index(&veth.inside).ok_or_else(|| NetworkError::Netlink {
        what: format!("find {} in the new namespace", veth.inside),
        source: std::io::Error::from_raw_os_error(libc::ENODEV),
    })?;
    Netlink::open()?.batch(vec![
        Netlink::loopback_up(),
        Netlink::add_address(index, veth.address, veth.prefix, veth.broadcast),
        Netlink::link_up(index, &veth.inside),
        Netlink::add_default_route(index, veth.gateway),
    ])
}

/// Removes what `ensure` made, or the part of it that there is. Blocking.
///
/// The interfaces go with the namespace, some moments later: the kernel removes those of many namespaces in
/// one go. Deleting the pair here would take 30 ms, one after the other, and hold up every attach meanwhile.
pub(crate) fn release(netns: &Path) -> Result<(), NetworkError> {
    netns::remove(netns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PortChange, Protocol};
    use expect_test::expect;

    #[test]
    fn one_web_server_and_one_resolver() {
        let node = Node {
            bridge: "berth0".to_owned(),
            table: "berth".to_owned(),
            subnet: "172.29.0.0/16".parse().unwrap(),
            mtu: 1450,
            run_dir: "/run/berth/netns".into(),
            redirects: Vec::new(),
        };
        let assigned = Assigned { ip: [172, 29, 1, 7].into(), veth: "bv0a1b2c3d4e5f".to_owned() };
        expect![[r#"
            namespace /run/berth/netns/web-1
              sysctl net.ipv6.conf.default.disable_ipv6 = 1
              sysctl net.ipv4.ip_unprivileged_port_start = 0
              sysctl net.ipv4.ping_group_range = 0 2147483647
              link lo up
            link bv0a1b2c3d4e5f on berth0, mtu 1450
              link eth0 02:be:ac:1d:01:07 mtu 1450 up
              address 172.29.1.7/16 broadcast 172.29.255.255
              route default via 172.29.0.1
        "#]]
        .assert_eq(&plan("web-1", &node, &assigned).to_string());

        let mappings = [
            PortMapping { container_port: 80, host_port: 0, protocol: Protocol::Tcp, in_range: false },
            PortMapping { container_port: 53, host_port: 53, protocol: Protocol::Udp, in_range: false },
        ];
        let bindings = bindings(&mappings, &[32768, 53]);
        let text: Vec<String> = bindings.iter().map(Binding::to_string).collect();
        assert_eq!(text, ["0.0.0.0:32768/tcp -> 80", "0.0.0.0:53/udp -> 53"]);
        let change = PortChange { remove: Vec::new(), add: routes(&bindings, assigned.ip).collect() };
        expect![[r#"
            add element ip berth ports { tcp . 32768 : 172.29.1.7 . 80, udp . 53 : 172.29.1.7 . 53 }
        "#]]
        .assert_eq(&change.text("berth"));
    }
}
