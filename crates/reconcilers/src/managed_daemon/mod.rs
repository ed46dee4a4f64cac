//! Keeps one task of a managed daemon on every instance of its capacity providers, and brings these tasks from one revision to
//! the next.
//!
//! [`rollout`] decides who leaves and which instances lack a task; here that becomes tasks, and the record of the deployment.
//! ECS drains and replaces the instances; here nobody starts new ones, so the task alone is replaced, where it is.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS Managed Daemons", "Daemon deployments".

mod deployment;
mod rollout;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use model::{
    CapacityProvider, Daemon, DaemonDeployment, DaemonDeploymentStatus, DaemonRevision, DaemonStatus, LaunchType,
    Reservation, StopCode, Tag, Task, TaskDefinition, TaskStatus, stop_reason,
};
use scheduler::{Explanation, Indexes, Launch, Rejection, Request, Scheduler, Shortage, within_group};
use state::{Changes, Record, Snapshot};
use stdx::{Ids, Timestamp};

use self::rollout::Rollout;
use self::view::DaemonView;
use crate::daemon::Why;
use crate::service::backoff;
use crate::turn::STARTS_PER_TURN_MAX;
use crate::{Plan, daemon};

/// A store takes ten thousand guards and changes in one commit.
const OTHERS_MAX: usize = 4000;

/// What the daemon needs next.
pub fn reconcile(snapshot: &Snapshot, indexes: &Indexes, daemon: &Daemon, now: Timestamp, ids: &mut Ids) -> Plan {
    let wanted = Wanted::new(snapshot, daemon);
    let view = DaemonView::new(snapshot, daemon, wanted.as_ref().map(|wanted| &wanted.request), now);
    let mut act = Act {
        snapshot,
        now,
        changes: Changes::new(),
        daemon: daemon.clone(),
        deployment: newest(snapshot, daemon),
        unplaced: String::new(),
    };
    if daemon.status == DaemonStatus::Active && deployment::fails(&view, &mut act) {
        return act.plan(daemon, Some(now));
    }
    // An instance may come back with an old task when all others have the new one.
    let has_failed = |one: &DaemonDeployment| {
        matches!(one.status, DaemonDeploymentStatus::Stopped | DaemonDeploymentStatus::RollbackFailed)
    };
    let is_open = !act.deployment.as_ref().is_some_and(has_failed);
    let rollout = rollout::decide(&view, is_open);
    act.stop(&view, &rollout);
    let more = match &wanted {
        Some(wanted) => act.start(&view, &rollout, wanted, indexes, ids),
        None => None,
    };
    let baked = deployment::finish(&view, &mut act);
    let look_again = [rollout.look_again, more, baked].into_iter().flatten().min();
    act.plan(daemon, look_again)
}

/// What a task of the daemon asks of an instance, once for each of its capacity providers.
pub(crate) fn requests(snapshot: &Snapshot, daemon: &Daemon) -> Vec<Request> {
    let Some(wanted) = Wanted::new(snapshot, daemon).filter(|_| daemon.status == DaemonStatus::Active) else {
        return Vec::new();
    };
    providers(snapshot, daemon).map(|provider| within_group(&wanted.request, provider.group.name())).collect()
}

/// The instances whose task of an older revision will be replaced, or that lack one: nothing when there is no older one.
pub(crate) fn about_to_change(snapshot: &Snapshot, daemon: &Daemon, now: Timestamp) -> BTreeSet<String> {
    let wanted = Wanted::new(snapshot, daemon);
    let view = DaemonView::new(snapshot, daemon, wanted.as_ref().map(|wanted| &wanted.request), now);
    if view.places.iter().all(|place| place.old.is_empty() && place.stopping.is_empty()) {
        return BTreeSet::new();
    }
    let waiting = view.eligible().filter(|place| place.current.is_empty());
    waiting.map(|place| place.instance.id.clone()).collect()
}

/// Its capacity providers, as far as they are there.
pub(crate) fn providers<'a>(
    snapshot: &'a Snapshot,
    daemon: &'a Daemon,
) -> impl Iterator<Item = &'a CapacityProvider> + 'a {
    let get = |name: &String| snapshot.capacity_providers.get(&format!("{}/{name}", daemon.scope));
    daemon.capacity_providers.iter().filter_map(get).map(|provider| &**provider)
}

