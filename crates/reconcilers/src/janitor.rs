//! Forgets what nobody asks for any more: stopped tasks, used client tokens, what was deleted. Writes down the end of tasks
//! whose instance is gone.
//!
//! It reads indexes that are ordered by time, so a turn costs what it forgets, and not what there is.
//!
//! Amazon ECS forgets a stopped task after an hour or so, often before anybody has asked why it stopped. We have [`Retention`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{
    ContainerInstance, ContainerInstanceStatus, DaemonDeployment, Replica, Scope, Service, ServiceStatus, StopCode,
    Task, TaskDefinition, stop_reason,
};
use state::{Changes, Record, Snapshot};
use stdx::Timestamp;

use crate::Plan;

/// How long stopped tasks can be listed and described, and how many of them.
///
/// A task takes about 2.5 KiB of memory, running or not. 100,000 stopped ones are 250 MiB, and more than a week of a
/// cluster that stops ten a minute; what crashes in a loop is held back by its service long before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub stopped_tasks_kept: Duration,
    /// The oldest go first.
    pub stopped_tasks_max: usize,
    /// How long an instance may be without its agent until its services' tasks are replaced; never when nothing.
    pub instance_lost_after: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            stopped_tasks_kept: Duration::from_secs(7 * 24 * 60 * 60),
            stopped_tasks_max: 100_000,
            instance_lost_after: Some(Duration::from_secs(5 * 60)),
        }
    }
}

/// How long a client token protects against a repeat. Source: Amazon ECS Developer Guide, "Ensuring idempotency".
pub const CLIENT_TOKEN_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a service's deployments can be described after their end.
/// Source: Amazon ECS Developer Guide, "View service history using Amazon ECS service deployments": 90 days.
pub const SERVICE_DEPLOYMENT_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How often there is anything worth forgetting.
pub const EVERY: Duration = Duration::from_secs(60);
/// The most records of a kind that one turn touches. The next turn follows at once.
const TURN_MAX: usize = 1000;

/// What may be forgotten now.
pub fn reconcile(snapshot: &Snapshot, retention: &Retention, now: Timestamp) -> Plan {
    let mut changes = Changes::new();
    let tasks = stopped_tasks(snapshot, retention, now, &mut changes);
    let tokens = client_tokens(snapshot, now, &mut changes);
    let lost = lost_tasks(snapshot, now, &mut changes);
    let next_lost = without_agent(snapshot, retention, now, &mut changes);
    let sessions = sessions(snapshot, now, &mut changes);
    for definition in snapshot.task_definitions.under("deleting", "").filter(|one| !in_use(snapshot, one)) {
        changes.delete(snapshot, &**definition);
    }
    let history = history(snapshot, now, &mut changes) + daemon_history(snapshot, now, &mut changes);
    let there_is_more = [tasks, tokens, lost, history, sessions].contains(&TURN_MAX);
    Plan {
        changes,
        look_again: [Some(if there_is_more { now } else { now + EVERY }), next_lost].into_iter().flatten().min(),
    }
}

fn stopped_tasks(snapshot: &Snapshot, retention: &Retention, now: Timestamp, changes: &mut Changes) -> usize {
    let too_many = snapshot.tasks.filed_in("stopped").saturating_sub(retention.stopped_tasks_max);
    let is_old = |task: &Task| now.since(task.stopped_at.unwrap_or(task.created_at)) > retention.stopped_tasks_kept;
    let oldest_first = snapshot.tasks.under("stopped", "").enumerate();
    let forgotten = oldest_first.take_while(|(place, task)| *place < too_many || is_old(task)).take(TURN_MAX);
    forgotten.inspect(|(_, task)| changes.delete(snapshot, &***task)).count()
}

fn client_tokens(snapshot: &Snapshot, now: Timestamp, changes: &mut Changes) -> usize {
    let oldest_first = snapshot.client_tokens.under("used", "");
    let forgotten = oldest_first.take_while(|token| now.since(token.used_at) > CLIENT_TOKEN_KEPT).take(TURN_MAX);
    forgotten.inspect(|token| changes.delete(snapshot, &***token)).count()
}

