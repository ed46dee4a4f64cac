//! Where one more task would go now: the scheduler's own filter, on what the public API shows of the instances.

use std::sync::Arc;

use api_ecs::{Attribute, ContainerDefinition, ContainerInstance, Resource, Task, TaskDefinition};
use model::capacity_provider::GROUP_ATTRIBUTE;
use model::container_definition::PortMapping;
use model::resources::Protocol;
use model::{ContainerInstanceStatus, CpuUnits, LaunchType, MemoryMib, PortReservation, Reservation, Resources, Scope};
use scheduler::{Candidate, Explanation, Request};
use state::Load;

use super::story::Story;
use crate::person::words::{count, last, short};

/// How many instances are told one by one; the closest say the most.
const SHOWN_MAX: usize = 20;

/// What is to be placed, apart from the definition.
pub struct Wanted<'a> {
    pub group: String,
    pub launch_type: Option<&'a str>,
    pub constraints: &'a [api_ecs::PlacementConstraint],
    /// The Auto Scaling group of its capacity provider, when only that one's instances can have it.
    pub instances_of: Option<String>,
}

/// `tasks` are those that run in the cluster.
pub fn add(
    story: &mut Story,
    wanted: &Wanted<'_>,
    definition: &TaskDefinition,
    (instances, tasks): (&[ContainerInstance], &[Task]),
) {
    let Some(request) = request(wanted, definition) else { return };
    let candidates: Vec<Candidate> = instances.iter().map(|instance| candidate(instance, tasks)).collect();
    let explanation = Explanation::of(&candidates, &request);
    let refused = explanation.rejections.len();
    let all = count(candidates.len(), "instance");
    story.why(match candidates.len() - refused {
        0 if refused == 0 => "The cluster has no instances.".to_owned(),
        0 => format!("Of {all}, none would take one more task now:"),
        takers => format!("Of {all}, {takers} would take one more task now."),
    });
    let reasons = explanation.counts().into_iter().map(|(reason, number)| format!("{number} {reason}"));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    if refused > 1 {
        story.why(format!("  in all: {reasons}"));
    }
    for rejection in explanation.by_closeness().into_iter().take(SHOWN_MAX) {
        story.why(format!("  {}: {}", short(&rejection.instance.to_string()), rejection.why));
    }
    if refused > SHOWN_MAX {
        story.why(format!("  and {} more, which are farther from it", refused - SHOWN_MAX));
    }
}

