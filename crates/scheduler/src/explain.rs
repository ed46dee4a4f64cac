//! Why an instance was not chosen.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use model::{ContainerInstanceArn, CpuUnits, MemoryMib, PortReservation};

use crate::filter::{Kept, shortage};
use crate::{Candidate, Expression, Request};

/// An instance, and the first thing that speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub instance: ContainerInstanceArn,
    pub why: Shortage,
}

/// Listed as the filter asks: what no other choice of tasks could change comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    NotActive { status: &'static str },
    AgentDisconnected,
    DiskPressure,
    LaunchType,
    Attribute { name: String },
    MemberOf { expression: String },
    DistinctInstance,
    Cpu { wanted: CpuUnits, free: CpuUnits },
    Memory { wanted: MemoryMib, free: MemoryMib },
    Port(PortReservation),
    Gpu { wanted: u32, free: u32 },
    NetworkInterface,
}

/// Why a task could not be placed: every instance with the first thing that speaks against it, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    pub rejections: Vec<Rejection>,
}

impl Explanation {
    /// Of these candidates.
    pub fn of<'a>(candidates: impl IntoIterator<Item = &'a Candidate>, request: &Request) -> Explanation {
        Explanation::with_room_kept(candidates, request, &[])
    }

    pub(crate) fn with_room_kept<'a>(
        candidates: impl IntoIterator<Item = &'a Candidate>,
        request: &Request,
        kept: &[Kept],
    ) -> Explanation {
        let why = |candidate: &Candidate| {
            let why = shortage(candidate, request, kept)?;
            Some(Rejection { instance: candidate.instance.arn(), why })
        };
        Explanation { rejections: candidates.into_iter().filter_map(why).collect() }
    }

    /// The instance that came closest: where the filter got farthest, then where the least was missing.
    pub fn closest(&self) -> Option<&Rejection> {
        self.rejections.iter().min_by_key(|rejection| rejection.why.distance())
    }

    /// All of them, the closest first.
    pub fn by_closeness(mut self) -> Vec<Rejection> {
        self.rejections.sort_by_key(|rejection| rejection.why.distance());
        self.rejections
    }

    /// How many instances each reason keeps out, the commonest first.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for rejection in &self.rejections {
            *counts.entry(rejection.why.reason()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        counts
    }
}

/// For a person: how many for which reason, who came closest, and then everyone.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(closest) = self.closest() else {
            return writeln!(f, "The cluster has no container instances.");
        };
        for (reason, count) in self.counts() {
            writeln!(f, "{count} of {}: {reason}", self.rejections.len())?;
        }
        writeln!(f, "closest: {}: {}", closest.instance.id, closest.why)?;
        for rejection in &self.rejections {
            writeln!(f, "{}: {}", rejection.instance.id, rejection.why)?;
        }
        Ok(())
    }
}

impl Shortage {
    /// The `reason` of a failure, as RunTask and StartTask answer it.
    ///
    /// Source: Amazon ECS Developer Guide, "API failure reasons".
    pub fn reason(&self) -> &'static str {
        match self {
            Shortage::NotActive { .. } => "INACTIVE",
            Shortage::AgentDisconnected => "AGENT",
            // ECS knows no such reason; what its clients know is that an attribute is in the way.
            Shortage::DiskPressure | Shortage::LaunchType | Shortage::Attribute { .. } => "ATTRIBUTE",
            Shortage::MemberOf { .. } => "MemberOf placement constraint unsatisfied.",
            Shortage::DistinctInstance => "DistinctInstance placement constraint unsatisfied.",
            Shortage::Cpu { .. } => "RESOURCE:CPU",
            Shortage::Memory { .. } => "RESOURCE:MEMORY",
            Shortage::Port(_) => "RESOURCE:PORTS",
            Shortage::Gpu { .. } => "RESOURCE:GPU",
            Shortage::NetworkInterface => "RESOURCE:ENI",
        }
    }

    /// What a service says in its event, as ECS words it.
    pub fn sentence(&self) -> String {
        match self {
            Shortage::NotActive { status } => format!("is {status} and takes no new tasks"),
            Shortage::AgentDisconnected => "encountered error \"AGENT\"".into(),
            Shortage::DiskPressure => "has a disk that is nearly full".into(),
            Shortage::LaunchType => "is of another launch type".into(),
            Shortage::Attribute { .. } => "is missing an attribute required by your task".into(),
            Shortage::MemberOf { .. } | Shortage::DistinctInstance => "does not meet the placement constraints".into(),
            Shortage::Cpu { .. } => "has insufficient CPU units available".into(),
            Shortage::Memory { .. } => "has insufficient memory available".into(),
            Shortage::Port(_) => "is already using a port required by your task".into(),
            Shortage::Gpu { .. } => "has insufficient GPUs available".into(),
            Shortage::NetworkInterface => "encountered error \"RESOURCE:ENI\"".into(),
        }
    }
}

