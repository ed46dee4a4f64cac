//! Why an instance was not chosen.

use std::fmt;

use model::{ContainerInstanceArn, CpuUnits, MemoryMib, PortReservation};

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
    LaunchType,
    Attribute { name: String },
    MemberOf { expression: String },
    DistinctInstance,
    Cpu { wanted: CpuUnits, free: CpuUnits },
    Memory { wanted: MemoryMib, free: MemoryMib },
    Port(PortReservation),
}

impl Shortage {
    /// The `reason` of a failure, as RunTask and StartTask answer it.
    ///
    /// Source: Amazon ECS Developer Guide, "API failure reasons".
    pub fn reason(&self) -> &'static str {
        match self {
            Shortage::NotActive { .. } => "INACTIVE",
            Shortage::AgentDisconnected => "AGENT",
            Shortage::LaunchType | Shortage::Attribute { .. } => "ATTRIBUTE",
            Shortage::MemberOf { .. } => "MemberOf placement constraint unsatisfied.",
            Shortage::DistinctInstance => "DistinctInstance placement constraint unsatisfied.",
            Shortage::Cpu { .. } => "RESOURCE:CPU",
            Shortage::Memory { .. } => "RESOURCE:MEMORY",
            Shortage::Port(_) => "RESOURCE:PORTS",
        }
    }

    /// What a service says in its event, as ECS words it.
    pub fn sentence(&self) -> String {
        match self {
            Shortage::NotActive { status } => format!("is {status} and takes no new tasks"),
            Shortage::AgentDisconnected => "encountered error \"AGENT\"".into(),
            Shortage::LaunchType => "is of another launch type".into(),
            Shortage::Attribute { .. } => "is missing an attribute required by your task".into(),
            Shortage::MemberOf { .. } | Shortage::DistinctInstance => "does not meet the placement constraints".into(),
            Shortage::Cpu { .. } => "has insufficient CPU units available".into(),
            Shortage::Memory { .. } => "has insufficient memory available".into(),
            Shortage::Port(_) => "is already using a port required by your task".into(),
        }
    }
}

/// The numbers behind the sentence, for a person who wants to know exactly.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::NotActive { status } => write!(f, "the instance is {status}"),
            Shortage::AgentDisconnected => write!(f, "the agent of the instance is not connected"),
            Shortage::LaunchType => write!(f, "the instance is of another launch type"),
            Shortage::Attribute { name } => write!(f, "the attribute {name} is missing"),
            Shortage::MemberOf { expression } => write!(f, "it does not satisfy memberOf({expression})"),
            Shortage::DistinctInstance => write!(f, "it has a task of this group already (distinctInstance)"),
            Shortage::Cpu { wanted, free } => write!(f, "{wanted} CPU units wanted, {free} free"),
            Shortage::Memory { wanted, free } => write!(f, "{wanted} MiB of memory wanted, {free} MiB free"),
            Shortage::Port(port) => write!(f, "port {}/{} is in use", port.port, port.protocol.as_str()),
        }
    }
}

impl Shortage {
    /// How far the filter got before it gave up: the instance with the highest number came closest.
    pub fn closeness(&self) -> u8 {
        match self {
            Shortage::NotActive { .. } => 0,
            Shortage::AgentDisconnected => 1,
            Shortage::LaunchType => 2,
            Shortage::Attribute { .. } => 3,
            Shortage::MemberOf { .. } => 4,
            Shortage::DistinctInstance => 5,
            Shortage::Cpu { .. } => 6,
            Shortage::Memory { .. } => 7,
            Shortage::Port(_) => 8,
        }
    }
}
