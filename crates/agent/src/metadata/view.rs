//! A task and its containers, as the endpoint shows them.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS task metadata endpoint version 4"; what of it is not there, `docs/parity.md` says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use task_engine::{Container, ContainerStatus, HealthStatus, Task};

use super::{Served, Version, VolumeInfo};
use crate::clock;
use crate::seams::ApiError;
use crate::worker::Handle;

impl Served {
    pub(super) fn task_value(&self, handle: &Handle, version: Version) -> Value {
        let (state, payload) = (handle.state(), &handle.plan.payload);
        let containers =
            (0..handle.plan.containers.len()).map(|index| self.container_value(handle, &state, index, version));
        let mut value = Map::new();
        let mut put = |name: &str, content: Value| drop(value.insert(name.to_owned(), content));
        put(
            "Cluster",
            json!(if payload.task_cluster_arn.is_empty() { &self.instance.cluster } else { &payload.task_cluster_arn }),
        );
        put("TaskARN", json!(payload.arn));
        put("Family", json!(payload.family));
        put("Revision", json!(payload.version));
        put("DesiredStatus", json!(desired(&state)));
        put("KnownStatus", json!(state.status().name()));
        put("Containers", containers.collect());
        let (pull_started, pull_stopped) = state.pull_times();
        for (name, at) in [
            ("PullStartedAt", pull_started),
            ("PullStoppedAt", pull_stopped),
            ("ExecutionStoppedAt", state.stopped_at()),
        ] {
            if let Some(at) = at {
                put(name, json!(clock::to_wall(at).to_string()));
            }
        }
        let zone = payload
            .berth
            .as_ref()
            .and_then(|berth| berth.availability_zone.as_ref())
            .or(self.instance.availability_zone.as_ref());
        if let Some(zone) = zone {
            put("AvailabilityZone", json!(zone));
        }
        if version == Version::V4 {
            // The official agent tells it only in the metadata file; a container asks here for everything else.
            put("ContainerInstanceARN", json!(self.instance.arn));
        }
        let mut limits = Map::new();
        limits.extend(payload.cpu.map(|cpu| ("CPU".to_owned(), json!(cpu))));
        limits.extend(payload.memory.map(|memory| ("Memory".to_owned(), json!(memory))));
        if !limits.is_empty() {
            put("Limits", Value::Object(limits));
        }
        if version == Version::V4 {
            put("LaunchType", json!(payload.launch_type.as_deref().unwrap_or("EC2")));
            if let Some(service) = &payload.service_name {
                put("ServiceName", json!(service));
            }
            put("FaultInjectionEnabled", json!(payload.enable_fault_injection.unwrap_or(false)));
        }
        Value::Object(value)
    }

    pub(super) fn container_value(&self, handle: &Handle, state: &Task, index: usize, version: Version) -> Value {
        let plan = &handle.plan.containers[index];
        let known = state.container(&plan.name);
        let info = (self.info)(&handle.plan.id, index);
        let mut value = Map::new();
        let mut put = |name: &str, content: Value| drop(value.insert(name.to_owned(), content));
        put("DockerId", json!(known.and_then(|known| known.runtime_id.as_deref()).unwrap_or_default()));
        put("Name", json!(plan.name));
        put("DockerName", json!(plan.docker_name));
        put("Image", json!(plan.payload.image));
        put("ImageID", json!(known.and_then(|known| known.image_digest.as_deref()).unwrap_or_default()));
        put("Labels", json!(plan.labels));
        put("DesiredStatus", json!(desired(state)));
        put("KnownStatus", json!(known.map_or("NONE", known_status)));
        put("Limits", json!({"CPU": plan.payload.cpu, "Memory": plan.payload.memory}));
        put("CreatedAt", json!(handle.accepted_at.to_string()));
        put("Type", json!("NORMAL"));
        put("Networks", json!([{"NetworkMode": info.network_mode, "IPv4Addresses": info.ipv4_addresses}]));
        if let Some(known) = known {
            lifetime(known, &mut put);
        }
        if !info.volumes.is_empty() {
            let volume = |volume: &VolumeInfo| {
                let mut shown = json!({"Source": volume.source, "Destination": volume.destination});
                if let Some(name) = &volume.name {
                    shown["DockerName"] = json!(name);
                }
                shown
            };
            put("Volumes", info.volumes.iter().map(volume).collect());
        }
        if version == Version::V4 {
            put("ContainerARN", json!(plan.payload.container_arn));
            if let Some(logs) = &plan.logs {
                put("LogDriver", json!(logs.log_driver));
                put("LogOptions", json!(logs.options));
            }
        }
        Value::Object(value)
    }

