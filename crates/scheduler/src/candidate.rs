//! One instance as the scheduler sees it during a round: what is registered, and what is taken, this round's placements included.

use std::sync::Arc;

use model::resources::Protocol;
use model::{ContainerInstance, CpuUnits, MemoryMib, PortReservation};
use state::{Load, Snapshot};

use crate::Request;

#[derive(Clone, Debug)]
pub struct Candidate {
    pub instance: Arc<ContainerInstance>,
    pub load: Load,
}

impl Candidate {
    pub fn new(snapshot: &Snapshot, instance: &Arc<ContainerInstance>) -> Self {
        Candidate { instance: Arc::clone(instance), load: snapshot.load(instance).clone() }
    }

    pub fn cpu_free(&self) -> CpuUnits {
        self.instance.registered.cpu - self.load.cpu
    }

    pub fn memory_free(&self) -> MemoryMib {
        self.instance.registered.memory - self.load.memory
    }

    pub fn gpus_free(&self) -> u32 {
        (self.instance.registered.gpus.len() as u32).saturating_sub(self.load.gpus)
    }

    /// Nothing when the instance sets no bound.
    pub fn network_interfaces_free(&self) -> Option<u32> {
        Some(self.instance.registered.network_interfaces?.saturating_sub(self.load.network_interfaces))
    }

    /// True when the instance keeps that port for itself, or a task has it.
    pub fn port_is_taken(&self, wanted: &PortReservation) -> bool {
        let reserved = match wanted.protocol {
            Protocol::Tcp => &self.instance.registered.ports_tcp,
            Protocol::Udp => &self.instance.registered.ports_udp,
        };
        reserved.contains(&wanted.port) || self.load.ports.contains_key(wanted)
    }

    pub(crate) fn take(&mut self, request: &Request) {
        self.load.plan(&request.reservation, &request.group);
    }
}
