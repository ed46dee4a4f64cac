//! How one task is.

use api_ecs::{Container, ContainerInstance, Task};
use model::capacity_provider::GROUP_ATTRIBUTE;
use model::probe::{HEALTH_FAILED, NOT_READY};
use shape::Timestamp;

use super::advice;
use super::story::Story;
use crate::person::words::{age, binding, last, short};

pub fn story(task: &Task, instance: Option<&ContainerInstance>, now: Timestamp) -> Story {
    let status = task.last_status.as_deref().unwrap_or_default();
    let mut story = Story::new(format!("task {}", short(task.task_arn.as_deref().unwrap_or_default())), status);
    facts(&mut story, task, now);
    if status == "STOPPED" {
        stopped(&mut story, task);
    } else if task.desired_status.as_deref() == Some("STOPPED") {
        stopping(&mut story, task, now);
    } else if status == "RUNNING" {
        running(&mut story, task);
    } else {
        starting(&mut story, task, now);
    }
    if status != "STOPPED" {
        story.why.extend(instance.into_iter().flat_map(about_instance));
    }
    story
}

fn facts(story: &mut Story, task: &Task, now: Timestamp) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    story.fact("arn", text(&task.task_arn));
    let service = task.group.as_deref().and_then(|group| group.strip_prefix("service:"));
    story.fact("service", service.unwrap_or_default());
    story.fact("definition", last(task.task_definition_arn.as_deref().unwrap_or_default()));
    story.fact("started by", if service.is_none() { text(&task.started_by) } else { String::new() });
    story.fact("cluster", last(task.cluster_arn.as_deref().unwrap_or_default()));
    story.fact("instance", short(task.container_instance_arn.as_deref().unwrap_or_default()));
    story.fact("health", task.health_status.clone().filter(|health| health != "UNKNOWN").unwrap_or_default());
    let moments = [
        ("created", task.created_at),
        ("started", task.started_at),
        ("stopping", task.stopping_at.filter(|_| task.stopped_at.is_none())),
        ("stopped", task.stopped_at),
    ];
    let moments = moments.into_iter().filter(|(_, at)| at.is_some());
    let moments: Vec<String> = moments.map(|(name, at)| format!("{name} {} ago", age(at, now))).collect();
    story.fact("times", moments.join(", "));
    for container in task.containers.iter().flatten() {
        story.fact("container", container_fact(container));
    }
}

/// `app (web:1) RUNNING, http://127.0.0.1:32768->80`
fn container_fact(container: &Container) -> String {
    let name = container.name.as_deref().unwrap_or("?");
    let image = container.image.as_deref().unwrap_or("?");
    let mut parts = vec![format!("{name} ({image}) {}", container.last_status.as_deref().unwrap_or_default())];
    parts.extend(container.health_status.clone().filter(|health| health != "UNKNOWN"));
    if let Some(code) = container.exit_code {
        parts.push(format!("exit code {code}"));
    }
    if container.last_status.as_deref() != Some("STOPPED") {
        parts.extend(container.network_bindings.iter().flatten().filter_map(binding));
    }
    let addresses = container.network_interfaces.iter().flatten();
    parts.extend(addresses.filter_map(|eni| eni.private_ipv4_address.clone()));
    parts.join(", ")
}

fn stopped(story: &mut Story, task: &Task) {
    let reason = sentence(task.stopped_reason.as_deref().unwrap_or_default());
    story.why(reason.as_str());
    container_ends(task, &reason).for_each(|end| story.why(end));
    if story.why.is_empty() {
        story.why("Nobody has said why.");
    }
    story.next.extend(advice::for_stopped(task));
}

/// What the containers add to the task's own reason. A task that never started says the same as its container.
pub fn container_ends(task: &Task, reason: &str) -> impl Iterator<Item = String> {
    let ends = task.containers.iter().flatten().map(container_end);
    ends.filter(move |end| !end.is_empty() && (reason.is_empty() || !end.ends_with(reason)))
}

/// `Container app: exit code 137, killed (SIGKILL). OutOfMemoryError: Container killed due to memory usage.`
fn container_end(container: &Container) -> String {
    let reason = container.reason.as_deref().filter(|reason| !reason.is_empty());
    let code = container.exit_code.map(|code| match advice::exit_code(code) {
        "" => format!("exit code {code}"),
        meaning => format!("exit code {code}, {meaning}"),
    });
    let said = match (code, reason) {
        (Some(code), Some(reason)) => format!("{code}. {reason}"),
        (Some(code), None) => code,
        (None, Some(reason)) => reason.to_owned(),
        (None, None) => return String::new(),
    };
    sentence(&format!("Container {}: {said}", container.name.as_deref().unwrap_or("?")))
}

