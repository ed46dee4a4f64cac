//! A task definition.

use model::{TaskDefinition, TaskDefinitionStatus};

use crate::convert;

pub(crate) fn task_definition(kept: &TaskDefinition) -> api_ecs::TaskDefinition {
    let some = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    api_ecs::TaskDefinition {
        task_definition_arn: Some(kept.arn().to_string()),
        container_definitions: Some(kept.containers.iter().map(convert::container_definition::view).collect()),
        family: Some(kept.family.clone()),
        revision: Some(kept.revision as i32),
        status: Some(kept.status.as_str().into()),
        volumes: Some(kept.volumes.iter().map(convert::volume::view).collect()),
        network_mode: kept.network_mode.map(|mode| mode.as_str().into()),
        task_role_arn: kept.task_role_arn.clone(),
        execution_role_arn: kept.execution_role_arn.clone(),
        requires_attributes: Some(
            kept.requires_attributes
                .iter()
                .map(|attribute| api_ecs::Attribute {
                    name: Some(attribute.name.clone()),
                    value: attribute.value.clone(),
                    ..Default::default()
                })
                .collect(),
        ),
        placement_constraints: Some(
            kept.placement_constraints
                .iter()
                .map(|constraint| api_ecs::TaskDefinitionPlacementConstraint {
                    r#type: Some(constraint.kind.clone()),
                    expression: constraint.expression.clone(),
                })
                .collect(),
        ),
        compatibilities: some(&kept.compatibilities),
        requires_compatibilities: some(&kept.requires_compatibilities),
        runtime_platform: kept.runtime_platform.as_ref().map(|platform| api_ecs::RuntimePlatform {
            cpu_architecture: platform.cpu_architecture.clone(),
            operating_system_family: platform.operating_system_family.clone(),
        }),
        cpu: kept.cpu.map(|cpu| cpu.to_string()),
        memory: kept.memory.map(|memory| memory.to_string()),
        pid_mode: kept.pid_mode.clone(),
        ipc_mode: kept.ipc_mode.clone(),
        registered_at: Some(kept.registered_at),
        registered_by: Some(kept.registered_by.clone()),
        deregistered_at: kept.deregistered_at,
        delete_requested_at: kept.deregistered_at.filter(|_| kept.status == TaskDefinitionStatus::DeleteInProgress),
        enable_fault_injection: kept.enable_fault_injection,
        ..Default::default()
    }
}
