//! Which services have to look, and when. Pure: the loop around it waits and commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ContainerInstanceStatus, Service, ServiceStatus, Task, TaskStatus};
use reconcilers::{Indexes, Plan};
use state::{Record, Snapshot};
use stdx::{Ids, Timestamp};

use crate::wake::{ServiceWake, instance_of};

/// The services that wanted to look again at some time, by the names of their records.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    due: BTreeMap<String, Timestamp>,
}

impl Agenda {
    /// When the next of them is due; nothing when all of them wait for the world.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }

    /// The names of those whose turn it is: the woken and the due. A daemon's task comes before those that it serves.
    pub fn turn(&self, snapshot: &Snapshot, woken: BTreeSet<ServiceWake>, now: Timestamp) -> Vec<String> {
        let mut names = concerned(snapshot, woken);
        names.extend(self.due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()));
        let is_daemon = |name: &String| snapshot.services.get(name).is_some_and(|service| service.is_daemon());
        let (daemons, others): (Vec<String>, Vec<String>) = names.into_iter().partition(is_daemon);
        [daemons, others].concat()
    }

    /// What a turn has come to. Each turn's wish replaces the one before.
    pub fn put(&mut self, name: &str, look_again: Option<Timestamp>) {
        match look_again {
            Some(at) => self.due.insert(name.to_owned(), at),
            None => self.due.remove(name),
        };
    }
}

/// What the service of that name needs next.
pub fn plan(snapshot: &Snapshot, indexes: &Indexes, name: &str, now: Timestamp, ids: &mut Ids) -> Option<Plan> {
    let service = snapshot.services.get(name)?;
    Some(reconcilers::reconcile(snapshot, indexes, service, now, ids))
}

/// The names of the services that have to look.
fn concerned(snapshot: &Snapshot, woken: BTreeSet<ServiceWake>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for wake in woken {
        match wake {
            ServiceWake::Service(name) => drop(names.insert(name)),
            ServiceWake::Capacity { cluster } => {
                let lacking =
                    snapshot.services.range(&format!("{cluster}/")).filter(|service| lacks(snapshot, service));
                names.extend(lacking.map(|service| service.name()));
            }
            ServiceWake::Instances { cluster } => {
                let on_each = |service: &Service| service.is_daemon() && service.status != ServiceStatus::Inactive;
                let services = snapshot.services.range(&format!("{cluster}/"));
                let concerned = services.filter(|service| on_each(service) || lacks(snapshot, service));
                names.extend(concerned.map(|service| service.name()));
            }
            ServiceWake::Everything => names.extend(snapshot.services.iter().map(|service| service.name())),
        }
    }
    names
}

/// It waits for room, as far as is known, or has a task on an instance that goes away.
fn lacks(snapshot: &Snapshot, service: &Service) -> bool {
    if service.status != ServiceStatus::Active {
        return false;
    }
    // A deployment that waits for room has all its old tasks.
    if !reconcilers::is_at_rest(service) {
        return true;
    }
    let stays = |name: String| {
        let instance = snapshot.container_instances.get(&name);
        instance.is_some_and(|instance| instance.status == ContainerInstanceStatus::Active)
    };
    let wanted = |task: &&Arc<Task>| task.is_live() && task.desired_status == TaskStatus::Running;
    let (mut placed, mut leaving) = (0, 0);
    for task in snapshot.tasks.by("service", &service.name()).filter(wanted) {
        *if stays(instance_of(task)) { &mut placed } else { &mut leaving } += 1;
    }
    // A daemon leaves an instance when nobody else is there any more.
    placed < reconcilers::desired_tasks(service) as usize || service.is_daemon() && leaving > 0
}
