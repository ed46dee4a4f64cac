//! Tasks that wait for an instance: their capacity provider has no room, and its managed scaling is on. Each is placed when an
//! instance comes or something gets free, the oldest first; one that has waited for too long is given up.
//!
//! Source: Amazon ECS Developer Guide, "Automatically manage Amazon ECS capacity with cluster auto scaling".

use std::time::Duration;

use model::capacity_provider::GROUP_ATTRIBUTE;
use model::{Scope, StopCode, Task, TaskDefinition, stop_reason};
use scheduler::{Explanation, Indexes, Request, Scheduler, Shortage, Strategy, place_waiting, providers};
use state::{Changes, Snapshot};
use stdx::{Ids, Timestamp};

use crate::{Plan, daemon};

/// The most tasks of a cluster that wait. One more is refused, or not started by its service.
/// Source: Amazon ECS service quotas, "Tasks in PROVISIONING state per cluster".
pub const WAITING_MAX: usize = 500;
/// Source: AWS Containers Blog, "Deep Dive on Amazon ECS Cluster Auto Scaling": tasks wait for capacity for between 10 and 30
/// minutes. We take the longest: nobody who relies on AWS loses a task earlier.
pub const WAITS_FOR: Duration = Duration::from_secs(30 * 60);

/// The tasks of a cluster that wait.
pub fn waiting<'a>(snapshot: &'a Snapshot, scope: &Scope, cluster: &str) -> impl Iterator<Item = &'a Task> + use<'a> {
    // The index files live tasks by their instance, and these have none.
    snapshot.tasks.by("live", &format!("{scope}/{cluster}/")).map(|task| &**task)
}

/// What becomes of the tasks that wait in the cluster.
pub fn reconcile(
    snapshot: &Snapshot,
    indexes: &Indexes,
    (scope, cluster): (&Scope, &str),
    now: Timestamp,
    ids: &mut Ids,
) -> Plan {
    let mut tasks: Vec<&Task> = waiting(snapshot, scope, cluster).collect();
    if tasks.is_empty() {
        return Plan::default();
    }
    tasks.sort_by_key(|task| (task.created_at, &task.id));
    let mut plan = Plan::default();
    let mut scheduler = Scheduler::new(indexes, snapshot, scope, cluster, ids.number());
    daemon::keep_room(&mut scheduler, snapshot, scope, cluster);
    // What has found no place finds none behind others either: nothing gets free within a turn.
    let mut vain: Vec<Request> = Vec::new();
    for task in tasks {
        let wanted = request(snapshot, task);
        if let Some((definition, request)) = &wanted
            && !vain.contains(request)
        {
            match scheduler.place(request) {
                Some(placement) => {
                    place_waiting(task, definition, &placement, snapshot, &mut plan.changes);
                    continue;
                }
                None => vain.push(request.clone()),
            }
        }
        let until = task.created_at + WAITS_FOR;
        if until <= now {
            let why = wanted.map(|(_, request)| scheduler.explain(&request)).unwrap_or_default();
            give_up(snapshot, task, &why, now, &mut plan.changes);
        } else {
            plan.look_again = plan.look_again.into_iter().chain([until]).min();
        }
    }
    plan
}

fn give_up(snapshot: &Snapshot, task: &Task, why: &Explanation, now: Timestamp, changes: &mut Changes) {
    let mut task = task.clone();
    task.stopped(StopCode::TaskFailedToStart, &stop_reason::never_placed(reason(why)), now);
    changes.put(snapshot, &task);
}

/// Source: Amazon ECS Developer Guide, "Amazon ECS API failure reasons", those of DescribeTasks.
fn reason(why: &Explanation) -> &'static str {
    let is_of_another = |why: &Shortage| matches!(why, Shortage::Attribute { name } if name == GROUP_ATTRIBUTE);
    let own: Vec<_> = why.rejections.iter().filter(|one| !is_of_another(&one.why)).cloned().collect();
    match (Explanation { rejections: own }).closest().map(|closest| &closest.why) {
        None => stop_reason::NO_INSTANCE,
        Some(Shortage::NotActive { .. }) => stop_reason::NO_ACTIVE_INSTANCE,
        Some(other) => other.reason(),
    }
}

/// What the task asks of an instance: as when it was started, and of its capacity provider alone.
fn request<'a>(snapshot: &'a Snapshot, task: &Task) -> Option<(&'a TaskDefinition, Request)> {
    let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
    let definition: &TaskDefinition = snapshot.task_definitions.get(&name)?;
    let mut request = Request::new(definition, task.overrides.as_deref(), &task.group, task.launch_type).ok()?;
    let how = task.provisioning.as_deref().cloned().unwrap_or_default();
    request.constrain(&how.constraints).ok()?;
    request.strategies = how.strategies.iter().filter_map(|one| Strategy::parse(one).ok()).collect();
    let provider = model::cluster::CapacityProviderStrategyItem {
        capacity_provider: task.capacity_provider.clone().unwrap_or_default(),
        weight: 1,
        base: 0,
    };
    request.providers = providers(snapshot, &task.scope, &[provider], std::iter::empty());
    Some((definition, request))
}
