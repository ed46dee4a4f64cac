use std::sync::Arc;

use api_ecs::{ContainerStateChange, SubmitTaskStateChangeRequest, SubmitTaskStateChangeResponse};
use model::resources::Protocol;
use model::task::NetworkBinding;
use model::{Container, ServiceRevision, StopCode, Task, TaskArn, TaskStatus, stop_reason};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::limits::REASON_CHARS_MAX;
use crate::lookup;

/// What an agent says about a task. Reports may repeat and may be about tasks and clusters nobody knows any more; they are
/// answered with an acknowledgment, because anything else would make the agent send them for ever.
pub(crate) fn apply(input: &SubmitTaskStateChangeRequest, ctx: &mut Ctx<'_>) -> Applied<SubmitTaskStateChangeResponse> {
    let acknowledged = || SubmitTaskStateChangeResponse { acknowledgment: Some("ACK".into()) };
    let Some(task) = reported_task(ctx, input.cluster.as_deref(), input.task.as_deref()) else {
        return Ok((absent(ctx, input.cluster.as_deref(), input.task.as_deref()), acknowledged()));
    };
    let mut changed = (*task).clone();
    for report in input.containers.iter().flatten() {
        container(&mut changed, report);
    }
    changed.pull_started_at = changed.pull_started_at.or(input.pull_started_at);
    changed.pull_stopped_at = changed.pull_stopped_at.or(input.pull_stopped_at);
    changed.execution_stopped_at = changed.execution_stopped_at.or(input.execution_stopped_at);
    match input.status.as_deref() {
        Some("RUNNING") if changed.last_status.may_move_to(TaskStatus::Running) => {
            changed.last_status = TaskStatus::Running;
            changed.connectivity_at = Some(ctx.now);
            changed.started_at = Some(ctx.now);
        }
        Some("STOPPED") => {
            changed.execution_stopped_at.get_or_insert(ctx.now);
            let (code, reason) = why_stopped(ctx, &changed, input.reason.as_deref().unwrap_or_default());
            changed.stopped(code, &shortened(&reason), ctx.now);
        }
        _ => {}
    }
    let mut changes = Changes::new();
    if changed != *task {
        changed.version = task.version + 1;
        changes.put(ctx.snapshot, &changed);
        if let Some(revision) = settled_images(ctx, &changed) {
            changes.put(ctx.snapshot, &revision);
        }
    }
    Ok((changes, acknowledged()))
}

/// The service revision of a task, once the first task has found out what its images are.
///
/// Source: Amazon ECS Developer Guide, "Container image resolution": the digest is resolved once and all tasks of the deployment
/// use it, unless `versionConsistency` is `disabled`.
fn settled_images(ctx: &Ctx<'_>, task: &Task) -> Option<ServiceRevision> {
    let revision = ctx.snapshot.service_revision_of(task)?;
    let definition = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
    let definition = ctx.snapshot.task_definitions.get(&definition)?;
    let mut settled = (**revision).clone();
    for image in settled.images.iter_mut().filter(|image| image.digest.is_none() && !image.image.contains('@')) {
        let is_consistent = definition
            .container(&image.container)
            .is_some_and(|container| container.version_consistency.as_deref() != Some("disabled"));
        if is_consistent {
            let found = task.containers.iter().find(|container| container.name == image.container);
            image.digest = found.and_then(|container| container.image_digest.clone());
        }
    }
    (settled != **revision).then_some(settled)
}

/// The task that a report is about, while there is still something to report of it.
pub(crate) fn reported_task(ctx: &Ctx<'_>, cluster: Option<&str>, task: Option<&str>) -> Option<Arc<Task>> {
    let cluster = lookup::cluster(ctx, cluster).ok()?;
    lookup::task(ctx, &cluster, task.unwrap_or_default()).filter(|task| task.is_live())
}

