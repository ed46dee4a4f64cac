//! The pure planner's words: ports, addresses, and a plan that reads as text.
//!
//! A plan says everything that will be done for one container. It is a value: golden tests compare its text,
//! and `modes/` carry it out.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Redirect, Subnet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Where a container's packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A namespace with an interface on our bridge; host ports are mapped inside.
    Bridge,
    /// The host's own namespace.
    Host,
    /// A namespace with a loopback and no way out.
    None,
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
        })
    }
}

/// A port mapping as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    pub container_port: u16,
    /// 0 asks for any free port of the dynamic range.
    pub host_port: u16,
    pub protocol: Protocol,
    /// Its neighbours in the list that are so too, and have the next container ports, get the next host ports.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_range: bool,
}

/// A port mapping as made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The host addresses that answer; `0.0.0.0` is all of them.
    pub bind_ip: Ipv4Addr,
    pub container_port: u16,
    pub host_port: u16,
    pub protocol: Protocol,
}

impl Binding {
    /// All addresses of the host answer.
    pub(crate) fn new(mapping: &PortMapping, host_port: u16) -> Self {
        let PortMapping { container_port, protocol, .. } = *mapping;
        Self { bind_ip: Ipv4Addr::UNSPECIFIED, container_port, host_port, protocol }
    }

    pub(crate) fn host(&self) -> HostPort {
        HostPort { protocol: self.protocol, port: self.host_port }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bind_ip, container_port, host_port, protocol } = self;
        write!(f, "{bind_ip}:{host_port}/{protocol} -> {container_port}")
    }
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address that goes with an IP of ours. Equal IPs give equal MACs, so a neighbour that remembers
    /// the previous holder of an address still reaches the next one.
    pub fn for_ip(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        Self([0x02, 0xbe, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What planning must know about the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub bridge: String,
    pub table: String,
    pub subnet: Subnet,
    /// Bytes; that of the host's uplink when it is smaller than 1,500.
    pub mtu: u32,
    pub run_dir: PathBuf,
    pub redirects: Vec<Redirect>,
}

/// What was picked for a container: nothing here is decided by the planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    pub ip: Ipv4Addr,
    /// The host's end of the veth pair. New for every use: the kernel removes a namespace's interfaces
    /// some time after the namespace, and the old name may still be there.
    pub veth: String,
}

/// A pair of interfaces: `host` on the bridge, `inside` in the container's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethPlan {
    pub host: String,
    pub bridge: String,
    pub inside: String,
    pub mac: Mac,
    pub mtu: u32,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub broadcast: Ipv4Addr,
    pub gateway: Ipv4Addr,
}

/// Everything to be done for one container. `host` mode plans neither namespace nor interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetPlan {
    pub netns: Option<PathBuf>,
    pub sysctls: Vec<(&'static str, &'static str)>,
    pub veth: Option<VethPlan>,
}

impl fmt::Display for NetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.netns {
            Some(path) => writeln!(f, "namespace {}", path.display())?,
            None => writeln!(f, "namespace of the host")?,
        }
        for (name, value) in &self.sysctls {
            writeln!(f, "  sysctl {name} = {value}")?;
        }
        if self.netns.is_some() {
            writeln!(f, "  link lo up")?;
        }
        if let Some(v) = &self.veth {
            writeln!(f, "link {} on {}, mtu {}", v.host, v.bridge, v.mtu)?;
            writeln!(f, "  link {} {} mtu {} up", v.inside, v.mac, v.mtu)?;
            writeln!(f, "  address {}/{} broadcast {}", v.address, v.prefix, v.broadcast)?;
            writeln!(f, "  route default via {}", v.gateway)?;
        }
        Ok(())
    }
}

/// A host port, the key of the port map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    pub protocol: Protocol,
    pub port: u16,
}

/// Where a host port leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    pub ip: Ipv4Addr,
    pub port: u16,
}

/// Every host port of this node that leads into a container.
pub type PortMap = BTreeMap<HostPort, Target>;

/// The name of the map inside our table.
pub(crate) const PORTS: &str = "ports";

