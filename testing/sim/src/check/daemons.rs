//! What holds of managed daemons: in a commit of their own, and in the end.

use std::sync::Arc;

use model::{ContainerInstance, ContainerInstanceStatus, Daemon, DaemonStatus, HealthStatus, Task, TaskStatus};
use state::{Record, Snapshot};

use super::wanted::has_room;
use crate::node::short;

/// The name of the daemon's record.
pub fn of_task(task: &Task) -> Option<String> {
    let name = task.group.strip_prefix(model::daemon::DAEMON_GROUP)?;
    Some(format!("{}/{}/{name}", task.scope, task.cluster))
}

/// Its tasks that have not stopped, on instances that can be reached.
fn tasks<'a>(snapshot: &'a Snapshot, daemon: &'a Daemon) -> impl Iterator<Item = &'a Task> {
    let name = daemon.name();
    let is_there = |task: &Task| {
        let place = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
        let instance = snapshot.container_instances.get(&place);
        instance.is_some_and(|instance| instance.status != ContainerInstanceStatus::Inactive)
    };
    let own = move |task: &&Arc<Task>| task.is_live() && of_task(task).as_ref() == Some(&name) && is_there(task);
    snapshot.tasks.iter().filter(own).map(|task| &**task)
}

/// The instances that should have a task of it.
fn instances<'a>(snapshot: &'a Snapshot, daemon: &'a Daemon) -> impl Iterator<Item = &'a Arc<ContainerInstance>> {
    let providers = daemon.capacity_providers.iter();
    let providers: Vec<_> =
        providers.filter_map(|name| snapshot.capacity_providers.get(&format!("{}/{name}", daemon.scope))).collect();
    let is_ours = move |one: &&Arc<ContainerInstance>| {
        one.status == ContainerInstanceStatus::Active && providers.iter().any(|provider| provider.has(one))
    };
    snapshot.container_instances.range(&format!("{}/{}/", daemon.scope, daemon.cluster)).filter(is_ours)
}

/// The old task goes before the new one comes.
pub fn only_one(before: &Snapshot, after: &Snapshot, daemon: &Daemon) -> Result<(), String> {
    for new in tasks(after, daemon).filter(|task| before.tasks.get(&task.name()).is_none()) {
        let is_other = |task: &&Task| task.id != new.id && task.container_instance == new.container_instance;
        if let Some(other) = tasks(after, daemon).find(is_other) {
            let (one, two) = (short(&new.id), short(&other.id));
            return Err(format!("{} starts {one} on an instance that has {two}", daemon.name));
        }
    }
    Ok(())
}

/// Its own stops leave no more instances without a working task than it may drain at a time.
pub fn drained(before: &Snapshot, after: &Snapshot, daemon: &Daemon) -> Result<(), String> {
    if daemon.status != DaemonStatus::Active {
        return Ok(());
    }
    let works = |task: &&Task| {
        task.desired_status == TaskStatus::Running
            && task.last_status == TaskStatus::Running
            && task.health != HealthStatus::Unhealthy
    };
    // Who cannot be reached holds nobody up.
    let places: Vec<&str> =
        instances(after, daemon).filter(|one| one.agent_connected).map(|one| one.id.as_str()).collect();
    let bare = |snapshot| {
        let has = |place: &str| tasks(snapshot, daemon).filter(works).any(|task| task.container_instance == place);
        places.iter().filter(|place| !has(place)).count()
    };
    let (had, has, most) = (bare(before), bare(after), daemon.configuration.batch(instances(after, daemon).count()));
    match has > had && has > most {
        true => Err(format!(
            "{} leaves {has} of its instances without a working task after {had}, and {most} may be drained at a time",
            daemon.name
        )),
        false => Ok(()),
    }
}

/// Each of its instances has its task, of the revision that it wants, or has no room for it; and no deployment goes on.
pub fn daemon_as_wanted(snapshot: &Snapshot, daemon: &Daemon) -> Result<(), String> {
    let name = &daemon.name;
    if daemon.status != DaemonStatus::Active {
        return Err(format!("{name} is deleted, and still there"));
    }
    let own = model::daemon::started_by(&daemon.revision);
    let revision = snapshot.daemon_revisions.get(&format!("{}/{}", daemon.name(), daemon.revision));
    let definition = revision.and_then(|one| {
        snapshot.task_definitions.get(&format!("{}/{}/{:010}", daemon.scope, one.family, one.revision))
    });
    let Some(definition) = definition else { return Err(format!("the definition of {name} is gone")) };
    let is_checked = definition.containers.iter().any(|one| one.essential && one.has_health_check());
    let (mut count, mut waits) = (0, false);
    for instance in instances(snapshot, daemon) {
        let here: Vec<&Task> = tasks(snapshot, daemon).filter(|task| task.container_instance == instance.id).collect();
        let id = short(&instance.id);
        count += here.len();
        match here[..] {
            [task]
                if task.started_by == own
                    && task.last_status == TaskStatus::Running
                    && (!is_checked || task.health == HealthStatus::Healthy) => {}
            [] if has_room(snapshot, instance, definition, None) => {
                return Err(format!("{name} has no task on instance {id}, which has room for one"));
            }
            [old] if old.started_by != own && has_room(snapshot, instance, definition, Some(old)) => {
                return Err(format!("{name} has an old task on instance {id}, where a new one would fit in its place"));
            }
            [task] if task.started_by == own && task.last_status == TaskStatus::Running => {
                return Err(format!("{name} has a task on instance {id} that is not healthy yet"));
            }
            [old] if old.started_by == own => return Err(format!("{name} has a task on {id} that does not run")),
            [] | [_] => waits = true,
            _ => return Err(format!("{name} has {} tasks on instance {id}", here.len())),
        }
    }
    if count != tasks(snapshot, daemon).count() {
        return Err(format!("{name} has tasks where it should have none"));
    }
    let deployment = snapshot.daemon_deployments.get(&format!("{}/{}", daemon.name(), daemon.deployment));
    match deployment {
        Some(deployment) if deployment.status.is_ongoing() && !waits => {
            Err(format!("{name} has all its tasks, and its deployment is {}", deployment.status.as_str()))
        }
        Some(_) => Ok(()),
        None => Err(format!("the deployment of {name} has no record")),
    }
}

/// What a person wants to know of a change.
pub fn told(before: &Snapshot, after: &Snapshot, name: &str) -> Vec<String> {
    let (was, is) = (before.daemons.get(name), after.daemons.get(name));
    let Some(is) = is else { return was.map(|was| format!("{} is gone", was.name)).into_iter().collect() };
    let mut lines = Vec::new();
    if was.is_none_or(|was| was.revision != is.revision) {
        lines.push(format!("{} is to have revision {}", is.name, short(&is.revision)));
    }
    if was.is_some_and(|was| was.status != is.status) {
        lines.push(format!("{} is {}", is.name, is.status.as_str()));
    }
    lines
}
