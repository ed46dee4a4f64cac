//! What an instance must offer to run a task of a definition, as names of attributes that its agent registers.
//!
//! Source: the `requiresAttributes` that AWS answers for definitions with these members. A plain container asks for nothing. Each
//! setting asks for the version of the Docker Remote API that brought it, and for no lower one: agents declare every version
//! that they speak. What AWS does not ask for is left to the agent too; a limit of the whole task's CPU and memory asks for
//! the parent cgroup of version 1.18, not for `ecs.capability.task-cpu-mem-limit`.

use std::collections::BTreeSet;

use model::container_definition::{ContainerDefinition, LogConfiguration};
use model::task_definition::{NetworkMode, VolumeSource};
use model::{Attribute, Probes, TaskDefinition, probe};

pub(super) fn required(definition: &TaskDefinition) -> Vec<Attribute> {
    let mut names = Names::default();
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
        names.docker(18);
    }
    // Sharing with the host is Docker's own; among the containers of a task it takes the agent's pause container.
    if [&definition.pid_mode, &definition.ipc_mode].into_iter().any(|mode| mode.as_deref() == Some("task")) {
        names.require("ecs.capability.pid-ipc-namespace-sharing");
    }
    if definition.enable_fault_injection == Some(true) {
        names.require("ecs.capability.fault-injection");
    }
    names.0.into_iter().map(|name| Attribute { name, value: None }).collect()
}

fn of_container(container: &ContainerDefinition, definition: &TaskDefinition, names: &mut Names) {
    if let Some(logs) = &container.log_configuration {
        of_logs(logs, definition, names);
    }
    if let Some(firelens) = &container.firelens_configuration {
        names.require(format!("ecs.capability.firelens.{}", firelens.router));
        if let Some(kind) = firelens.option("config-file-type") {
            names.require(format!("ecs.capability.firelens.options.config.{kind}"));
        }
    }
    of_settings(container, names);
    if container.image.contains(".dkr.ecr.") {
        names.require("com.amazonaws.ecs.capability.ecr-auth");
        if definition.execution_role_arn.is_some() {
            names.require("ecs.capability.execution-role-ecr-pull");
        }
    }
    if container.repository_credentials.is_some() {
        names.require("ecs.capability.private-registry-authentication.secretsmanager");
    }
    if let Some(check) = &container.health_check {
        names.require("ecs.capability.container-health-check");
        // The start period came later than the rest of the check.
        names.docker(if check.start_period_seconds.unwrap_or_default() > 0 { 29 } else { 24 });
    }
    // Ours. An official agent would run such a container and never ask it.
    if container.probes() != Probes::default() {
        names.require(probe::CAPABILITY);
    }
    if !container.depends_on.is_empty() {
        names.require("ecs.capability.container-ordering");
    }
    if container.restart_policy.as_ref().is_some_and(|policy| policy.enabled) {
        names.require("ecs.capability.container-restart-policy");
    }
    if container.port_mappings.iter().any(|mapping| mapping.container_port_range.is_some()) {
        names.require("ecs.capability.network.container-port-range");
    }
    for (_, from) in &container.secrets {
        names.require(format!("ecs.capability.secrets.{}.environment-variables", secret_store(from)));
    }
    if !container.environment_files.is_empty() {
        names.require("ecs.capability.env-files.s3");
    }
}

fn of_logs(logs: &LogConfiguration, definition: &TaskDefinition, names: &mut Names) {
    names.require(format!("com.amazonaws.ecs.capability.logging-driver.{}", logs.driver));
    names.docker(match logs.driver.as_str() {
        "awslogs" | "journald" => 19,
        "fluentd" | "gelf" => 20,
        "splunk" => 22,
        _ => 18,
    });
    if logs.driver == "awsfirelens" && logs.option("log-driver-buffer-limit").is_some() {
        names.require("ecs.capability.logging-driver.awsfirelens.log-driver-buffer-limit");
    }
    if logs.driver == "awslogs" && definition.execution_role_arn.is_some() {
        names.require("ecs.capability.execution-role-awslogs");
    }
    for (_, from) in &logs.secret_options {
        names.require(format!("ecs.capability.secrets.{}.bootstrap.log-driver", secret_store(from)));
    }
}

/// What is passed on to the engine as it is.
fn of_settings(container: &ContainerDefinition, names: &mut Names) {
    if container.privileged == Some(true) {
        names.require("com.amazonaws.ecs.capability.privileged-container");
    }
    if container.memory_reservation.is_some() {
        names.docker(21);
    }
    if !container.ulimits.is_empty() || !container.docker_labels.is_empty() {
        names.docker(18);
    }
    for option in &container.docker_security_options {
        match option.split([':', '=']).next() {
            Some("label") => names.require("com.amazonaws.ecs.capability.selinux"),
            Some("apparmor") => names.require("com.amazonaws.ecs.capability.apparmor"),
            _ => {}
        }
    }
    if let Some(linux) = &container.linux_parameters {
        if linux.shared_memory_size_mib.is_some() || !linux.tmpfs.is_empty() {
            names.docker(22);
        }
        if linux.init_process_enabled == Some(true) {
            names.docker(25);
        }
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

    /// A version 1.x of the Docker Remote API.
    fn docker(&mut self, minor: u32) {
        self.require(format!("com.amazonaws.ecs.capability.docker-remote-api.1.{minor}"));
    }
}
