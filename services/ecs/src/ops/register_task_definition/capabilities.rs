//! What an instance must offer to run a task of a definition, as names of attributes that its agent registers.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS container agent configuration", and the `requiresAttributes` that AWS answers
//! for definitions with these members.

use std::collections::BTreeSet;

use model::container_definition::ContainerDefinition;
use model::task_definition::{NetworkMode, VolumeSource};
use model::{Attribute, TaskDefinition};

pub(super) fn required(definition: &TaskDefinition) -> Vec<Attribute> {
    let mut names = Names::default();
    names.require("com.amazonaws.ecs.capability.docker-remote-api.1.18");
    for container in &definition.containers {
        of_container(container, definition, &mut names);
    }
    for volume in &definition.volumes {
        if let VolumeSource::Docker(docker) = &volume.source {
            let driver = docker.driver.as_deref().unwrap_or("local");
            names.require(format!("ecs.capability.docker-plugin.{driver}"));
        }
    }
    if definition.task_role_arn.is_some() {
        names.require("com.amazonaws.ecs.capability.task-iam-role");
        if definition.effective_network_mode() == NetworkMode::Host {
            names.require("com.amazonaws.ecs.capability.task-iam-role-network-host");
        }
    }
    if definition.cpu.is_some() || definition.memory.is_some() {
        names.require("ecs.capability.task-cpu-mem-limit");
    }
    if definition.pid_mode.is_some() || definition.ipc_mode.is_some() {
        names.require("ecs.capability.pid-ipc-namespace-sharing");
    }
    names.0.into_iter().map(|name| Attribute { name, value: None }).collect()
}

fn of_container(container: &ContainerDefinition, definition: &TaskDefinition, names: &mut Names) {
    if let Some(logs) = &container.log_configuration {
        names.require(format!("com.amazonaws.ecs.capability.logging-driver.{}", logs.driver));
        if logs.driver == "awslogs" && definition.execution_role_arn.is_some() {
            names.require("ecs.capability.execution-role-awslogs");
        }
        for (_, from) in &logs.secret_options {
            names.require(format!("ecs.capability.secrets.{}.bootstrap.log-driver", secret_store(from)));
        }
    }
    if container.privileged == Some(true) {
        names.require("com.amazonaws.ecs.capability.privileged-container");
    }
    if container.image.contains(".dkr.ecr.") {
        names.require("com.amazonaws.ecs.capability.ecr-auth");
        if definition.execution_role_arn.is_some() {
            names.require("ecs.capability.execution-role-ecr-pull");
        }
    }
    if container.repository_credentials.is_some() {
        names.require("ecs.capability.private-registry-authentication.secretsmanager");
    }
    if container.health_check.is_some() {
        names.require("ecs.capability.container-health-check");
    }
    if !container.depends_on.is_empty() {
        names.require("ecs.capability.container-ordering");
    }
    if container.restart_policy.as_ref().is_some_and(|policy| policy.enabled) {
        names.require("ecs.capability.container-restart-policy");
    }
    for (_, from) in &container.secrets {
        names.require(format!("ecs.capability.secrets.{}.environment-variables", secret_store(from)));
    }
    if !container.environment_files.is_empty() {
        names.require("ecs.capability.env-files.s3");
    }
}

/// Secrets Manager by its ARNs; what is left is a parameter of Systems Manager, by ARN or by name.
fn secret_store(from: &str) -> &'static str {
    if from.split(':').nth(2) == Some("secretsmanager") { "asm" } else { "ssm" }
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn require(&mut self, name: impl Into<String>) {
        self.0.insert(name.into());
    }
}