    /// Into a task's value: its tags and those of its instance, and why some are not there.
    pub(super) async fn add_tags(&self, handle: &Handle, task: &mut Value) {
        let mut errors = Vec::new();
        for (member, arn) in [("ContainerInstanceTags", &self.instance.arn), ("TaskTags", &handle.plan.payload.arn)] {
            match self.control.tags(arn).await {
                Ok(tags) => put_tags(task, member, tags),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, arn, "tags are not known");
                    errors.push(why_no_tags(member, arn, error));
                }
            }
        }
        if !errors.is_empty() {
            task["Errors"] = errors.into();
        }
    }
}

fn put_tags(task: &mut Value, member: &str, tags: BTreeMap<String, String>) {
    if !tags.is_empty() {
        task[member] = json!(tags);
    }
}

fn why_no_tags(member: &str, arn: &str, error: ApiError) -> Value {
    let (code, message, status) = match error {
        ApiError::InvalidParameter(message) => ("InvalidParameterException".to_owned(), message, 400),
        ApiError::Refused { code, message } => (code, message, 400),
        ApiError::Unavailable(message) => ("ServerException".to_owned(), message, 500),
    };
    json!({"ErrorField": member, "ErrorCode": code, "ErrorMessage": message, "StatusCode": status, "ResourceARN": arn})
}

/// What a container has only once it has lived.
fn lifetime(known: &Container, put: &mut impl FnMut(&str, Value)) {
    if let Some(at) = known.started_at {
        put("StartedAt", json!(clock::to_wall(at).to_string()));
    }
    if let Some(at) = known.stopped_at {
        put("FinishedAt", json!(clock::to_wall(at).to_string()));
    }
    if let Some(code) = known.exit_code.filter(|_| known.stopped()) {
        put("ExitCode", json!(code));
    }
    if known.spec.restart.is_some() {
        put("RestartCount", json!(known.restarts));
    }
    if let Some(health) = known.health_status() {
        let status = match health {
            HealthStatus::Unknown => "UNKNOWN",
            HealthStatus::Healthy => "HEALTHY",
            HealthStatus::Unhealthy => "UNHEALTHY",
        };
        let since = known.health.as_ref().map(|health| clock::to_wall(health.since).to_string());
        let mut health = json!({"status": status, "statusSince": since});
        let output = known.health.as_ref().map(|health| health.said.as_str()).filter(|said| !said.is_empty());
        if let Some(output) = output {
            health["output"] = json!(output);
        }
        put("Health", health);
    }
    if !known.bindings.is_empty() {
        // Each port of a range by itself, as in version 4 of the official agent's endpoint.
        let ports = |binding: &task_engine::Binding| {
            let more = binding.to.map_or(0, |(last, _)| last.saturating_sub(binding.container_port));
            let binding = binding.clone();
            (0..=more).map(move |at| {
                json!({
                    "ContainerPort": binding.container_port + at,
                    "Protocol": binding.protocol,
                    "HostPort": binding.host_port.saturating_add(at),
                    "HostIp": binding.bind_ip,
                })
            })
        };
        put("Ports", known.bindings.iter().flat_map(ports).collect());
    }
}

fn desired(state: &Task) -> &'static str {
    if state.stop_cause().is_some() { "STOPPED" } else { "RUNNING" }
}

fn known_status(container: &Container) -> &'static str {
    match container.status() {
        ContainerStatus::Pending if container.alive() => "CREATED",
        ContainerStatus::Pending => "NONE",
        other => other.name(),
    }
}