/// Nothing, when the constraints are of a newer language than ours.
fn request(wanted: &Wanted<'_>, definition: &TaskDefinition) -> Option<Request> {
    let mut request = Request {
        family: definition.family.clone().unwrap_or_default(),
        group: wanted.group.clone(),
        launch_type: wanted.launch_type.and_then(LaunchType::parse).unwrap_or(LaunchType::Ec2),
        reservation: reservation(definition),
        requires_attributes: definition.requires_attributes.iter().flatten().map(attribute).collect(),
        distinct_instance: false,
        member_of: Vec::new(),
        strategies: Vec::new(),
        providers: Vec::new(),
    };
    let of_group = |name: &String| model::Attribute { name: GROUP_ATTRIBUTE.to_owned(), value: Some(name.clone()) };
    request.requires_attributes.extend(wanted.instances_of.as_ref().map(of_group));
    let of_definition = definition.placement_constraints.iter().flatten();
    let both = of_definition.map(|one| (&one.r#type, &one.expression));
    let both = both.chain(wanted.constraints.iter().map(|one| (&one.r#type, &one.expression)));
    let constraint =
        |(kind, expression): (&Option<String>, &Option<String>)| model::task_definition::PlacementConstraint {
            kind: kind.clone().unwrap_or_default(),
            expression: expression.clone(),
        };
    request.constrain(&both.map(constraint).collect::<Vec<_>>()).ok()?;
    Some(request)
}

fn reservation(definition: &TaskDefinition) -> Reservation {
    let containers = || definition.container_definitions.iter().flatten();
    let whole = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u32>().ok());
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    let memory = |one: &ContainerDefinition| number(one.memory_reservation).or(number(one.memory)).unwrap_or_default();
    let gpus = containers().flat_map(|one| one.resource_requirements.iter().flatten());
    let gpus = gpus.filter(|one| one.r#type.as_deref() == Some("GPU"));
    let mode = definition.network_mode.as_deref().unwrap_or("bridge");
    Reservation {
        cpu: CpuUnits(whole(&definition.cpu).unwrap_or_else(|| containers().filter_map(|one| number(one.cpu)).sum())),
        memory: MemoryMib(whole(&definition.memory).unwrap_or_else(|| containers().map(memory).sum())),
        ports: containers()
            .flat_map(|one| one.port_mappings.iter().flatten())
            .filter_map(|one| port(mode, one))
            .collect(),
        gpus: gpus.filter_map(|one| whole(&one.value)).sum(),
        network_interfaces: u32::from(mode == "awsvpc"),
    }
}

fn port(mode: &str, mapping: &api_ecs::PortMapping) -> Option<PortReservation> {
    let number = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
    let protocol = if mapping.protocol.as_deref() == Some("udp") { Protocol::Udp } else { Protocol::Tcp };
    let mapping = PortMapping {
        container_port: number(mapping.container_port),
        host_port: number(mapping.host_port),
        protocol,
        ..PortMapping::default()
    };
    let mode = match mode {
        "bridge" => model::task_definition::NetworkMode::Bridge,
        "host" => model::task_definition::NetworkMode::Host,
        _ => return None,
    };
    scheduler::fixed_host_port(mode, &mapping)
}

fn attribute(shown: &Attribute) -> model::Attribute {
    model::Attribute { name: shown.name.clone().unwrap_or_default(), value: shown.value.clone() }
}

/// The instance, with what its tasks hold: what it registered and has no more.
fn candidate(shown: &ContainerInstance, tasks: &[Task]) -> Candidate {
    let arn = shown.container_instance_arn.clone().unwrap_or_default();
    let (registered, remaining) =
        (resources(shown.registered_resources.as_deref()), resources(shown.remaining_resources.as_deref()));
    let mut load = Load::default();
    for task in tasks.iter().filter(|task| task.container_instance_arn.as_deref() == Some(&arn)) {
        load.plan(&Reservation::default(), task.group.as_deref().unwrap_or_default());
    }
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    load.tasks_running = number(shown.running_tasks_count);
    load.tasks_pending = number(shown.pending_tasks_count);
    load.cpu = registered.cpu - remaining.cpu;
    load.memory = registered.memory - remaining.memory;
    let taken = [(Protocol::Tcp, &remaining.ports_tcp), (Protocol::Udp, &remaining.ports_udp)];
    let taken = taken.into_iter().flat_map(|(protocol, ports)| ports.iter().map(move |port| (*port, protocol)));
    load.ports = taken.map(|(port, protocol)| (PortReservation { port, protocol }, 1u32)).collect();
    let version = shown.version_info.clone().unwrap_or_default();
    let instance = model::ContainerInstance {
        // What was asked is of one account and one region.
        scope: Scope::new("", ""),
        cluster: String::new(),
        id: last(&arn).to_owned(),
        status: status(shown.status.as_deref().unwrap_or_default()),
        status_reason: shown.status_reason.clone(),
        ec2_instance_id: shown.ec2_instance_id.clone(),
        agent_connected: shown.agent_connected.unwrap_or_default(),
        disconnected_at: None,
        served_by: None,
        version_info: model::container_instance::VersionInfo {
            agent_version: version.agent_version.unwrap_or_default(),
            ..Default::default()
        },
        registered,
        attributes: shown.attributes.iter().flatten().map(attribute).collect(),
        tags: Vec::new(),
        health: Vec::new(),
        registered_at: shown.registered_at.unwrap_or_default(),
        version: 1,
    };
    Candidate { instance: Arc::new(instance), load }
}

fn status(shown: &str) -> ContainerInstanceStatus {
    use ContainerInstanceStatus::*;
    let all = [Registering, RegistrationFailed, Active, Draining, Deregistering];
    all.into_iter().find(|status| status.as_str() == shown).unwrap_or(Inactive)
}

fn resources(shown: Option<&[Resource]>) -> Resources {
    let mut resources = Resources::default();
    for one in shown.unwrap_or_default() {
        let number = one.integer_value.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        let texts = || one.string_set_value.iter().flatten();
        match one.name.as_deref().unwrap_or_default() {
            "CPU" => resources.cpu = CpuUnits(number),
            "MEMORY" => resources.memory = MemoryMib(number),
            "PORTS" => resources.ports_tcp = texts().filter_map(|port| port.parse().ok()).collect(),
            "PORTS_UDP" => resources.ports_udp = texts().filter_map(|port| port.parse().ok()).collect(),
            "GPU" => resources.gpus = texts().cloned().collect(),
            "ENI" => resources.network_interfaces = Some(number),
            _ => {}
        }
    }
    resources
}
