//! TCS: metrics, health and status come up, acknowledgements go down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_api::close::code;
use agent_api::tcs::{ContainerHealth, Frame, FromAgent, PublishHealth, TaskHealth, ToAgent};
use model::{HealthStatus, Probed, Task, TaskArn, TaskDefinition};
use state::{Changes, CommitError, Ledger, Snapshot, transact};
use tokio::sync::oneshot;

use super::Hub;
use super::connection::Connection;
use super::status;

/// An agent publishes every 20 seconds, idle or not. One that has been silent for as long as it would wait for us itself is not there.
const SILENCE_MAX: Duration = Duration::from_secs(3 * 60);

/// Of what a failed probe says, so much is kept.
const PROBE_CHARS_MAX: usize = 255;

/// The open connections: one for each instance, the newest.
#[derive(Default)]
pub struct Telemetry(Mutex<BTreeMap<String, oneshot::Sender<Ended>>>);

/// Why a connection is not wanted any more.
enum Ended {
    Replaced,
    Deregistered,
}

impl Telemetry {
    fn open(&self, instance: &str) -> oneshot::Receiver<Ended> {
        let (end, ended) = oneshot::channel();
        if let Some(older) = self.lock().insert(instance.to_owned(), end) {
            let _ = older.send(Ended::Replaced);
        }
        ended
    }

    pub fn close(&self, instance: &str) {
        if let Some(open) = self.lock().remove(instance) {
            let _ = open.send(Ended::Deregistered);
        }
    }

    /// Ends all of them.
    pub fn abandon(&self) {
        self.lock().clear();
    }

    /// Takes away the entry of a connection that has ended by itself.
    fn ended(&self, instance: &str) {
        let mut open = self.lock();
        if open.get(instance).is_some_and(oneshot::Sender::is_closed) {
            open.remove(instance);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, oneshot::Sender<Ended>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the connection until it ends.
pub async fn serve(hub: Arc<Hub>, instance: String, mut socket: Connection) {
    let mut ended = hub.telemetry.open(&instance);
    let mut heard_at = hub.clock.now();
    let (code, reason) = loop {
        let silent = hub.clock.until(heard_at + SILENCE_MAX);
        let text = tokio::select! {
            biased;
            why = &mut ended => match why {
                Ok(Ended::Replaced) => break (code::POLICY, "a newer connection of this instance"),
                Ok(Ended::Deregistered) => break (code::NORMAL, "the container instance was deregistered"),
                Err(_) => return,
            },
            text = socket.next() => text,
            () = silent => break (code::GOING_AWAY, "nothing was published"),
        };
        heard_at = hub.clock.now();
        let answered = match text {
            Some(text) => take(&hub, &instance, &mut socket, &text).await,
            None => false,
        };
        if !answered {
            drop(ended);
            return hub.telemetry.ended(&instance);
        }
    };
    drop(ended);
    hub.telemetry.ended(&instance);
    socket.close(code, reason);
}

/// Takes one frame in and acknowledges it; false when the connection is gone. What is no message is passed over: an agent may be
/// newer than we are.
async fn take(hub: &Hub, instance: &str, socket: &mut Connection, text: &str) -> bool {
    match FromAgent::decode(Frame::decode(text).envelope) {
        Ok(decoded) => match decoded.known() {
            Some(message) => {
                record(hub, instance, &message).await;
                socket.send(ToAgent::acknowledge(&message).encode()).await
            }
            None => true,
        },
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a broken TCS message is skipped");
            true
        }
    }
}

async fn record(hub: &Hub, instance: &str, message: &FromAgent) {
    let decide = |snapshot: &Snapshot| -> Result<(Changes, ()), CommitError> {
        let changes = match message {
            FromAgent::PublishHealth(health) => changes(snapshot, instance, health),
            FromAgent::PublishInstanceStatus(published) => status::changes(snapshot, instance, published),
            FromAgent::PublishMetrics(metrics) => {
                hub.usage.put(metrics, hub.clock.now(), |task| own_task(snapshot, instance, task).is_some());
                Changes::new()
            }
        };
        Ok((changes, ()))
    };
    if let Err(error) = transact(&*hub.ledger as &dyn Ledger, decide).await {
        tracing::error!(instance, error = &error as &dyn std::error::Error, "telemetry was not recorded");
    }
}

/// An agent speaks of its own tasks only.
fn own_task<'a>(snapshot: &'a Snapshot, instance: &str, arn: &str) -> Option<&'a Arc<Task>> {
    let arn: TaskArn = arn.parse().ok()?;
    let task = snapshot.tasks.get(&format!("{}/{}/{}", arn.scope, arn.cluster, arn.id))?;
    (task.is_live() && crate::wake::instance_of(task) == instance).then_some(task)
}

/// What a health message changes. Pure.
pub fn changes(snapshot: &Snapshot, instance: &str, health: &PublishHealth) -> Changes {
    let mut changes = Changes::new();
    for reported in &health.tasks {
        let Some(task) = own_task(snapshot, instance, &reported.task_arn) else { continue };
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
    let told: BTreeMap<&str, &ContainerHealth> =
        reported.containers.iter().map(|container| (container.container_name.as_str(), container)).collect();
    for container in &mut task.containers {
        let Some(told) = told.get(container.name.as_str()) else { continue };
        container.health = health(told.health_status);
        let is_awaited = container.probed.as_ref().is_some_and(|before| before.awaited);
        container.probed = told.berth.as_ref().map(|probed| Box::new(self::probed(probed, is_awaited)));
    }
    let checked = definition.containers.iter().filter(|container| container.essential && container.has_health_check());
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

/// Agents keep it short; one that does not is cut.
fn probed(reported: &agent_api::extras::Probed, is_awaited: bool) -> Probed {
    let short = |text: &str| text.chars().take(PROBE_CHARS_MAX).collect();
    Probed {
        ready: reported.ready,
        awaited: is_awaited && reported.ready != Some(true),
        health_says: short(&reported.health_says),
        ready_says: short(&reported.ready_says),
    }
}

fn health(reported: agent_api::tcs::HealthStatus) -> HealthStatus {
    match reported {
        agent_api::tcs::HealthStatus::Healthy => HealthStatus::Healthy,
        agent_api::tcs::HealthStatus::Unhealthy => HealthStatus::Unhealthy,
        agent_api::tcs::HealthStatus::Unknown => HealthStatus::Unknown,
    }
}
