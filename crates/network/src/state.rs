//! Who has which address and which ports, in memory; the records on disk say the same.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::NetworkError;
use crate::plan::{HostPort, NetworkMode, PortMapping};
use crate::pools::{AddressPool, PortPool};
use crate::ports::{self, PortHold};
use crate::records::Record;

pub(crate) struct State {
    pub addresses: AddressPool,
    pub ports: PortPool,
    pub entries: HashMap<String, Entry>,
    pub doomed: Doomed,
    pub closed: bool,
}

/// Interfaces that go with their namespace by themselves, unless something still sits in it: a process that
/// outlived its container, or a socket that was handed out. Looked after by and by.
#[derive(Default)]
pub(crate) struct Doomed {
    fresh: Vec<String>,
    old: Vec<String>,
}

impl Doomed {
    pub fn add(&mut self, veth: String) {
        self.fresh.push(veth);
    }

    /// Those that had at least one whole round to go by themselves.
    pub fn overdue(&mut self) -> Vec<String> {
        std::mem::replace(&mut self.old, std::mem::take(&mut self.fresh))
    }
}

/// One container's record, and the sockets that keep its host ports ours.
pub(crate) struct Entry {
    pub record: Record,
    #[expect(dead_code, reason = "they work by being there")]
    pub holds: Vec<PortHold>,
}

impl State {
    /// Picks and holds one host port for each mapping: all of them, or an error and none.
    pub fn reserve(&mut self, id: &str, mode: NetworkMode, mappings: &[PortMapping]) -> Result<Reserved, NetworkError> {
        let mut reserved = Reserved { host_ports: vec![0; mappings.len()], holds: Vec::new() };
        // Those that name their port come first, so that a dynamic one cannot take it from under them.
        let mut order: Vec<usize> = (0..mappings.len()).collect();
        order.sort_by_key(|at| mode == NetworkMode::Bridge && mappings[*at].host_port == 0);
        let mut done = Vec::new();
        let mut order = order.into_iter();
        while let Some(at) = order.next() {
            // The first of a range has found room for all of it.
            let run = if mode == NetworkMode::Bridge { run_length(&mappings[at..]) } else { 1 };
            if run > 1 {
                match self.reserve_run(id, &mappings[at], run) {
                    Ok(held) => {
                        for (at, (port, hold)) in (at..).zip(held) {
                            reserved.host_ports[at] = port.port;
                            reserved.holds.push(hold);
                            done.push(port);
                        }
                        order.nth(run - 2);
                        continue;
                    }
                    Err(error) => {
                        done.into_iter().for_each(|port| self.ports.give_back(port, id));
                        return Err(error);
                    }
                }
            }
            match self.reserve_one(id, mode, &mappings[at]) {
                Ok((port, hold)) => {
                    reserved.host_ports[at] = port.port;
                    reserved.holds.extend(hold);
                    done.push(port);
                }
                Err(error) => {
                    done.into_iter().for_each(|port| self.ports.give_back(port, id));
                    return Err(error);
                }
            }
        }
        Ok(reserved)
    }

    fn reserve_one(
        &mut self,
        id: &str,
        mode: NetworkMode,
        mapping: &PortMapping,
    ) -> Result<(HostPort, Option<PortHold>), NetworkError> {
        let protocol = mapping.protocol;
        match (mode, mapping.host_port) {
            // The container's own process will listen there, so the port is only looked at.
            (NetworkMode::Host, _) => {
                let port = HostPort { protocol, port: mapping.container_port };
                self.reserve_static(id, port).map(|_| (port, None))
            }
            (_, 0) => self.reserve_dynamic(id, mapping).map(|(port, hold)| (port, Some(hold))),
            (_, port) => {
                let port = HostPort { protocol, port };
                self.reserve_static(id, port).map(|hold| (port, Some(hold)))
            }
        }
    }

    fn reserve_static(&mut self, id: &str, port: HostPort) -> Result<PortHold, NetworkError> {
        let HostPort { protocol, port: number } = port;
        self.ports.take(port, id).map_err(|holder| NetworkError::PortInUse {
            port: number,
            protocol,
            holder: Some(holder),
        })?;
        ports::hold_static(port).map_err(|error| {
            self.ports.give_back(port, id);
            match error.kind() {
                io::ErrorKind::AddrInUse => NetworkError::PortInUse { port: number, protocol, holder: None },
                _ => NetworkError::system("bind a host port")(error),
            }
        })
    }

