//! A task and its containers.

use model::{Container, ContainerInstance, Task, TaskDefinition};
use state::Snapshot;

use super::included;
use crate::{convert, exec};

pub(crate) fn task(snapshot: &Snapshot, task: &Task, include: Option<&Vec<String>>) -> api_ecs::Task {
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let definition = snapshot.task_definitions.get(&format!("{}/{}/{:010}", task.scope, task.family, task.revision));
    let instance =
        snapshot.container_instances.get(&format!("{}/{}/{}", task.scope, task.cluster, task.container_instance));
    let architecture = instance.and_then(|instance| instance.attribute("ecs.cpu-architecture"));
    let attributes = architecture.map(|value| api_ecs::Attribute {
        name: Some("ecs.cpu-architecture".into()),
        value: Some(value.to_owned()),
        ..Default::default()
    });
    api_ecs::Task {
        attachments: Some(Vec::new()),
        attributes: Some(attributes.into_iter().collect()),
        availability_zone: instance
            .and_then(|instance| instance.attribute("ecs.availability-zone"))
            .map(str::to_owned)
            .or_else(|| Some(format!("{}a", task.scope.region))),
        capacity_provider_name: task.capacity_provider.clone(),
        cluster_arn: Some(task.cluster_arn().to_string()),
        connectivity: task.connectivity_at.map(|_| "CONNECTED".into()),
        connectivity_at: task.connectivity_at,
        container_instance_arn: (!task.container_instance.is_empty())
            .then(|| task.container_instance_arn().to_string()),
        containers: Some(
            task.containers
                .iter()
                .map(|one| container(task, one, definition.map(|definition| &**definition), instance.map(|one| &**one)))
                .collect(),
        ),
        cpu: task.cpu.map(|cpu| cpu.to_string()),
        memory: task.memory.map(|memory| memory.to_string()),
        created_at: Some(task.created_at),
        desired_status: Some(task.desired_status.as_str().into()),
        enable_execute_command: Some(task.execute_command_enabled),
        execution_stopped_at: task.execution_stopped_at,
        group: Some(task.group.clone()),
        health_status: Some(task.health.as_str().into()),
        inference_accelerators: Some(Vec::new()),
        last_status: Some(task.shown_status().as_str().into()),
        launch_type: Some(task.launch_type.as_str().into()),
        overrides: Some(convert::overrides::view(task.overrides.as_deref())),
        pull_started_at: task.pull_started_at,
        pull_stopped_at: task.pull_stopped_at,
        started_at: task.started_at,
        started_by: text(&task.started_by),
        stop_code: task.stop_code.map(|code| code.as_str().into()),
        stopped_at: task.stopped_at,
        stopped_reason: text(&task.stopped_reason),
        stopping_at: task.stopping_at,
        tags: Some(if included(include, "TAGS") { convert::tags::view(&task.tags) } else { Vec::new() }),
        task_arn: Some(task.arn().to_string()),
        task_definition_arn: Some(task.task_definition_arn().to_string()),
        version: Some(task.version as i64),
        ..Default::default()
    }
}

fn container(
    task: &Task,
    container: &Container,
    definition: Option<&TaskDefinition>,
    instance: Option<&ContainerInstance>,
) -> api_ecs::Container {
    let defined = definition.and_then(|definition| definition.container(&container.name));
    let bindings = container
        .network_bindings
        .iter()
        .map(|binding| {
            let (first, host_first) = (binding.container_port, binding.host_port);
            let named = api_ecs::NetworkBinding {
                bind_ip: Some(binding.bind_ip.clone()),
                protocol: Some(binding.protocol.as_str().into()),
                ..Default::default()
            };
            match binding.to {
                None => api_ecs::NetworkBinding {
                    container_port: Some(i32::from(first)),
                    host_port: Some(i32::from(host_first)),
                    ..named
                },
                Some((last, host_last)) => api_ecs::NetworkBinding {
                    container_port_range: Some(format!("{first}-{last}")),
                    host_port_range: Some(format!("{host_first}-{host_last}")),
                    ..named
                },
            }
        })
        .collect();
    api_ecs::Container {
        container_arn: Some(task.container_arn(container).to_string()),
        task_arn: Some(task.arn().to_string()),
        name: Some(container.name.clone()),
        image: Some(container.image.clone()),
        image_digest: container.image_digest.clone(),
        runtime_id: container.runtime_id.clone(),
        last_status: Some(container.last_status.as_str().into()),
        exit_code: container.exit_code,
        // Of a container that runs, AWS has nothing to say here; of one that is probed, we have.
        reason: Some(container.reason.clone())
            .filter(|reason| !reason.is_empty())
            .or_else(|| container.probed_reason()),
        network_bindings: Some(bindings),
        network_interfaces: Some(Vec::new()),
        health_status: Some(container.health.as_str().into()),
        gpu_ids: Some(container.gpus.clone()).filter(|gpus| !gpus.is_empty()),
        managed_agents: task.execute_command_enabled.then(|| vec![exec_agent(task, container, instance)]),
        cpu: defined.map(|defined| defined.cpu.to_string()),
        memory: defined.and_then(|defined| defined.memory).map(|memory| memory.to_string()),
        memory_reservation: defined.and_then(|defined| defined.memory_reservation).map(|memory| memory.to_string()),
        ..Default::default()
    }
}

/// The agent that runs programs in a container of ours is the one that runs the container: it lives as long as that does.
fn exec_agent(task: &Task, container: &Container, instance: Option<&ContainerInstance>) -> api_ecs::ManagedAgent {
    let status = exec::agent_status(task, container, instance.is_some_and(exec::can_serve));
    api_ecs::ManagedAgent {
        last_started_at: task.started_at.filter(|_| status != "PENDING"),
        name: Some(exec::AGENT.into()),
        reason: None,
        last_status: Some(status.into()),
    }
}