fn stopping(story: &mut Story, task: &Task, now: Timestamp) {
    story.why(sentence(task.stopped_reason.as_deref().unwrap_or("It was asked to stop")));
    story.why(format!("It has been asked to end {} ago, and has until its `stopTimeout`.", age(task.stopping_at, now)));
    story.next("Wait; a container that does not end on SIGTERM is killed when its time is over.");
}

fn running(story: &mut Story, task: &Task) {
    let id = short(task.task_arn.as_deref().unwrap_or_default());
    if task.health_status.as_deref() == Some("UNHEALTHY") {
        let unhealthy = |one: &&Container| one.health_status.as_deref() == Some("UNHEALTHY");
        for container in task.containers.iter().flatten().filter(unhealthy) {
            let name = container.name.as_deref().unwrap_or("?");
            story.why(match probe_failure(container) {
                Some(said) => sentence(&format!("Container {name} fails its health probe: {said}")),
                None => format!("Container {name} fails its health check."),
            });
        }
        let probed = task.containers.iter().flatten().any(|container| probe_failure(container).is_some());
        story.next(match probed {
            true => format!("`berth logs {id}` shows what the program says."),
            false => format!(
                "Run the health check's command in the container by hand; `berth logs {id}` shows what the program says."
            ),
        });
    } else if let Some(first) = not_ready(task).next() {
        story.why(first);
        not_ready(task).skip(1).for_each(|more| story.why(more));
        story.next(format!(
            "Wait: a task that is not ready is not replaced, and no deployment relies on it. `berth logs {id}` shows what it writes."
        ));
    } else {
        story.why("All of its essential containers run.");
        story.next(format!("Nothing needs to be done. `berth logs --follow {id}` shows what it writes."));
    }
}

/// What the probe of its health heard, where a probe asks.
fn probe_failure(container: &Container) -> Option<&str> {
    container.reason.as_deref()?.strip_prefix(HEALTH_FAILED)
}

/// `Container app is not ready: GET :80/ready answered 503.`
pub fn not_ready(task: &Task) -> impl Iterator<Item = String> {
    let running = task.containers.iter().flatten().filter(|one| one.last_status.as_deref() == Some("RUNNING"));
    running.filter_map(|container| {
        let said = container.reason.as_deref()?.strip_prefix(NOT_READY)?;
        Some(sentence(&format!("Container {} is not ready{said}", container.name.as_deref().unwrap_or("?"))))
    })
}

/// It has no instance yet.
pub fn is_waiting(task: &Task) -> bool {
    task.container_instance_arn.is_none() && task.last_status.as_deref() == Some("PROVISIONING")
}

fn starting(story: &mut Story, task: &Task, now: Timestamp) {
    let waits = age(task.created_at, now);
    if let Some(provider) = task.capacity_provider_name.as_deref().filter(|_| is_waiting(task)) {
        story.why(format!(
            "Capacity provider {provider} had no room for it {waits} ago. Its managed scaling is on, so the task waits for an \
             instance, for half an hour at most."
        ));
        story.next(format!(
            "Start an instance of the provider's Auto Scaling group: `berth agent` with the attribute {GROUP_ATTRIBUTE}."
        ));
    } else if task.container_instance_arn.is_none() {
        story.why(format!("It has waited for {waits} for a place to run."));
        story.next("`berth top` shows the instances and what is free on them.");
    } else if task.pull_started_at.is_some() && task.pull_stopped_at.is_none() {
        story.why(format!("It has been pulling its images for {}.", age(task.pull_started_at, now)));
        story.next("Wait; `berth image load` brings an image without a registry, if the network is slow.");
    } else {
        story.why(format!("It was placed {waits} ago, and its containers are being started."));
        story.next("Wait a moment and ask again.");
    }
}

fn about_instance(instance: &ContainerInstance) -> Vec<String> {
    let mut said = Vec::new();
    let id = short(instance.container_instance_arn.as_deref().unwrap_or_default());
    if instance.agent_connected == Some(false) {
        said.push(format!("The agent of instance {id} is not connected, so nothing new is known of the task."));
    }
    if let Some(status) = instance.status.as_deref().filter(|status| *status != "ACTIVE") {
        said.push(format!("Instance {id} is {status}."));
    }
    said
}

/// With a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests;
