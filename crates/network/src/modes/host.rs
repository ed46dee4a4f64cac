//! `host` mode: the container shares the host's interfaces, addresses and ports. There is nothing to make.

use crate::plan::{Binding, NetPlan, PortMapping};

/// The plan of a container in `host` mode: no namespace of its own.
pub fn plan() -> NetPlan {
    NetPlan { netns: None, sysctls: Vec::new(), veth: None }
}

/// In `host` mode the container port is the host port, whatever was asked.
pub fn bindings(mappings: &[PortMapping]) -> Vec<Binding> {
    mappings.iter().map(|mapping| Binding::new(mapping, mapping.container_port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Protocol;

    #[test]
    fn the_container_port_is_the_host_port() {
        let mapping = PortMapping { container_port: 80, host_port: 0, protocol: Protocol::Tcp, in_range: false };
        assert_eq!(bindings(&[mapping])[0].to_string(), "0.0.0.0:80/tcp -> 80");
        assert_eq!(plan().to_string(), "namespace of the host\n");
    }
}