/// That there is no such task must be true, and not only late news: a report that is acknowledged never comes again.
pub(crate) fn absent(ctx: &Ctx<'_>, cluster: Option<&str>, task: Option<&str>) -> Changes {
    let mut changes = Changes::new();
    let Ok(cluster) = lookup::cluster(ctx, cluster) else { return changes };
    let text = task.unwrap_or_default();
    let id = text.parse().map_or_else(|_| text.to_owned(), |arn: TaskArn| arn.id);
    // What is no id has no record, and is no key.
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id && lookup::task(ctx, &cluster, text).is_none() {
        changes.rely_on::<Task>(ctx.snapshot, &format!("{}/{}/{id}", ctx.scope, cluster.name));
    }
    changes
}

/// One container's part of a report. A status never moves backwards, and an exit code that came is not forgotten.
pub(crate) fn container(task: &mut Task, report: &ContainerStateChange) {
    let name = report.container_name.as_deref().unwrap_or_default();
    let Some(container) = task.containers.iter_mut().find(|container| container.name == name) else { return };
    let status = match report.status.as_deref() {
        Some("RUNNING") => TaskStatus::Running,
        Some("STOPPED") => TaskStatus::Stopped,
        _ => TaskStatus::Pending,
    };
    if container.last_status.may_move_to(status) {
        container.last_status = status;
    }
    if let Some(digest) = report.image_digest.clone().filter(|digest| !digest.is_empty()) {
        container.image_digest = Some(digest);
    }
    if let Some(id) = report.runtime_id.clone().filter(|id| !id.is_empty()) {
        container.runtime_id = Some(id);
    }
    // A RUNNING report of a very short-lived process may carry a code already; only the end counts.
    if status == TaskStatus::Stopped {
        container.exit_code = container.exit_code.or(report.exit_code);
    }
    if let Some(reason) = report.reason.clone().filter(|reason| !reason.is_empty()) {
        container.reason = shortened(&reason);
    }
    if let Some(bindings) = report.network_bindings.as_ref().filter(|bindings| !bindings.is_empty()) {
        container.network_bindings = bindings.iter().filter_map(binding).collect();
    }
}

/// Agents cut what they say themselves; whoever does not gets it cut here.
fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

fn binding(report: &api_ecs::NetworkBinding) -> Option<NetworkBinding> {
    let ranges = (report.container_port_range.as_deref(), report.host_port_range.as_deref());
    let (container_port, host_port, to) = match ranges {
        (Some(container), Some(host)) => {
            let ((first, last), (host_first, host_last)) = (port_range(container)?, port_range(host)?);
            (first, host_first, Some((last, host_last)))
        }
        _ => {
            let port = |port: Option<i32>| u16::try_from(port?).ok();
            (port(report.container_port)?, port(report.host_port)?, None)
        }
    };
    Some(NetworkBinding {
        bind_ip: report.bind_ip.clone().unwrap_or_else(|| "0.0.0.0".into()),
        container_port,
        host_port,
        to,
        protocol: if report.protocol.as_deref() == Some("udp") { Protocol::Udp } else { Protocol::Tcp },
    })
}

/// `9000-9002`
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The agent says that a task has stopped; why is for us to say. It has worked when it ran, or when an essential container
/// got as far as an exit code.
fn why_stopped(ctx: &Ctx<'_>, task: &Task, reported: &str) -> (StopCode, String) {
    let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
    let definition = ctx.snapshot.task_definitions.get(&name);
    let is_essential = |container: &Container| {
        let defined = definition.and_then(|definition| definition.container(&container.name));
        defined.is_none_or(|defined| defined.essential)
    };
    let mut exited = task.containers.iter().filter(|container| container.exit_code.is_some());
    if task.started_at.is_some() || exited.any(is_essential) {
        return (StopCode::EssentialContainerExited, stop_reason::ESSENTIAL_EXITED.into());
    }
    let cause = task.containers.iter().map(|container| container.reason.as_str()).find(|reason| !reason.is_empty());
    let reason = match (cause, reported) {
        (Some(cause), _) => cause.to_owned(),
        (None, "") => stop_reason::NEVER_RAN.into(),
        (None, reported) => reported.to_owned(),
    };
    (StopCode::TaskFailedToStart, reason)
}
