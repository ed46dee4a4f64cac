//! One instance as the scheduler sees it during a round: what is registered, and what is taken, this round's placements included.

use std::sync::Arc;

use model::{ContainerInstance, CpuUnits, MemoryMib, PortReservation, Reservation};
use state::{Ports, Snapshot};

#[derive(Clone, Debug)]
pub struct Candidate {
    pub instance: Arc<ContainerInstance>,
    pub cpu_free: CpuUnits,
    pub memory_free: MemoryMib,
    ports_taken: Ports,
    /// Live tasks of the group that is being placed.
    pub tasks_of_group: u32,
    pub tasks: u32,
}

impl Candidate {
    pub fn new(snapshot: &Snapshot, instance: &Arc<ContainerInstance>, group: &str) -> Self {
        let load = snapshot.load(instance);
        Candidate {
            instance: Arc::clone(instance),
            cpu_free: instance.registered.cpu - load.cpu,
            memory_free: instance.registered.memory - load.memory,
            ports_taken: load.ports.clone(),
            tasks_of_group: load.tasks_of_group(group),
            tasks: load.tasks(),
        }
    }

    /// True when the instance keeps that port for itself, or a task has it.
    pub fn port_is_taken(&self, wanted: &PortReservation) -> bool {
        use model::resources::Protocol;
        let reserved = match wanted.protocol {
            Protocol::Tcp => &self.instance.registered.ports_tcp,
            Protocol::Udp => &self.instance.registered.ports_udp,
        };
        reserved.contains(&wanted.port) || self.ports_taken.contains_key(wanted)
    }

    pub fn take(&mut self, reservation: &Reservation) {
        self.cpu_free = self.cpu_free - reservation.cpu;
        self.memory_free = self.memory_free - reservation.memory;
        self.ports_taken.extend(reservation.ports.iter().map(|port| (*port, 1u32)));
        self.tasks_of_group += 1;
        self.tasks += 1;
    }
}
