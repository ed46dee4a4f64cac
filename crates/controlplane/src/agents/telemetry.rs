//! One TCS connection: metrics and health come up, acknowledgements go down.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_api::tcs::{Frame, FromAgent, PublishHealth, TaskHealth, ToAgent};
use axum::extract::ws::{Message, WebSocket};
use model::{HealthStatus, Task, TaskArn, TaskDefinition};
use state::{Changes, CommitError, Ledger, Snapshot, transact};

use super::Hub;
use crate::clock::now;

/// Serves the connection until it ends.
pub async fn serve(hub: Arc<Hub>, instance: String, mut socket: WebSocket) {
    loop {
        let text = match socket.recv().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
        };
        let message = match FromAgent::decode(Frame::decode(&text).envelope) {
            Ok(decoded) => decoded.known(),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a broken TCS message is skipped");
                None
            }
        };
        let Some(message) = message else { continue };
        take(&hub, &instance, &message).await;
        let answer = ToAgent::acknowledge(&message).encode();
        if socket.send(Message::Text(answer.into())).await.is_err() {
            return;
        }
    }
}

async fn take(hub: &Hub, instance: &str, message: &FromAgent) {
    match message {
        FromAgent::PublishMetrics(metrics) => hub.usage.put(metrics, now()),
        FromAgent::PublishHealth(health) => {
            let decide = |snapshot: &Snapshot| -> Result<(Changes, ()), CommitError> {
                Ok((changes(snapshot, instance, health), ()))
            };
            if let Err(error) = transact(&*hub.ledger as &dyn Ledger, decide).await {
                tracing::error!(instance, error = &error as &dyn std::error::Error, "health was not recorded");
            }
        }
        // Whether the agent's runtime is well has no place in the records yet.
        FromAgent::PublishInstanceStatus(_) => {}
    }
}

/// What a health message changes; an agent speaks of its own tasks only.
fn changes(snapshot: &Snapshot, instance: &str, health: &PublishHealth) -> Changes {
    let mut changes = Changes::new();
    for reported in &health.tasks {
        let Ok(arn) = reported.task_arn.parse::<TaskArn>() else { continue };
        let Some(task) = snapshot.tasks.get(&format!("{}/{}/{}", arn.scope, arn.cluster, arn.id)) else { continue };
        if !task.is_live() || crate::wake::instance_of(task) != instance {
            continue;
        }
        let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
        let Some(definition) = snapshot.task_definitions.get(&name) else { continue };
        let mut changed = Task::clone(task);
        apply(&mut changed, definition, reported);
        if changed != **task {
            changed.version += 1;
            changes.put(snapshot, &changed);
        }
    }
    changes
}

/// A task is healthy when all its essential containers with a check are, and unhealthy when one of them is not.
///
/// Source: Amazon ECS Developer Guide, "Determine Amazon ECS task health using container health checks".
fn apply(task: &mut Task, definition: &TaskDefinition, reported: &TaskHealth) {
    let statuses: BTreeMap<&str, HealthStatus> = reported
        .containers
        .iter()
        .map(|container| (container.container_name.as_str(), status(container.health_status)))
        .collect();
    for container in &mut task.containers {
        if let Some(status) = statuses.get(container.name.as_str()) {
            container.health = *status;
        }
    }
    let checked =
        definition.containers.iter().filter(|container| container.essential && container.health_check.is_some());
    let known: Vec<HealthStatus> = checked
        .filter_map(|definition| task.containers.iter().find(|container| container.name == definition.name))
        .map(|container| container.health)
        .collect();
    task.health = match known.as_slice() {
        [] => HealthStatus::Unknown,
        all if all.contains(&HealthStatus::Unhealthy) => HealthStatus::Unhealthy,
        all if all.contains(&HealthStatus::Unknown) => HealthStatus::Unknown,
        _ => HealthStatus::Healthy,
    };
}

fn status(reported: agent_api::tcs::HealthStatus) -> HealthStatus {
    match reported {
        agent_api::tcs::HealthStatus::Healthy => HealthStatus::Healthy,
        agent_api::tcs::HealthStatus::Unhealthy => HealthStatus::Unhealthy,
        agent_api::tcs::HealthStatus::Unknown => HealthStatus::Unknown,
    }
}
