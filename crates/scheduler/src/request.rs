//! What is to be placed, and how the instances are to be chosen.

use model::container_definition::PortMapping;
use model::service::PlacementStrategy;
use model::task::{LaunchType, TaskOverride};
use model::task_definition::{NetworkMode, PlacementConstraint};
use model::{Attribute, ContainerDefinition, CpuUnits, MemoryMib, PortReservation, Reservation, TaskDefinition};
use thiserror::Error;

use crate::{ConstraintError, Expression, Provider};

/// One task to place; every task of a request is alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub family: String,
    /// `family:web` or `service:web`: what `distinctInstance` and the spread count by.
    pub group: String,
    pub launch_type: LaunchType,
    pub reservation: Reservation,
    pub requires_attributes: Vec<Attribute>,
    pub distinct_instance: bool,
    pub member_of: Vec<Expression>,
    pub strategies: Vec<Strategy>,
    /// When there are any, each task goes to the one whose turn it is.
    pub providers: Vec<Provider>,
}

impl Request {
    /// What a task of this definition needs of an instance, after its overrides.
    pub fn new(
        definition: &TaskDefinition,
        overrides: Option<&TaskOverride>,
        group: &str,
        launch_type: LaunchType,
    ) -> Result<Self, ConstraintError> {
        let mut request = Request {
            family: definition.family.clone(),
            group: group.to_owned(),
            launch_type,
            reservation: reservation(definition, overrides),
            requires_attributes: definition.requires_attributes.clone(),
            distinct_instance: false,
            member_of: Vec::new(),
            strategies: Vec::new(),
            providers: Vec::new(),
        };
        request.constrain(&definition.placement_constraints)?;
        Ok(request)
    }

    /// Adds constraints, those of a RunTask or a service to those of the definition.
    pub fn constrain(&mut self, constraints: &[PlacementConstraint]) -> Result<(), ConstraintError> {
        for constraint in constraints {
            match constraint.kind.as_str() {
                "distinctInstance" => self.distinct_instance = true,
                _ => self.member_of.push(constraint.expression.as_deref().unwrap_or_default().parse()?),
            }
        }
        Ok(())
    }
}

/// What placement counts for one task.
///
/// Task-level values win over the sum of the containers, as they are hard limits of the whole task.
fn reservation(definition: &TaskDefinition, overrides: Option<&TaskOverride>) -> Reservation {
    let of = |name: &str| overrides.and_then(|all| all.containers.iter().find(|container| container.name == name));
    let cpu: CpuUnits = definition
        .containers
        .iter()
        .map(|container| of(&container.name).and_then(|changed| changed.cpu).unwrap_or(container.cpu))
        .sum();
    let memory: MemoryMib = definition
        .containers
        .iter()
        .map(|container| {
            let changed = of(&container.name);
            let soft = changed.and_then(|changed| changed.memory_reservation).or(container.memory_reservation);
            let hard = changed.and_then(|changed| changed.memory).or(container.memory);
            soft.or(hard).unwrap_or(MemoryMib::ZERO)
        })
        .sum();
    let ports = definition
        .containers
        .iter()
        .flat_map(|container| &container.port_mappings)
        .filter_map(|mapping| fixed_host_port(definition.effective_network_mode(), mapping))
        .collect();
    Reservation {
        cpu: overrides.and_then(|all| all.cpu).or(definition.cpu).unwrap_or(cpu),
        memory: overrides.and_then(|all| all.memory).or(definition.memory).unwrap_or(memory),
        ports,
        gpus: definition.containers.iter().map(|container| gpus(container, overrides)).sum(),
        network_interfaces: u32::from(definition.effective_network_mode() == NetworkMode::Awsvpc),
    }
}

/// Source: Amazon ECS API Reference, `ResourceRequirement`: the value for `GPU` is the number of them.
pub(crate) fn gpus(container: &ContainerDefinition, overrides: Option<&TaskOverride>) -> u32 {
    let changed = overrides.and_then(|all| all.containers.iter().find(|changed| changed.name == container.name));
    if let Some(gpus) = changed.and_then(|changed| changed.gpus) {
        return gpus;
    }
    let wanted = container.resource_requirements.iter().filter(|one| one.kind == "GPU");
    wanted.filter_map(|one| one.value.parse::<u32>().ok()).sum()
}

/// The port of the instance that a mapping takes for itself; nothing for a dynamic one, and in modes with own addresses.
pub fn fixed_host_port(mode: NetworkMode, mapping: &PortMapping) -> Option<PortReservation> {
    let port = match mode {
        NetworkMode::Bridge => mapping.host_port.filter(|port| *port != 0)?,
        NetworkMode::Host => mapping.host_port.filter(|port| *port != 0).or(mapping.container_port)?,
        NetworkMode::Awsvpc | NetworkMode::None => return None,
    };
    Some(PortReservation { port, protocol: mapping.protocol })
}

/// One step of ranking; the next step only decides between instances that this one finds equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// As even as possible over the values of an attribute, or over the instances.
    Spread(String),
    BinpackCpu,
    BinpackMemory,
    Random,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StrategyError(String);

impl Strategy {
    /// Source: Amazon ECS API Reference, `PlacementStrategy`.
    pub fn parse(strategy: &PlacementStrategy) -> Result<Strategy, StrategyError> {
        let field = strategy.field.as_deref().unwrap_or_default();
        match (strategy.kind.as_str(), field) {
            ("random", _) => Ok(Strategy::Random),
            ("binpack", field) if field.eq_ignore_ascii_case("cpu") => Ok(Strategy::BinpackCpu),
            ("binpack", field) if field.eq_ignore_ascii_case("memory") => Ok(Strategy::BinpackMemory),
            ("binpack", _) => {
                Err(StrategyError("Invalid field for placement strategy type binpack: use cpu or memory.".into()))
            }
            ("spread", "") => Err(StrategyError("Field is required for placement strategy type spread.".into())),
            ("spread", "host") => Ok(Strategy::Spread("instanceId".into())),
            ("spread", field) if field.eq_ignore_ascii_case("instanceId") => Ok(Strategy::Spread("instanceId".into())),
            ("spread", field) => match field.strip_prefix("attribute:") {
                Some(name) if !name.is_empty() => Ok(Strategy::Spread(name.to_owned())),
                _ => Err(StrategyError(format!("Invalid field for placement strategy type spread: {field}."))),
            },
            (kind, _) => Err(StrategyError(format!("Unknown placement strategy type: {kind}."))),
        }
    }
}
