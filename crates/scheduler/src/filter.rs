//! Which instances could take the task at all.

use std::collections::BTreeMap;

use model::task::LaunchType;
use model::{ContainerInstance, ContainerInstanceStatus, Reservation};

use crate::{Candidate, Request, Shortage};

/// A daemon whose room is not given away.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub daemon: Request,
    /// What its older tasks hold that a new one will take over, by instance.
    pub succeeds: BTreeMap<String, Reservation>,
}

/// The first thing that keeps the task off this instance; nothing when it fits. `kept` are daemons whose room is not given
/// away.
pub(crate) fn shortage(candidate: &Candidate, request: &Request, kept: &[Kept]) -> Option<Shortage> {
    standing(&candidate.instance, request)
        .or_else(|| request.member_of.iter().find(|one| !one.matches(candidate)).map(Shortage::member_of))
        .or_else(|| room(candidate, request, kept))
}

/// What depends on the record of the instance alone.
pub(crate) fn standing(instance: &ContainerInstance, request: &Request) -> Option<Shortage> {
    if instance.status != ContainerInstanceStatus::Active {
        return Some(Shortage::NotActive { status: instance.status.as_str() });
    }
    if !instance.agent_connected {
        return Some(Shortage::AgentDisconnected);
    }
    if instance.has_disk_pressure() {
        return Some(Shortage::DiskPressure);
    }
    let may = match request.launch_type {
        LaunchType::Ec2 => !instance.is_external(),
        LaunchType::External => instance.is_external(),
        // Fargate has a pool of its own, and no instance that a cluster knows belongs to it.
        LaunchType::Fargate => false,
    };
    if !may {
        return Some(Shortage::LaunchType);
    }
    let missing = request.requires_attributes.iter().find(|wanted| match &wanted.value {
        Some(value) => instance.attribute(&wanted.name) != Some(value),
        None => !instance.has_attribute(&wanted.name),
    });
    missing.map(|missing| Shortage::Attribute { name: missing.name.clone() })
}

/// What other tasks hold, and what is kept for daemons.
pub(crate) fn room(candidate: &Candidate, request: &Request, kept: &[Kept]) -> Option<Shortage> {
    if request.distinct_instance && candidate.load.tasks_of_group(&request.group) > 0 {
        return Some(Shortage::DistinctInstance);
    }
    let wanted = &request.reservation;
    let kept = kept_room(candidate, request, kept);
    let (cpu, memory) = (candidate.cpu_free() - kept.cpu, candidate.memory_free() - kept.memory);
    if wanted.cpu > cpu {
        return Some(Shortage::Cpu { wanted: wanted.cpu, free: cpu });
    }
    if wanted.memory > memory {
        return Some(Shortage::Memory { wanted: wanted.memory, free: memory });
    }
    let port = wanted.ports.iter().find(|port| candidate.port_is_taken(port) || kept.ports.contains(port));
    if let Some(port) = port {
        return Some(Shortage::Port(*port));
    }
    let gpus = candidate.gpus_free().saturating_sub(kept.gpus);
    if wanted.gpus > gpus {
        return Some(Shortage::Gpu { wanted: wanted.gpus, free: gpus });
    }
    let interfaces = candidate.network_interfaces_free()?.saturating_sub(kept.network_interfaces);
    (wanted.network_interfaces > interfaces).then_some(Shortage::NetworkInterface)
}

/// The room of the daemons that belong on this instance and are not there yet, and what their new tasks need beyond the old
/// ones that they follow.
fn kept_room(candidate: &Candidate, request: &Request, kept: &[Kept]) -> Reservation {
    let (mut room, nothing) = (Reservation::default(), Reservation::default());
    for Kept { daemon, succeeds } in kept.iter().filter(|kept| kept.daemon.group != request.group) {
        let held = match succeeds.get(&candidate.instance.id) {
            _ if candidate.load.tasks_of_group(&daemon.group) == 0 => &nothing,
            Some(held) => held,
            None => continue,
        };
        let belongs = standing(&candidate.instance, daemon).is_none()
            && daemon.member_of.iter().all(|expression| expression.matches(candidate));
        if !belongs {
            continue;
        }
        let wanted = &daemon.reservation;
        room.cpu = room.cpu + (wanted.cpu - held.cpu);
        room.memory = room.memory + (wanted.memory - held.memory);
        room.ports.extend(wanted.ports.iter().filter(|port| !held.ports.contains(port)));
        room.gpus += wanted.gpus.saturating_sub(held.gpus);
        room.network_interfaces += wanted.network_interfaces.saturating_sub(held.network_interfaces);
    }
    room
}