/// One transaction that replaces our whole table, whatever was there before.
///
/// Adding the table first makes the deletion succeed also when there was none.
pub fn table_text(node: &Node, ports: &PortMap) -> String {
    let Node { bridge, table, subnet, .. } = node;
    let mut text = format!(
        r#"table ip {table} {{}}
delete table ip {table}
table ip {table} {{
  map {PORTS} {{
    type inet_proto . inet_service : ipv4_addr . inet_service;
  }}
  chain guard {{
    type filter hook prerouting priority -300; policy accept;
    # The bridge routes 127.0.0.0/8 so that answers to the host's loopback find back; containers may not use that.
    iifname "{bridge}" ip daddr 127.0.0.0/8 drop
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local dnat ip to meta l4proto . th dport map @{PORTS}
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local dnat ip to meta l4proto . th dport map @{PORTS}
  }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    # From elsewhere only published ports and answers come in.
    iifname != "{bridge}" oifname "{bridge}" ct status dnat accept
    iifname != "{bridge}" oifname "{bridge}" ct state established,related accept
    iifname != "{bridge}" oifname "{bridge}" drop
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade
    oifname "{bridge}" ip saddr {subnet} ct status dnat masquerade
    oifname != "{bridge}" ip saddr {subnet} masquerade
  }}
"#
    );
    redirect_text(node, &mut text);
    text.push_str("}\n");
    text.push_str(&add_text(table, ports.iter().map(|(from, to)| (*from, *to))));
    text
}

/// Another agent on this host may lead the same address to itself. Its rules see every packet; ours come before them for
/// packets from our bridge, which are none of its business, and after them for those of the host.
fn redirect_text(node: &Node, text: &mut String) {
    if node.redirects.is_empty() {
        return;
    }
    let bridge = format!("iifname \"{}\" ", node.bridge);
    for (chain, hook, priority, only) in
        [("redirected", "prerouting", -101, bridge.as_str()), ("redirected_output", "output", -99, "")]
    {
        writeln!(text, "  chain {chain} {{").expect("writing to a string");
        writeln!(text, "    type nat hook {hook} priority {priority}; policy accept;").expect("writing to a string");
        for Redirect { from, to_port } in &node.redirects {
            let (ip, port) = (from.ip(), from.port());
            writeln!(text, "    {only}ip daddr {ip} tcp dport {port} dnat to 127.0.0.1:{to_port}")
                .expect("writing to a string");
        }
        text.push_str("  }\n");
    }
}

/// What one transaction does to the port map: first the removals, then the additions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortChange {
    pub remove: Vec<HostPort>,
    pub add: Vec<(HostPort, Target)>,
}

impl PortChange {
    /// What turns `before` into `after`. A port that leads elsewhere is removed and added.
    pub fn between(before: &PortMap, after: &PortMap) -> Self {
        let stale = before.iter().filter(|(from, to)| after.get(from) != Some(to));
        let fresh = after.iter().filter(|(from, to)| before.get(from) != Some(to));
        Self { remove: stale.map(|(from, _)| *from).collect(), add: fresh.map(|(from, to)| (*from, *to)).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }

    /// The same change in the words of `nft`, for people and for golden tests.
    pub fn text(&self, table: &str) -> String {
        delete_text(table, self.remove.iter().copied()) + &add_text(table, self.add.iter().copied())
    }
}

fn delete_text(table: &str, ports: impl Iterator<Item = HostPort>) -> String {
    let elements: Vec<String> = ports.map(|p| format!("{} . {}", p.protocol, p.port)).collect();
    statement("delete", table, &elements)
}

fn add_text(table: &str, ports: impl Iterator<Item = (HostPort, Target)>) -> String {
    let elements: Vec<String> =
        ports.map(|(from, to)| format!("{} . {} : {} . {}", from.protocol, from.port, to.ip, to.port)).collect();
    statement("add", table, &elements)
}

fn statement(verb: &str, table: &str, elements: &[String]) -> String {
    let mut text = String::new();
    if !elements.is_empty() {
        writeln!(text, "{verb} element ip {table} {PORTS} {{ {} }}", elements.join(", ")).expect("writing to a string");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{expect, expect_file};

    fn node() -> Node {
        Node {
            bridge: "berth0".to_owned(),
            table: "berth".to_owned(),
            subnet: "172.29.0.0/16".parse().unwrap(),
            mtu: 1500,
            run_dir: "/run/berth/netns".into(),
            redirects: vec![Redirect { from: "169.254.170.2:80".parse().unwrap(), to_port: 51679 }],
        }
    }

    fn ports(entries: &[(Protocol, u16, u8, u16)]) -> PortMap {
        entries
            .iter()
            .map(|(protocol, port, host, inside)| {
                let to = Target { ip: Ipv4Addr::new(172, 29, 0, *host), port: *inside };
                (HostPort { protocol: *protocol, port: *port }, to)
            })
            .collect()
    }

    #[test]
    fn whole_table() {
        let map = ports(&[(Protocol::Tcp, 32768, 2, 80), (Protocol::Udp, 53, 3, 53)]);
        expect_file!["../tests/net/bridge.nft"].assert_eq(&table_text(&node(), &map));
    }

    #[test]
    fn changes_name_only_what_differs() {
        let check = |before: &[_], after: &[_], expected: expect_test::Expect| {
            expected.assert_eq(&PortChange::between(&ports(before), &ports(after)).text("berth"));
        };
        let (a, b) = ((Protocol::Tcp, 32768, 2, 80), (Protocol::Udp, 53, 3, 53));
        check(&[a], &[a], expect![""]);
        check(
            &[],
            &[a, b],
            expect![[r#"
            add element ip berth ports { tcp . 32768 : 172.29.0.2 . 80, udp . 53 : 172.29.0.3 . 53 }
        "#]],
        );
        check(
            &[a, b],
            &[b],
            expect![[r#"
            delete element ip berth ports { tcp . 32768 }
        "#]],
        );
        check(
            &[a],
            &[(Protocol::Tcp, 32768, 9, 8080)],
            expect![[r#"
            delete element ip berth ports { tcp . 32768 }
            add element ip berth ports { tcp . 32768 : 172.29.0.9 . 8080 }
        "#]],
        );
    }
}
