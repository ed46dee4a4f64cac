//! Which instances could take the task at all.

use model::ContainerInstanceStatus;
use model::task::LaunchType;

use crate::{Candidate, Request, Shortage};

/// The first thing that keeps the task off this instance; nothing when it fits.
pub(crate) fn shortage(candidate: &Candidate, request: &Request) -> Option<Shortage> {
    standing(candidate, request).or_else(|| room(candidate, request))
}

/// What no amount of free resources would help.
fn standing(candidate: &Candidate, request: &Request) -> Option<Shortage> {
    let instance = &candidate.instance;
    if instance.status != ContainerInstanceStatus::Active {
        return Some(Shortage::NotActive { status: instance.status.as_str() });
    }
    if !instance.agent_connected {
        return Some(Shortage::AgentDisconnected);
    }
    if instance.is_external() != (request.launch_type == LaunchType::External) {
        return Some(Shortage::LaunchType);
    }
    let missing = request.requires_attributes.iter().find(|wanted| match &wanted.value {
        Some(value) => instance.attribute(&wanted.name) != Some(value),
        None => !instance.has_attribute(&wanted.name),
    });
    if let Some(missing) = missing {
        return Some(Shortage::Attribute { name: missing.name.clone() });
    }
    if let Some(unmet) = request.member_of.iter().find(|expression| !expression.matches(candidate)) {
        return Some(Shortage::MemberOf { expression: unmet.to_string() });
    }
    None
}

/// What other tasks hold.
fn room(candidate: &Candidate, request: &Request) -> Option<Shortage> {
    if request.distinct_instance && candidate.tasks_of_group > 0 {
        return Some(Shortage::DistinctInstance);
    }
    let wanted = &request.reservation;
    if wanted.cpu > candidate.cpu_free {
        return Some(Shortage::Cpu { wanted: wanted.cpu, free: candidate.cpu_free });
    }
    if wanted.memory > candidate.memory_free {
        return Some(Shortage::Memory { wanted: wanted.memory, free: candidate.memory_free });
    }
    wanted.ports.iter().find(|port| candidate.port_is_taken(port)).map(|port| Shortage::Port(*port))
}
