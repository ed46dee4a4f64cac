//! A container instance, with what its tasks leave of it.

use model::capacity_provider::GROUP_ATTRIBUTE;
use model::resources::Protocol;
use model::{ContainerInstance, ContainerInstanceArn, InstanceHealth, InstanceHealthCheck, Resources};
use state::Snapshot;

use super::included;
use crate::convert;

pub(crate) fn container_instance(
    snapshot: &Snapshot,
    instance: &ContainerInstance,
    include: Option<&Vec<String>>,
) -> api_ecs::ContainerInstance {
    let load = snapshot.load(instance);
    let mut remaining = Resources {
        cpu: instance.registered.cpu - load.cpu,
        memory: instance.registered.memory - load.memory,
        network_interfaces: instance
            .registered
            .network_interfaces
            .map(|all| all.saturating_sub(load.network_interfaces)),
        ..instance.registered.clone()
    };
    for port in load.ports.keys() {
        match port.protocol {
            Protocol::Tcp => remaining.ports_tcp.insert(port.port),
            Protocol::Udp => remaining.ports_udp.insert(port.port),
        };
    }
    let mut remaining = resources(&remaining);
    for gpus in remaining.iter_mut().filter(|one| one.name.as_deref() == Some("GPU")) {
        gpus.string_set_value.iter_mut().for_each(|ids| ids.retain(|gpu| !load.gpu_ids.contains_key(gpu)));
    }
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    api_ecs::ContainerInstance {
        container_instance_arn: Some(instance.arn().to_string()),
        ec2_instance_id: instance.ec2_instance_id.clone(),
        version: Some(instance.version as i64),
        version_info: Some(api_ecs::VersionInfo {
            agent_version: text(&instance.version_info.agent_version),
            agent_hash: text(&instance.version_info.agent_hash),
            docker_version: text(&instance.version_info.docker_version),
        }),
        registered_resources: Some(resources(&instance.registered)),
        remaining_resources: Some(remaining),
        status: Some(instance.status.as_str().into()),
        status_reason: instance.status_reason.clone(),
        agent_connected: Some(instance.agent_connected),
        running_tasks_count: Some(load.tasks_running as i32),
        pending_tasks_count: Some(load.tasks_pending as i32),
        attributes: Some(instance.attributes.iter().map(|one| attribute(one, None)).collect()),
        attachments: Some(Vec::new()),
        registered_at: Some(instance.registered_at),
        capacity_provider_name: capacity_provider(snapshot, instance),
        health_status: included(include, "CONTAINER_INSTANCE_HEALTH").then(|| health(&instance.health)),
        tags: Some(if included(include, "TAGS") { convert::tags::view(&instance.tags) } else { Vec::new() }),
        ..Default::default()
    }
}

/// The capacity provider of its cluster that it is of.
fn capacity_provider(snapshot: &Snapshot, instance: &ContainerInstance) -> Option<String> {
    instance.attribute(GROUP_ATTRIBUTE)?;
    let cluster = snapshot.clusters.get(&format!("{}/{}", instance.scope, instance.cluster))?;
    let of_cluster = cluster.capacity_providers.iter().map(|name| format!("{}/{name}", cluster.scope));
    let mut kept = of_cluster.filter_map(|name| snapshot.capacity_providers.get(&name));
    kept.find(|provider| provider.has(instance)).map(|provider| provider.name.clone())
}

/// An attribute, and whose it is where that does not go without saying.
pub(crate) fn attribute(kept: &model::Attribute, of: Option<&ContainerInstanceArn>) -> api_ecs::Attribute {
    api_ecs::Attribute {
        name: Some(kept.name.clone()),
        value: kept.value.clone(),
        target_type: None,
        target_id: of.map(ContainerInstanceArn::to_string),
    }
}

/// The whole is as well as its worst part. An agent that has said nothing yet leaves too little to judge by.
fn health(checks: &[InstanceHealthCheck]) -> api_ecs::ContainerInstanceHealthStatus {
    let worst = checks.iter().map(|check| check.status).max().unwrap_or(InstanceHealth::InsufficientData);
    let detail = |check: &InstanceHealthCheck| api_ecs::InstanceHealthCheckResult {
        r#type: Some(check.kind.as_str().into()),
        status: Some(check.status.as_str().into()),
        last_updated: Some(check.last_updated),
        last_status_change: Some(check.last_status_change),
        ..Default::default()
    };
    api_ecs::ContainerInstanceHealthStatus {
        overall_status: Some(worst.as_str().into()),
        details: Some(checks.iter().map(detail).collect()),
    }
}

/// CPU and memory as integers, ports as sets of texts, as the agent registered them. GPUs and network interfaces only where
/// it said of them.
fn resources(kept: &Resources) -> Vec<api_ecs::Resource> {
    let integer = |name: &str, value: u32| api_ecs::Resource {
        name: Some(name.into()),
        r#type: Some("INTEGER".into()),
        double_value: Some(0.0),
        long_value: Some(0),
        integer_value: Some(value as i32),
        string_set_value: None,
    };
    let set = |name: &str, texts: Vec<String>| api_ecs::Resource {
        name: Some(name.into()),
        r#type: Some("STRINGSET".into()),
        double_value: Some(0.0),
        long_value: Some(0),
        integer_value: Some(0),
        string_set_value: Some(texts),
    };
    let mut all = vec![
        integer("CPU", kept.cpu.0),
        integer("MEMORY", kept.memory.0),
        set("PORTS", kept.ports_tcp.iter().map(u16::to_string).collect()),
        set("PORTS_UDP", kept.ports_udp.iter().map(u16::to_string).collect()),
    ];
    if !kept.gpus.is_empty() {
        all.push(set("GPU", kept.gpus.iter().cloned().collect()));
    }
    all.extend(kept.network_interfaces.map(|count| integer("ENI", count)));
    all
}