/// Service deployments, each with the revision that it brought unless somebody still needs that. The one that a service has now
/// stays as long as it.
fn history(snapshot: &Snapshot, now: Timestamp, changes: &mut Changes) -> usize {
    let oldest_first = snapshot.service_deployments.under("ended", "");
    let old = oldest_first.take_while(|one| one.ended_at().is_some_and(|at| now.since(at) > SERVICE_DEPLOYMENT_KEPT));
    let mut count = 0;
    for deployment in old {
        if count == TURN_MAX {
            break;
        }
        let service = format!("{}/{}/{}", deployment.scope, deployment.cluster, deployment.service);
        let known = snapshot.services.get(&service).filter(|one| one.status != ServiceStatus::Inactive);
        let is_current = |one: &model::Deployment| one.service_deployment == deployment.id;
        if known.is_some_and(|service| service.deployments.iter().any(is_current)) {
            continue;
        }
        changes.delete(snapshot, &**deployment);
        count += 1;
        let revision = &deployment.target.revision;
        let by_service = known.is_some_and(|service| {
            service.deployments.iter().any(|one| one.service_revision == *revision)
                || service.last_completed.as_ref().is_some_and(|last| last.service_revision == *revision)
        });
        let mut others = snapshot.service_deployments.range(&format!("{service}/"));
        let by_another = others.any(|one| one.id != deployment.id && one.target.revision == *revision);
        if let Some(record) = snapshot.service_revisions.get(&format!("{service}/{revision}"))
            && !by_service
            && !by_another
        {
            changes.delete(snapshot, &**record);
        }
    }
    count
}

/// Deployments of managed daemons, with the revisions that nobody needs any more. The newest of a daemon stays as long as it.
fn daemon_history(snapshot: &Snapshot, now: Timestamp, changes: &mut Changes) -> usize {
    let oldest_first = snapshot.daemon_deployments.under("ended", "");
    let is_old = |one: &DaemonDeployment| one.ended_at().is_some_and(|at| now.since(at) > SERVICE_DEPLOYMENT_KEPT);
    let mut count = 0;
    for deployment in oldest_first.take_while(|one| is_old(one)).take(TURN_MAX) {
        let daemon = format!("{}/{}/{}", deployment.scope, deployment.cluster, deployment.daemon);
        let known = snapshot.daemons.get(&daemon);
        if known.is_some_and(|daemon| daemon.deployment == deployment.id) {
            continue;
        }
        changes.delete(snapshot, &**deployment);
        count += 1;
        let revision = &deployment.target;
        let by_daemon =
            known.is_some_and(|one| one.revision == *revision || one.last_completed.as_ref() == Some(revision));
        let mut others = snapshot.daemon_deployments.range(&format!("{daemon}/"));
        let by_another =
            others.any(|one| one.id != deployment.id && (one.target == *revision || one.sources.contains(revision)));
        if let Some(record) = snapshot.daemon_revisions.get(&format!("{daemon}/{revision}"))
            && !by_daemon
            && !by_another
        {
            changes.delete(snapshot, &**record);
        }
    }
    count
}

/// Agents whose replica is gone, and which have come to no other: it cannot say any more that they are away. And the leases of
/// replicas that nobody speaks of any more.
fn sessions(snapshot: &Snapshot, now: Timestamp, changes: &mut Changes) -> usize {
    let gone = |id: &String| snapshot.replicas.get(id).is_none_or(|replica| replica.is_gone(now));
    let mut spoken_of = BTreeSet::new();
    let mut count = 0;
    for instance in snapshot.container_instances.iter().filter(|one| one.agent_connected) {
        let Some(replica) = instance.served_by.as_ref() else { continue };
        spoken_of.insert(replica.as_str());
        if count == TURN_MAX || !gone(replica) {
            continue;
        }
        // It may renew its lease this very moment.
        changes.rely_on::<Replica>(snapshot, replica);
        let seen_at = snapshot.replicas.get(replica).map_or(now, |replica| replica.renewed_at);
        let mut instance = ContainerInstance::clone(instance);
        (instance.agent_connected, instance.disconnected_at) = (false, Some(seen_at));
        instance.version += 1;
        changes.put(snapshot, &instance);
        count += 1;
    }
    let forgotten = snapshot.replicas.iter().filter(|one| one.is_gone(now) && !spoken_of.contains(one.id.as_str()));
    forgotten.for_each(|replica| changes.delete(snapshot, &**replica));
    count
}

/// Tasks of an instance that is not there any more: no agent will report their end. And the fence of that instance, which
/// guards one that takes tasks.
fn lost_tasks(snapshot: &Snapshot, now: Timestamp, changes: &mut Changes) -> usize {
    let mut count = 0;
    for instance in snapshot.container_instances.iter().filter(|one| one.status == ContainerInstanceStatus::Inactive) {
        for task in snapshot.tasks.by("live", &instance.name()).take(TURN_MAX - count) {
            let mut task = (**task).clone();
            task.stopped(StopCode::TerminationNotice, &reason(instance), now);
            changes.put(snapshot, &task);
            count += 1;
        }
        if let Some(fence) = snapshot.placement_fences.get(&instance.name()) {
            changes.delete(snapshot, &**fence);
        }
    }
    count
}

