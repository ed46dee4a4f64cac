//! What the control plane sends, and how the tests read what comes back.

use agent_api::payload::{DesiredStatus, Payload, Task};
use agent_api::{RoleCredentials, ToAgent};
use api_ecs::{ContainerStateChange, NetworkBinding, SubmitTaskStateChangeRequest};
use serde_json::{Value, json};

pub const CLUSTER: &str = "arn:aws:ecs:us-east-1:123456789012:cluster/default";
pub const INSTANCE: &str = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/0eb3";

pub fn arn(id: &str) -> String {
    format!("arn:aws:ecs:us-east-1:123456789012:task/default/{id}")
}

pub fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

/// A task of these containers, written as JSON.
pub fn task_of(id: &str, containers: Value) -> Task {
    let task = json!({
        "arn": arn(id), "taskClusterArn": CLUSTER, "family": "fam", "version": "7", "desiredStatus": "RUNNING",
        "containers": containers,
    });
    serde_json::from_value(task).unwrap()
}

/// One essential container `web` with one published port.
pub fn task(id: &str) -> Task {
    task_of(id, json!([web()]))
}

pub fn web() -> Value {
    let ports = json!([{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}]);
    json!({"name": "web", "image": "shop:1", "essential": true, "portMappings": ports})
}

/// `base` with the members of `more`.
pub fn with(mut base: Value, more: Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

pub fn stop(id: &str) -> Task {
    Task { arn: arn(id), desired_status: DesiredStatus::Stopped, ..Task::default() }
}

pub fn payload(message_id: &str, tasks: Vec<Task>) -> ToAgent {
    ToAgent::Payload(Payload {
        message_id: message_id.to_owned(),
        cluster_arn: CLUSTER.to_owned(),
        container_instance_arn: INSTANCE.to_owned(),
        seq_num: Some(1),
        tasks,
        ..Payload::default()
    })
}

pub fn keys(id: &str, access_key_id: &str) -> RoleCredentials {
    RoleCredentials {
        credentials_id: id.to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/shop".to_owned(),
        access_key_id: access_key_id.to_owned(),
        secret_access_key: "hush".to_owned(),
        session_token: "token".to_owned(),
        expiration: "2026-11-22T21:52:07Z".to_owned(),
        credential_scope: None,
    }
}

/// `STOPPED (Essential container in task exited) [web STOPPED 3 80->32768/tcp]`.
pub fn describe(report: &SubmitTaskStateChangeRequest) -> String {
    let reason = report.reason.as_deref().filter(|reason| !reason.is_empty());
    let containers: Vec<String> = report.containers.iter().flatten().map(describe_container).collect();
    let status = report.status.as_deref().unwrap_or("no status");
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{status}{reason} [{}]", containers.join(", "))
}

fn describe_container(change: &ContainerStateChange) -> String {
    let name = change.container_name.as_deref().unwrap_or("no name");
    let mut text = format!("{name} {}", change.status.as_deref().unwrap_or("no status"));
    if let Some(code) = change.exit_code {
        text.push_str(&format!(" {code}"));
    }
    if let Some(reason) = &change.reason {
        text.push_str(&format!(" {reason}"));
    }
    for binding in change.network_bindings.iter().flatten() {
        let NetworkBinding { container_port, host_port, protocol, .. } = binding;
        let (from, to) = (container_port.unwrap_or(0), host_port.unwrap_or(0));
        text.push_str(&format!(" {from}->{to}/{}", protocol.as_deref().unwrap_or("no protocol")));
    }
    text
}
