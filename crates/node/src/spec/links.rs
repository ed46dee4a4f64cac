//! What a container is told of those it has links to, in its environment. The rules and names are Docker's.

use std::net::Ipv4Addr;

use agent::plan::TaskPlan;
use images::ImageConfig;

/// A container that others have links to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub ip: Ipv4Addr,
    /// The ports of its image, `80/tcp`.
    pub exposed: Vec<String>,
    pub environment: Vec<String>,
}

impl Peer {
    pub fn new(ip: Ipv4Addr, image: &ImageConfig) -> Peer {
        Peer { ip, exposed: image.exposed_ports.clone(), environment: image.environment.clone() }
    }
}

/// One link's variables: `DB_PORT_5432_TCP_ADDR` and so on, for the alias `db`.
pub fn variables(task: &TaskPlan, index: usize, link: &str, peer: &Peer) -> Vec<String> {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    let Some(linked) = task.index_of(name) else { return Vec::new() };
    let prefix = alias.to_uppercase().replace('-', "_");
    let ports = ports(task, linked, peer);
    let mut found = Vec::new();
    let ip = peer.ip;
    if let Some((port, protocol)) = ports.first() {
        found.push(format!("{prefix}_PORT={protocol}://{ip}:{port}"));
    }
    let mut at = 0;
    while let Some(&(first, protocol)) = ports.get(at) {
        let run = ports[at..]
            .iter()
            .zip(first..)
            .take_while(|((port, kind), next)| port == next && *kind == protocol)
            .count();
        let upper = protocol.to_uppercase();
        let key = format!("{prefix}_PORT_{first}_{upper}");
        if run == 1 {
            found.push(format!("{key}={protocol}://{ip}:{first}"));
            found.push(format!("{key}_ADDR={ip}"));
            found.push(format!("{key}_PORT={first}"));
            found.push(format!("{key}_PROTO={protocol}"));
        } else {
            let (last, _) = ports[at + run - 1];
            found.push(format!("{key}_START={protocol}://{ip}:{first}"));
            found.push(format!("{key}_ADDR={ip}"));
            found.push(format!("{key}_PROTO={protocol}"));
            found.push(format!("{key}_PORT_START={first}"));
            found.push(format!("{prefix}_PORT_{first}_{upper}_END={protocol}://{ip}:{last}"));
            found.push(format!("{key}_PORT_END={last}"));
        }
        at += run;
    }
    found.push(format!("{prefix}_NAME=/{}/{alias}", task.containers[index].docker_name));
    let given = task.containers[linked].payload.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let mut told: Vec<String> = Vec::new();
    for pair in peer.environment.iter().cloned().chain(given) {
        let name = pair.split('=').next().unwrap_or_default().to_owned();
        if !["HOME", "PATH"].contains(&name.as_str()) {
            told.retain(|known| known.split('=').next() != Some(&name));
            told.push(pair);
        }
    }
    found.extend(told.into_iter().map(|pair| format!("{prefix}_ENV_{pair}")));
    found
}

/// The image's and the mapped ones, TCP before UDP, each once.
fn ports(task: &TaskPlan, linked: usize, peer: &Peer) -> Vec<(u16, &'static str)> {
    let exposed = peer.exposed.iter().filter_map(|text| {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        Some((port.parse().ok()?, if protocol == "udp" { "udp" } else { "tcp" }))
    });
    let mapped = task.containers[linked].payload.port_mappings.iter().filter_map(|mapping| {
        let port = u16::try_from(mapping.container_port?).ok()?;
        Some((port, if mapping.protocol.as_deref() == Some("udp") { "udp" } else { "tcp" }))
    });
    let mut all: Vec<(u16, &'static str)> = exposed.chain(mapped).collect();
    all.sort_by_key(|(port, protocol)| (*protocol, *port));
    all.dedup();
    all
}
