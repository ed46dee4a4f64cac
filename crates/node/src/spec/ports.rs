//! Network mode and port mappings, as the network knows them.

use agent::plan::{ContainerPlan, TaskPlan};
use network::{NetworkMode, PortMapping, Protocol};
use task_engine::Failure;

use crate::failure;

/// The plan has no others.
pub fn mode(task: &TaskPlan) -> NetworkMode {
    match task.payload.network_mode.as_deref() {
        Some("host") => NetworkMode::Host,
        Some("none") => NetworkMode::None,
        _ => NetworkMode::Bridge,
    }
}

/// A range of ports becomes one mapping for each, whose host ports are neighbours.
pub fn port_mappings(plan: &ContainerPlan) -> Result<Vec<PortMapping>, Failure> {
    let mut mappings = Vec::new();
    for given in &plan.payload.port_mappings {
        let protocol = match given.protocol.as_deref() {
            None | Some("" | "tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            Some(other) => return Err(failure::create(format!("invalid proto: {other}"))),
        };
        let host_port = port(given.host_port.unwrap_or(0))?;
        match &given.container_port_range {
            None => {
                let container_port = port(given.container_port.unwrap_or(0))?;
                mappings.push(PortMapping { container_port, host_port, protocol, in_range: false });
            }
            Some(text) => {
                let range = range(text)?;
                mappings.extend(range.map(|container_port| PortMapping {
                    container_port,
                    host_port: 0,
                    protocol,
                    in_range: true,
                }));
            }
        }
    }
    Ok(mappings)
}

/// What is told of the ports that were published: a range is one.
pub fn told(plan: &ContainerPlan, bindings: &[network::Binding]) -> Vec<task_engine::Binding> {
    let mut found = Vec::new();
    let mut rest = bindings;
    for given in &plan.payload.port_mappings {
        let count = match &given.container_port_range {
            None => 1,
            Some(text) => range(text).map_or(1, |range| range.count()),
        };
        let (own, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        let Some((first, last)) = own.first().zip(own.last()) else { continue };
        found.push(task_engine::Binding {
            bind_ip: first.bind_ip.to_string(),
            container_port: first.container_port,
            host_port: first.host_port,
            protocol: first.protocol.to_string(),
            to: given.container_port_range.as_ref().map(|_| (last.container_port, last.host_port)),
        });
    }
    found
}

fn range(text: &str) -> Result<std::ops::RangeInclusive<u16>, Failure> {
    let invalid = || failure::create(format!("invalid range format for --publish: {text}"));
    let (first, last) = text.split_once('-').ok_or_else(invalid)?;
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(invalid()),
    }
}

fn port(number: i64) -> Result<u16, Failure> {
    u16::try_from(number).map_err(|_| failure::create(format!("invalid port specification: \"{number}\"")))
}