/// The numbers behind the sentence, for a person who wants to know exactly.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::NotActive { status } => write!(f, "the instance is {status}"),
            Shortage::AgentDisconnected => write!(f, "the agent of the instance is not connected"),
            Shortage::DiskPressure => {
                write!(f, "its disk is nearly full, and it takes no new tasks until there is room again")
            }
            Shortage::LaunchType => write!(f, "the instance is of another launch type"),
            Shortage::Attribute { name } => write!(f, "the attribute {name} is missing"),
            Shortage::MemberOf { expression } => write!(f, "it does not satisfy memberOf({expression})"),
            Shortage::DistinctInstance => write!(f, "it has a task of this group already (distinctInstance)"),
            Shortage::Cpu { wanted, free } => write!(f, "{wanted} CPU units wanted, {free} free"),
            Shortage::Memory { wanted, free } => write!(f, "{wanted} MiB of memory wanted, {free} MiB free"),
            Shortage::Port(port) => write!(f, "port {}/{} is in use", port.port, port.protocol.as_str()),
            Shortage::Gpu { wanted, free } => write!(f, "{wanted} GPUs wanted, {free} free"),
            Shortage::NetworkInterface => write!(f, "no network interface is free"),
        }
    }
}

impl Shortage {
    pub(crate) fn member_of(expression: &Expression) -> Shortage {
        Shortage::MemberOf { expression: expression.to_string() }
    }

    /// How far the filter got before it gave up: the instance with the lowest number came closest. Then, how much is missing.
    fn distance(&self) -> (u8, u32) {
        match self {
            Shortage::NetworkInterface => (0, 1),
            Shortage::Gpu { wanted, free } => (1, wanted - free),
            Shortage::Port(_) => (2, 1),
            Shortage::Memory { wanted, free } => (3, wanted.0 - free.0),
            Shortage::Cpu { wanted, free } => (4, wanted.0 - free.0),
            Shortage::DistinctInstance => (5, 1),
            Shortage::MemberOf { .. } => (6, 1),
            Shortage::Attribute { .. } => (7, 1),
            Shortage::LaunchType => (8, 1),
            Shortage::DiskPressure => (9, 1),
            Shortage::AgentDisconnected => (10, 1),
            Shortage::NotActive { .. } => (11, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::resources::Protocol;

    use super::*;

    #[test]
    fn each_shortage_has_the_words_of_ecs() {
        let (cpu, memory) = ((CpuUnits(2), CpuUnits(1)), (MemoryMib(2), MemoryMib(1)));
        let expression = "attribute:zone == 2".to_owned();
        let said: Vec<(&str, String)> = [
            Shortage::NotActive { status: "DRAINING" },
            Shortage::AgentDisconnected,
            Shortage::DiskPressure,
            Shortage::LaunchType,
            Shortage::Attribute { name: "stack".to_owned() },
            Shortage::MemberOf { expression },
            Shortage::DistinctInstance,
            Shortage::Cpu { wanted: cpu.0, free: cpu.1 },
            Shortage::Memory { wanted: memory.0, free: memory.1 },
            Shortage::Port(PortReservation { port: 80, protocol: Protocol::Tcp }),
            Shortage::Gpu { wanted: 2, free: 1 },
            Shortage::NetworkInterface,
        ]
        .iter()
        .map(|shortage| (shortage.reason(), shortage.sentence()))
        .collect();
        let expected = [
            ("INACTIVE", "is DRAINING and takes no new tasks"),
            ("AGENT", "encountered error \"AGENT\""),
            ("ATTRIBUTE", "has a disk that is nearly full"),
            ("ATTRIBUTE", "is of another launch type"),
            ("ATTRIBUTE", "is missing an attribute required by your task"),
            ("MemberOf placement constraint unsatisfied.", "does not meet the placement constraints"),
            ("DistinctInstance placement constraint unsatisfied.", "does not meet the placement constraints"),
            ("RESOURCE:CPU", "has insufficient CPU units available"),
            ("RESOURCE:MEMORY", "has insufficient memory available"),
            ("RESOURCE:PORTS", "is already using a port required by your task"),
            ("RESOURCE:GPU", "has insufficient GPUs available"),
            ("RESOURCE:ENI", "encountered error \"RESOURCE:ENI\""),
        ];
        assert_eq!(said, expected.map(|(reason, sentence)| (reason, sentence.to_owned())));
    }
}