/// Services' tasks on instances whose agent has been away for too long are given up, so that they are replaced. An agent that
/// comes back stops what it still has of them, as they are not in its manifest any more. What nobody would replace stays:
/// tasks of their own, and daemons, whose place is that very instance. Says when the next instance is lost.
///
/// ECS waits until the instance is terminated. Here nothing may ever tell us that a machine is gone. Where more than half of
/// a cluster's agents are away it is rather we who are cut off, and nothing is given up.
fn without_agent(
    snapshot: &Snapshot,
    retention: &Retention,
    now: Timestamp,
    changes: &mut Changes,
) -> Option<Timestamp> {
    let bound = retention.instance_lost_after?;
    let takes_tasks = [ContainerInstanceStatus::Active, ContainerInstanceStatus::Draining];
    let mut clusters: BTreeMap<(&Scope, &str), (usize, usize)> = BTreeMap::new();
    for one in snapshot.container_instances.iter().filter(|one| takes_tasks.contains(&one.status)) {
        let (all, away) = clusters.entry((&one.scope, &one.cluster)).or_default();
        *all += 1;
        *away += usize::from(!one.agent_connected);
    }
    let is_cut_off = |one: &ContainerInstance| {
        clusters.get(&(&one.scope, one.cluster.as_str())).is_some_and(|(all, away)| away * 2 > *all)
    };
    let away =
        snapshot.container_instances.iter().filter(|one| !one.agent_connected && takes_tasks.contains(&one.status));
    let (mut next, mut given_up) = (None, 0);
    for instance in away {
        if given_up >= TURN_MAX {
            return Some(now);
        }
        let Some(since) = instance.disconnected_at else {
            changes
                .put(snapshot, &ContainerInstance { disconnected_at: Some(now), ..ContainerInstance::clone(instance) });
            next = next.into_iter().chain([now + bound]).min();
            continue;
        };
        if since + bound > now {
            next = next.into_iter().chain([since + bound]).min();
            continue;
        }
        if is_cut_off(instance) {
            continue;
        }
        for task in snapshot.tasks.by("live", &instance.name()).filter(|task| is_replaced(snapshot, task)) {
            given_up += 1;
            let mut task = Task::clone(task);
            let reason = stop_reason::agent_lost(&instance.id);
            task.stopped(StopCode::TerminationNotice, &reason, now);
            changes.put(snapshot, &task);
        }
    }
    next
}

/// True for a task whose service starts another one elsewhere.
fn is_replaced(snapshot: &Snapshot, task: &Task) -> bool {
    let service = task.service().map(|name| format!("{}/{}/{name}", task.scope, task.cluster));
    let service = service.and_then(|name| snapshot.services.get(&name));
    service.is_some_and(|service| !service.is_daemon())
}

fn reason(instance: &ContainerInstance) -> String {
    stop_reason::host_terminated(instance.ec2_instance_id.as_ref().unwrap_or(&instance.id))
}

/// True while a live task or a service is made of the definition.
pub fn in_use(snapshot: &Snapshot, definition: &TaskDefinition) -> bool {
    let TaskDefinition { scope, family, revision, .. } = definition;
    let prefix = format!("{scope}/");
    let by_task = snapshot.clusters.range(&prefix).any(|cluster| {
        let tasks = snapshot.tasks.by("family", &format!("{scope}/{}/{family}/live", cluster.name));
        tasks.into_iter().any(|task| task.revision == *revision)
    });
    let services = snapshot.services.range(&prefix).filter(|service| service.status != ServiceStatus::Inactive);
    let is_it = |other: (&String, u32)| other == (family, *revision);
    let in_service = |service: &Service| {
        service.deployments.iter().any(|one| is_it((&one.family, one.revision)))
            // A deployment that fails goes back to it.
            || service.last_completed.as_ref().is_some_and(|one| is_it((&one.family, one.revision)))
            || service.task_sets.iter().any(|set| is_it((&set.family, set.revision)))
    };
    let daemons = snapshot.daemons.range(&prefix);
    let by_daemon = daemons.into_iter().any(|daemon| {
        let ids = std::iter::once(&daemon.revision).chain(&daemon.last_completed);
        let revisions = ids.filter_map(|id| snapshot.daemon_revisions.get(&format!("{}/{id}", daemon.name())));
        revisions.into_iter().any(|one| is_it((&one.family, one.revision)))
    });
    by_task || by_daemon || services.into_iter().any(|service| in_service(service))
}