/// How many of its tasks run, by their revision and capacity provider.
pub fn running(snapshot: &Snapshot, daemon: &Daemon) -> BTreeMap<(String, String), i32> {
    count(snapshot, daemon, |task| task.last_status == TaskStatus::Running)
}

/// How many of its tasks are on their way out.
pub fn leaving(snapshot: &Snapshot, daemon: &Daemon) -> BTreeMap<(String, String), i32> {
    count(snapshot, daemon, |task| task.desired_status == TaskStatus::Stopped)
}

fn count(snapshot: &Snapshot, daemon: &Daemon, which: impl Fn(&Task) -> bool) -> BTreeMap<(String, String), i32> {
    let mut counts = BTreeMap::new();
    for task in snapshot.tasks.by("service", &view::owner(daemon)).filter(|task| which(task)) {
        let revision = model::daemon::revision_of(&task.started_by).unwrap_or_default().to_owned();
        *counts.entry((revision, task.capacity_provider.clone().unwrap_or_default())).or_default() += 1;
    }
    counts
}

fn newest(snapshot: &Snapshot, daemon: &Daemon) -> Option<DaemonDeployment> {
    let name = format!("{}/{}", daemon.name(), daemon.deployment);
    snapshot.daemon_deployments.get(&name).map(|deployment| DaemonDeployment::clone(deployment))
}

/// What the tasks of its revision become.
struct Wanted<'a> {
    revision: &'a DaemonRevision,
    definition: &'a TaskDefinition,
    request: Request,
    tags: Vec<Tag>,
}

impl<'a> Wanted<'a> {
    fn new(snapshot: &'a Snapshot, daemon: &Daemon) -> Option<Wanted<'a>> {
        let revision: &DaemonRevision =
            snapshot.daemon_revisions.get(&format!("{}/{}", daemon.name(), daemon.revision))?;
        let name = format!("{}/{}/{:010}", daemon.scope, revision.family, revision.revision);
        let definition: &TaskDefinition = snapshot.task_definitions.get(&name)?;
        let request = Request::new(definition, None, &daemon.group(), LaunchType::Ec2).ok()?;
        let mut tags = if revision.propagate_tags { daemon.tags.clone() } else { Vec::new() };
        if revision.ecs_managed_tags_enabled {
            let managed = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
            tags.push(managed("aws:ecs:clusterName", &daemon.cluster));
            tags.push(managed("aws:ecs:daemonName", &daemon.name));
        }
        Some(Wanted { revision, definition, request, tags })
    }

    fn launch(&self, cluster: &'a str) -> Launch<'_> {
        Launch {
            definition: self.definition,
            request: &self.request,
            cluster,
            launch_type: LaunchType::Ec2,
            started_by: self.revision.started_by(),
            overrides: None,
            tags: self.tags.clone(),
            execute_command_enabled: self.revision.execute_command_enabled,
        }
    }
}

/// What was decided and done.
pub(crate) struct Act<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    changes: Changes,
    /// As it will be.
    daemon: Daemon,
    deployment: Option<DaemonDeployment>,
    /// Why instances lack their task.
    unplaced: String,
}

impl Act<'_> {
    fn plan(mut self, before: &Daemon, look_again: Option<Timestamp>) -> Plan {
        if let Some(deployment) = self.deployment.take()
            && newest(self.snapshot, before).as_ref() != Some(&deployment)
        {
            self.changes.put(self.snapshot, &deployment);
        }
        if self.daemon != *before {
            self.changes.put(self.snapshot, &self.daemon);
        }
        Plan { changes: self.changes, look_again }
    }

    fn stop(&mut self, view: &DaemonView<'_>, rollout: &Rollout<'_>) {
        for (why, tasks) in &rollout.stop {
            for task in tasks {
                let reason = match why {
                    Why::Deployment | Why::Drained => stop_reason::scaling_of_daemon(&self.daemon.deployment),
                    Why::Unhealthy => stop_reason::UNHEALTHY.to_owned(),
                    Why::NeverReady => view.patience.reason(task),
                    Why::Constraints => stop_reason::OF_NO_PROVIDER.to_owned(),
                };
                let mut task = Task::clone(task);
                task.request_stop(StopCode::ServiceSchedulerInitiated, &reason, self.now);
                self.changes.put(self.snapshot, &task);
            }
        }
        if rollout.stop.is_empty() {
            return;
        }
        // Some leave because others work: if one of those has changed since, the turn is taken again.
        let stays = |task: &&&Task| rollout.stop.iter().all(|(_, tasks)| tasks.iter().all(|one| one.id != task.id));
        let others = view.places.iter().flat_map(|place| &place.current).filter(stays).take(OTHERS_MAX);
        others.for_each(|task| self.changes.rely_on::<Task>(self.snapshot, &task.name()));
    }