    /// Neighbouring free ports, for a range of a container's.
    fn reserve_run(
        &mut self,
        id: &str,
        first: &PortMapping,
        count: usize,
    ) -> Result<Vec<(HostPort, PortHold)>, NetworkError> {
        let protocol = first.protocol;
        let free: Vec<u16> = self.ports.candidates(protocol).collect();
        let is_run = |ports: &&[u16]| ports.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        for ports in free.windows(count).filter(is_run) {
            let hold = |port: &u16| {
                let port = HostPort { protocol, port: *port };
                ports::hold_dynamic(port).map(|hold| (port, hold))
            };
            // Another program may have one of them.
            match ports.iter().map(hold).collect::<io::Result<Vec<_>>>() {
                Ok(held) => {
                    for (port, _) in &held {
                        self.ports.advance(port.port);
                        self.ports.take(*port, id).expect("candidates are free");
                    }
                    return Ok(held);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(NetworkError::system("bind a host port")(error)),
            }
        }
        let (first, last) = self.ports.range();
        Err(NetworkError::NoFreePort { protocol, first, last })
    }

    fn reserve_dynamic(&mut self, id: &str, mapping: &PortMapping) -> Result<(HostPort, PortHold), NetworkError> {
        let protocol = mapping.protocol;
        let mut found = None;
        for port in self.ports.candidates(protocol).map(|port| HostPort { protocol, port }) {
            match ports::hold_dynamic(port) {
                Ok(hold) => {
                    found = Some((port, hold));
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(NetworkError::system("bind a host port")(error)),
            }
        }
        let (first, last) = self.ports.range();
        let (port, hold) = found.ok_or(NetworkError::NoFreePort { protocol, first, last })?;
        self.ports.advance(port.port);
        self.ports.take(port, id).expect("candidates are free");
        Ok((port, hold))
    }

    /// Gives back everything that a container has.
    pub fn forget(&mut self, id: &str) {
        let Some(Entry { record, holds: _ }) = self.entries.remove(id) else { return };
        if let Some(link) = record.link {
            self.addresses.give_back(link.ip, id);
            self.doomed.add(link.veth);
        }
        for binding in record.published.iter().flat_map(|published| &published.bindings) {
            self.ports.give_back(binding.host(), id);
        }
    }
}

/// How many mappings from here on are one range.
fn run_length(mappings: &[PortMapping]) -> usize {
    let Some(first) = mappings.first().filter(|mapping| mapping.host_port == 0 && mapping.in_range) else { return 1 };
    let next = |(at, mapping): (usize, &PortMapping)| {
        mapping.in_range
            && mapping.host_port == 0
            && mapping.protocol == first.protocol
            && usize::from(mapping.container_port) == usize::from(first.container_port) + at
    };
    mappings.iter().enumerate().take_while(|&(at, mapping)| next((at, mapping))).count()
}

/// Host ports in the order of the mappings, and what holds them. Dropping the holds frees the ports of the
/// host, not of the pool.
pub(crate) struct Reserved {
    pub host_ports: Vec<u16>,
    pub holds: Vec<PortHold>,
}

/// One lock per container: what is done to one container is done in turn, and nobody else waits.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<String, Arc<Mutex<()>>>>);

impl Gates {
    /// Runs `work` while nobody else works on this container. Blocking.
    pub fn pass<T>(&self, id: &str, work: impl FnOnce() -> T) -> T {
        let gate = self.lock().entry(id.to_owned()).or_default().clone();
        let answer = {
            // The lock guards no data, so a panic of an earlier holder broke nothing.
            let _turn = gate.lock().unwrap_or_else(PoisonError::into_inner);
            work()
        };
        let mut gates = self.lock();
        // Two: the map's and ours. With more, somebody waits and will come by here.
        if Arc::strong_count(&gate) == 2 {
            gates.remove(id);
        }
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_at_a_time_per_container_and_no_gate_stays() {
        let gates = Gates::default();
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    gates.pass("a", || {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        gates.pass("b", std::thread::yield_now);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    })
                });
            }
        });
        assert!(gates.lock().is_empty());
    }
}
