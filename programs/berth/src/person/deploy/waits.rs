//! What a deployment waits for, in sentences.

use api_ecs::{Deployment, Task};
use model::probe::NOT_READY;
use shape::Timestamp;

use super::stages;
use super::view::{Stage, View, positive};
use crate::person::words::{age, count, is_not_ready, last, short};

/// The longest ago that an event can be the reason for what is now, unless nothing else happened since.
const STEADY: &str = "has reached a steady state";
const REASONS: [&str; 4] = ["was unable to", "is unable to", "failed", "rolling back"];

pub fn waits(view: &View, now: Timestamp) -> Vec<String> {
    if view.service.status.as_deref() == Some("DRAINING") {
        return vec![format!("{} of the deleted service to stop.", count(view.live().count(), "task"))];
    }
    let mut waits = Vec::new();
    for deployment in view.deployments() {
        of_deployment(&mut waits, view, deployment, now);
    }
    if let Some(detail) = &view.detail {
        waits.extend(stages::waits(detail, view.baking_since, now));
    }
    if !view.is_over() {
        waits.extend(reason(view, now));
        if waits.is_empty() {
            waits.push("The next step: every task is where it should be, and nothing is on its way.".to_owned());
        }
    }
    waits
}

fn of_deployment(waits: &mut Vec<String>, view: &View, deployment: &Deployment, now: Timestamp) {
    let name = last(deployment.task_definition.as_deref().unwrap_or_default());
    let is_primary = deployment.status.as_deref() == Some("PRIMARY");
    let tasks = |stage| {
        let mut tasks: Vec<&Task> = view.tasks_of(deployment).filter(|task| view.stage(task) == stage).collect();
        tasks.sort_by_key(|task| task.created_at);
        tasks
    };
    let mut say = |tasks: &[&Task], what: &str, since: Option<Timestamp>| {
        if !tasks.is_empty() {
            waits.push(format!("{} of {name} {what} {}.", count(tasks.len(), "task"), age(since, now)));
        }
    };
    let starting = tasks(Stage::Starting);
    let pulling: Vec<&Task> = starting.iter().copied().filter(|task| is_pulling(task)).collect();
    let others: Vec<&Task> = starting.iter().copied().filter(|task| !is_pulling(task)).collect();
    let created = |tasks: &[&Task]| tasks.first().and_then(|task| task.created_at);
    say(&pulling, "to get the image, for", created(&pulling));
    say(&others, "to start, for", created(&others));
    let unproven = tasks(Stage::Unproven);
    let (unready, unproven): (Vec<&Task>, Vec<&Task>) = unproven.into_iter().partition(|task| is_not_ready(task));
    let started = |tasks: &[&Task]| tasks.first().and_then(|task| task.started_at);
    say(&unproven, "to pass the health check, running for", started(&unproven));
    say(&unready, "to be ready, running for", started(&unready));
    let sick = tasks(Stage::Sick);
    say(&sick, "to be replaced: the health check fails. The first has run for", created(&sick));
    let stopping = tasks(Stage::Stopping);
    say(&stopping, "to stop, for", stopping.first().and_then(|task| task.stopping_at));
    let young = tasks(Stage::Working);
    let young: Vec<&Task> = young.into_iter().filter(|task| !view.is_checked(task)).collect();
    let outgoing = view.deployments().iter().any(|other| other.status.as_deref() == Some("ACTIVE"));
    let grows = stages::is_scaling(view.detail.as_ref());
    if is_primary && outgoing && grows && starting.is_empty() && stopping.is_empty() && !young.is_empty() {
        let newest = young.iter().filter_map(|task| task.started_at).max();
        say(&young, "to stay up for a while, having no health check; the newest runs for", newest);
    }
    waits.extend(unready.first().and_then(|task| unreadiness(view, task, now)));
    let failed = positive(deployment.failed_tasks);
    if failed > 0 && deployment.rollout_state.as_deref() != Some("COMPLETED") {
        let what = format!("{} of {name} failed to start or to stay.", count(failed as usize, "task"));
        waits.push(format!("{what}{}", last_failure(view, deployment)));
    }
}

/// What the oldest of those says that are not ready yet, and what will become of it.
fn unreadiness(view: &View, task: &Task, now: Timestamp) -> Option<String> {
    let reasons = task.containers.iter().flatten().filter_map(|container| container.reason.as_deref());
    let reason = reasons.into_iter().find(|reason| reason.starts_with(NOT_READY))?;
    let within = view.ready_within(task).filter(|within| {
        let runs = now.as_millis() - task.started_at.unwrap_or(now).as_millis();
        u128::from(runs.max(0) as u64) < within.as_millis()
    });
    let end =
        within.map(|within| format!(" It is given up {}s after its start.", within.as_secs())).unwrap_or_default();
    let id = short(task.task_arn.as_deref().unwrap_or_default());
    Some(format!("{id}: {}.{end}", reason.trim_end_matches('.')))
}

fn is_pulling(task: &Task) -> bool {
    task.pull_started_at.is_some() && task.pull_stopped_at.is_none()
}

/// How the last one that was seen to fail ended.
fn last_failure(view: &View, deployment: &Deployment) -> String {
    let ended = view.tasks.iter().filter(|task| task.started_by == deployment.id && task.stopped_at.is_some());
    let failed = ended.filter(|task| task.stop_code.as_deref() != Some("ServiceSchedulerInitiated"));
    match failed.max_by_key(|task| task.stopped_at) {
        Some(task) => {
            let id = short(task.task_arn.as_deref().unwrap_or_default());
            format!(" The last, {id}: {}", task.stopped_reason.as_deref().unwrap_or("it did not say why"))
        }
        None => String::new(),
    }
}

/// The newest event that says why something cannot be done.
fn reason(view: &View, now: Timestamp) -> Option<String> {
    let since = view.primary().and_then(|primary| primary.created_at);
    let events = view.service.events.iter().flatten();
    let mut recent = events
        .take_while(|event| event.created_at >= since)
        .take_while(|event| !event.message.as_deref().unwrap_or_default().contains(STEADY));
    let said = recent.find(|event| {
        let message = event.message.as_deref().unwrap_or_default();
        REASONS.iter().any(|reason| message.contains(reason))
    })?;
    Some(format!("{} ago: {}", age(said.created_at, now), said.message.as_deref().unwrap_or_default()))
}
