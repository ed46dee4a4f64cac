//! What the snapshot wants of an instance, as events of its session. Pure.

use agent_api::ManifestTask;
use agent_api::payload::DesiredStatus;
use agent_api::session::Event;
use model::{ContainerInstance, Task, TaskStatus};
use state::{Record, Snapshot};

use super::payload;

/// What one task needs; `name` is its record's.
pub fn task(snapshot: &Snapshot, name: &str, endpoint: &str) -> Option<Event> {
    snapshot.tasks.get(name).and_then(|task| event(snapshot, task, endpoint))
}

/// What all tasks of an instance need.
pub fn tasks(snapshot: &Snapshot, instance: &ContainerInstance, endpoint: &str) -> Vec<Event> {
    snapshot.tasks.by("live", &instance.name()).filter_map(|task| event(snapshot, task, endpoint)).collect()
}

fn event(snapshot: &Snapshot, task: &Task, endpoint: &str) -> Option<Event> {
    let task_arn = task.arn().to_string();
    if !task.is_live() {
        return Some(Event::Forget { task_arn });
    }
    match task.desired_status {
        TaskStatus::Stopped => Some(Event::Deliver(vec![payload::stop(task)])),
        _ if task.last_status >= TaskStatus::Running => {
            Some(Event::Reported { task_arn, status: DesiredStatus::Running })
        }
        _ => {
            let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
            // The janitor keeps a definition for as long as a task is made of it.
            let definition = snapshot.task_definitions.get(&name)?;
            let revision = snapshot.service_revision_of(task).map(|revision| revision.images.as_slice());
            Some(Event::Deliver(vec![payload::start(task, definition, revision.unwrap_or_default(), endpoint)]))
        }
    }
}

/// Everything that should be on the instance.
pub fn manifest(snapshot: &Snapshot, instance: &ContainerInstance) -> Vec<ManifestTask> {
    let wanted = snapshot.tasks.by("live", &instance.name());
    wanted.map(|task| manifest_task(task)).collect()
}

fn manifest_task(task: &Task) -> ManifestTask {
    let desired = if task.desired_status == TaskStatus::Stopped { TaskStatus::Stopped } else { TaskStatus::Running };
    ManifestTask {
        task_arn: task.arn().to_string(),
        task_cluster_arn: task.cluster_arn().to_string(),
        desired_status: desired.as_str().to_owned(),
    }
}

/// Of what an agent would stop, what really should: a task that was placed meanwhile stays.
pub fn confirmed(
    snapshot: &Snapshot,
    instance: &ContainerInstance,
    candidates: Vec<ManifestTask>,
) -> Vec<ManifestTask> {
    let wanted: Vec<String> = manifest(snapshot, instance)
        .into_iter()
        .filter(|task| task.desired_status == TaskStatus::Running.as_str())
        .map(|task| task.task_arn)
        .collect();
    candidates.into_iter().filter(|candidate| !wanted.contains(&candidate.task_arn)).collect()
}
