//! What an instance has, and what a task takes of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{CpuUnits, MemoryMib};

/// What an instance registered: the whole of it, and the ports it keeps for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    pub cpu: CpuUnits,
    pub memory: MemoryMib,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports_tcp: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports_udp: BTreeSet<u16>,
    /// The ids of its GPUs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gpus: BTreeSet<String>,
    /// How many tasks with a network interface of their own it has room for. Nothing when it sets no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interfaces: Option<u32>,
}

/// What one task holds on its instance until it has stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    #[serde(default, skip_serializing_if = "CpuUnits::is_zero")]
    pub cpu: CpuUnits,
    #[serde(default, skip_serializing_if = "MemoryMib::is_zero")]
    pub memory: MemoryMib,
    /// The fixed host ports. Dynamic ones are the node's business and are never short.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortReservation>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// One for a task in the network mode `awsvpc`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub network_interfaces: u32,
}

impl Reservation {
    /// Both together.
    pub fn add(&mut self, other: &Reservation) {
        self.cpu = self.cpu + other.cpu;
        self.memory = self.memory + other.memory;
        self.ports.extend(&other.ports);
        self.gpus += other.gpus;
        self.network_interfaces += other.network_interfaces;
    }

    /// Nothing of it is more than the other has.
    pub fn fits_within(&self, other: &Reservation) -> bool {
        self.cpu <= other.cpu
            && self.memory <= other.memory
            && self.ports.iter().all(|port| other.ports.contains(port))
            && self.gpus <= other.gpus
            && self.network_interfaces <= other.network_interfaces
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortReservation {
    pub port: u16,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}
