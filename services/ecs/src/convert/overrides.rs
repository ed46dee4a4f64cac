//! What RunTask and StartTask change for their tasks alone, in and out.

use model::TaskDefinition;
use model::container_definition::EnvironmentFile;
use model::task::{ContainerOverride, TaskOverride};

use super::container_definition::{list, pairs};
use super::number;
use crate::error::{Error, invalid, unsupported};
use crate::limits::OVERRIDES_CHARS_MAX;
use crate::ops::register_task_definition::settings::{environment_file, gpus};

/// Nothing when there is nothing to change.
pub(crate) fn parse(
    given: Option<&api_ecs::TaskOverride>,
    definition: &TaskDefinition,
) -> Result<Option<TaskOverride>, Error> {
    let Some(given) = given else { return Ok(None) };
    if given.ephemeral_storage.is_some() {
        return Err(unsupported("overrides.ephemeralStorage"));
    }
    let mut containers = Vec::new();
    for one in given.container_overrides.iter().flatten() {
        containers.push(container(one, definition)?);
    }
    let parsed = TaskOverride {
        containers,
        cpu: size(given.cpu.as_deref(), number::task_cpu, "cpu")?,
        memory: size(given.memory.as_deref(), number::task_memory, "memory")?,
        task_role_arn: given.task_role_arn.clone(),
        execution_role_arn: given.execution_role_arn.clone(),
    };
    let length = serde_json::to_string(&parsed).map_or(0, |text| text.chars().count());
    if length > OVERRIDES_CHARS_MAX {
        return Err(invalid(format!("Container Overrides length must be at most {OVERRIDES_CHARS_MAX}")));
    }
    Ok(Some(parsed).filter(|parsed| *parsed != TaskOverride::default()))
}

fn container(given: &api_ecs::ContainerOverride, definition: &TaskDefinition) -> Result<ContainerOverride, Error> {
    let name = given.name.clone().unwrap_or_default();
    if definition.container(&name).is_none() {
        return Err(invalid(format!("Override for container named {name} is not a container in the TaskDefinition.")));
    }
    super::container_definition::check_sharing(given.resource_requirements.as_ref())?;
    let requirements = list(&given.resource_requirements, super::container_definition::resource_requirement);
    let gpus = gpus(&requirements, &name).map_err(|error| invalid(error.message))?;
    let environment_files = list(&given.environment_files, |file| EnvironmentFile {
        value: file.value.clone().unwrap_or_default(),
        kind: file.r#type.clone().unwrap_or_default(),
    });
    for file in &environment_files {
        environment_file(&file.kind, &file.value, &name).map_err(|error| invalid(error.message))?;
    }
    Ok(ContainerOverride {
        name,
        command: given.command.clone().filter(|words| !words.is_empty()),
        environment: pairs(&given.environment),
        cpu: number::cpu(given.cpu, "cpu")?,
        memory: number::memory(given.memory, "memory")?,
        memory_reservation: number::memory(given.memory_reservation, "memoryReservation")?,
        environment_files,
        gpus: Some(gpus).filter(|_| !requirements.is_empty()),
    })
}

fn size<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>, what: &str) -> Result<Option<T>, Error> {
    text.map(|text| read(text).ok_or_else(|| invalid(format!("Invalid '{what}' setting for task")))).transpose()
}

pub(crate) fn view(kept: Option<&TaskOverride>) -> api_ecs::TaskOverride {
    let Some(kept) = kept else {
        return api_ecs::TaskOverride {
            container_overrides: Some(Vec::new()),
            inference_accelerator_overrides: Some(Vec::new()),
            ..Default::default()
        };
    };
    let containers = list(&Some(kept.containers.clone()), |one: &ContainerOverride| api_ecs::ContainerOverride {
        name: Some(one.name.clone()),
        command: one.command.clone(),
        environment: super::container_definition::shown(&one.environment, |(name, value)| api_ecs::KeyValuePair {
            name: Some(name.clone()),
            value: Some(value.clone()),
        }),
        cpu: one.cpu.map(|cpu| cpu.0 as i32),
        memory: one.memory.map(|memory| memory.0 as i32),
        memory_reservation: one.memory_reservation.map(|memory| memory.0 as i32),
        environment_files: super::container_definition::shown(&one.environment_files, |file| {
            api_ecs::EnvironmentFile { value: Some(file.value.clone()), r#type: Some(file.kind.clone()) }
        }),
        resource_requirements: one.gpus.map(|gpus| {
            vec![api_ecs::ResourceRequirement {
                r#type: Some("GPU".into()),
                value: Some(gpus.to_string()),
                ..Default::default()
            }]
        }),
    });
    api_ecs::TaskOverride {
        container_overrides: Some(containers),
        inference_accelerator_overrides: Some(Vec::new()),
        cpu: kept.cpu.map(|cpu| cpu.to_string()),
        memory: kept.memory.map(|memory| memory.to_string()),
        task_role_arn: kept.task_role_arn.clone(),
        execution_role_arn: kept.execution_role_arn.clone(),
        ephemeral_storage: None,
    }
}