    /// One task on each instance that lacks one. Says when to go on with what has to wait.
    fn start(
        &mut self,
        view: &DaemonView<'_>,
        rollout: &Rollout<'_>,
        wanted: &Wanted<'_>,
        indexes: &Indexes,
        ids: &mut Ids,
    ) -> Option<Timestamp> {
        if rollout.start.is_empty() && rollout.refused.is_empty() {
            return None;
        }
        let (scope, cluster) = (&view.daemon.scope, &view.daemon.cluster);
        let failed = self.failed(view, wanted, rollout.start.len());
        let mut scheduler = Scheduler::new(indexes, self.snapshot, scope, cluster, ids.number());
        let (mut started, mut look_again) = (0, None);
        let mut rejected = Explanation { rejections: rollout.refused.clone() };
        for instance in &rollout.start {
            if started == STARTS_PER_TURN_MAX {
                return Some(self.now);
            }
            let stopped = failed.get(instance.id.as_str()).into_iter().flatten().copied();
            if let Some(at) = backoff::after(stopped, std::iter::empty(), self.now) {
                look_again = Some(look_again.map_or(at, |known: Timestamp| known.min(at)));
                continue;
            }
            match scheduler.place_on(&instance.id, &wanted.request) {
                Ok(mut placement) => {
                    let provider = providers(self.snapshot, view.daemon).find(|provider| provider.has(instance));
                    placement.capacity_provider = provider.map(|provider| provider.name.clone());
                    wanted.launch(cluster).record(&placement, self.snapshot, &mut self.changes, ids, self.now);
                    started += 1;
                }
                // Its agent comes back, or its instance goes.
                Err(Some(Rejection { why: Shortage::AgentDisconnected, .. })) | Err(None) => {}
                Err(Some(rejection)) => rejected.rejections.push(rejection),
            }
        }
        if let Some(closest) = rejected.closest() {
            let (count, id, why) = (rejected.rejections.len(), &closest.instance.id, closest.why.sentence());
            self.unplaced =
                format!("No room for the daemon task on {count} of the instances: (container-instance {id}) {why}.");
        }
        look_again
    }

    /// What has stopped of the revision, the newest first, by instance: what fails on one holds nobody back on others.
    fn failed<'a>(
        &self,
        view: &DaemonView<'a>,
        wanted: &Wanted<'_>,
        instances: usize,
    ) -> BTreeMap<&'a str, Vec<&'a Task>> {
        let mut by_instance: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
        let started_by = wanted.revision.started_by();
        for task in view.stopped().take(instances * backoff::ROW_MAX as usize) {
            if task.started_by == started_by {
                by_instance.entry(&task.container_instance).or_default().push(task);
            }
        }
        by_instance
    }
}

/// No other task of the cluster gets the room that daemons lack.
pub(crate) fn keep_room(scheduler: &mut Scheduler<'_>, snapshot: &Snapshot, prefix: &str) {
    for daemon in snapshot.daemons.range(prefix) {
        let requests = requests(snapshot, daemon);
        let is_open = newest(snapshot, daemon).is_some_and(|one| one.status.is_ongoing());
        let succeeds = if is_open && !requests.is_empty() { succeeded(snapshot, daemon) } else { BTreeMap::new() };
        requests.into_iter().for_each(|request| scheduler.keep_room_to_grow(request, succeeds.clone()));
    }
}

/// What the old tasks hold that a new one is to take over, by instance.
fn succeeded(snapshot: &Snapshot, daemon: &Daemon) -> BTreeMap<String, Reservation> {
    let of_newest = model::daemon::started_by(&daemon.revision);
    let tasks = snapshot.tasks.by("service", &view::owner(daemon)).map(|task| &**task);
    daemon::held_by_old(tasks, |task| task.started_by == of_newest, false)
}

pub(crate) use daemon::view::{Place, Standing, standing};
