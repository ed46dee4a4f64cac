//! Which services and which waiting tasks have to look, and when. Pure: the loop around it waits and commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ContainerInstanceStatus, Service, ServiceStatus, Task, TaskStatus};
use reconcilers::service::{is_uneven, zones_of_cluster};
use reconcilers::{Indexes, Plan};
use state::{Record, Snapshot};
use stdx::{Ids, Timestamp};

use crate::wake::{ServiceWake, instance_of};

/// Whose turn it can be. A daemon's task comes before those that it serves, so the sequence is this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A managed daemon, by the name of its record.
    ManagedDaemon(String),
    /// A daemon service, by the name of its record.
    Daemon(String),
    /// The tasks of a cluster that wait for an instance: `123456789012/us-east-1/default`.
    Provisioning(String),
    /// Any other service, by the name of its record.
    Service(String),
}

impl Subject {
    /// The name of the service's record, or of the cluster's.
    pub fn name(&self) -> &str {
        match self {
            Subject::ManagedDaemon(name)
            | Subject::Daemon(name)
            | Subject::Provisioning(name)
            | Subject::Service(name) => name,
        }
    }

    /// Who wakes it again.
    pub fn wake(&self) -> ServiceWake {
        match self {
            Subject::ManagedDaemon(name) => ServiceWake::Daemon(name.clone()),
            Subject::Daemon(name) | Subject::Service(name) => ServiceWake::Service(name.clone()),
            Subject::Provisioning(cluster) => ServiceWake::Provisioning { cluster: cluster.clone() },
        }
    }
}

/// Those who wanted to look again at some time.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    due: BTreeMap<Subject, Timestamp>,
}

impl Agenda {
    /// When the next of them is due; nothing when all of them wait for the world.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }

    /// Those whose turn it is: the woken and the due.
    pub fn turn(&self, snapshot: &Snapshot, woken: BTreeSet<ServiceWake>, now: Timestamp) -> Vec<Subject> {
        let mut subjects = concerned(snapshot, woken);
        subjects.extend(self.due.iter().filter(|(_, at)| **at <= now).map(|(subject, _)| subject.clone()));
        subjects.into_iter().collect()
    }

    /// What a turn has come to. Each turn's wish replaces the one before.
    pub fn put(&mut self, subject: &Subject, look_again: Option<Timestamp>) {
        match look_again {
            Some(at) => drop(self.due.insert(subject.clone(), at)),
            None => drop(self.due.remove(subject)),
        }
    }
}

/// What it needs next.
pub fn plan(snapshot: &Snapshot, indexes: &Indexes, subject: &Subject, now: Timestamp, ids: &mut Ids) -> Option<Plan> {
    match subject {
        Subject::Daemon(name) | Subject::Service(name) => {
            let service = snapshot.services.get(name)?;
            Some(reconcilers::reconcile(snapshot, indexes, service, now, ids))
        }
        Subject::ManagedDaemon(name) => {
            let daemon = snapshot.daemons.get(name)?;
            Some(reconcilers::managed_daemon::reconcile(snapshot, indexes, daemon, now, ids))
        }
        Subject::Provisioning(cluster) => {
            let cluster = snapshot.clusters.get(cluster)?;
            let cluster = (&cluster.scope, cluster.name.as_str());
            Some(reconcilers::provisioning::reconcile(snapshot, indexes, cluster, now, ids))
        }
    }
}

/// Those that have to look.
fn concerned(snapshot: &Snapshot, woken: BTreeSet<ServiceWake>) -> BTreeSet<Subject> {
    let mut subjects = BTreeSet::new();
    for wake in woken {
        match wake {
            ServiceWake::Service(name) => drop(subjects.insert(service(snapshot, name))),
            ServiceWake::Daemon(name) => drop(subjects.insert(Subject::ManagedDaemon(name))),
            ServiceWake::Provisioning { cluster } => subjects.extend(provisioning(snapshot, cluster)),
            ServiceWake::Capacity { cluster } => {
                let zones = zones_of_cluster(snapshot, &cluster);
                let services = snapshot.services.range(&format!("{cluster}/"));
                let concerned = services.filter(|one| lacks(snapshot, one) || is_uneven(snapshot, one, &zones));
                subjects.extend(concerned.map(|service| subject(service)));
                subjects.extend(managed_daemons(snapshot, &format!("{cluster}/")));
                subjects.extend(provisioning(snapshot, cluster));
            }
            ServiceWake::Instances { cluster } => {
                let on_each = |service: &Service| service.is_daemon() && service.status != ServiceStatus::Inactive;
                let zones = zones_of_cluster(snapshot, &cluster);
                let services = snapshot.services.range(&format!("{cluster}/"));
                let concerned =
                    services.filter(|one| on_each(one) || lacks(snapshot, one) || is_uneven(snapshot, one, &zones));
                subjects.extend(concerned.map(|service| subject(service)));
                subjects.extend(managed_daemons(snapshot, &format!("{cluster}/")));
                subjects.extend(provisioning(snapshot, cluster));
            }
            ServiceWake::Everything => {
                subjects.extend(snapshot.services.iter().map(|service| subject(service)));
                subjects.extend(managed_daemons(snapshot, ""));
                let clusters = snapshot.clusters.iter();
                subjects.extend(clusters.filter_map(|cluster| provisioning(snapshot, cluster.name())));
            }
        }
    }
    subjects
}

fn managed_daemons(snapshot: &Snapshot, prefix: &str) -> impl Iterator<Item = Subject> {
    snapshot.daemons.range(prefix).map(|daemon| Subject::ManagedDaemon(daemon.name()))
}

fn service(snapshot: &Snapshot, name: String) -> Subject {
    match snapshot.services.get(&name) {
        Some(service) if service.is_daemon() => Subject::Daemon(name),
        _ => Subject::Service(name),
    }
}

fn subject(service: &Service) -> Subject {
    if service.is_daemon() { Subject::Daemon(service.name()) } else { Subject::Service(service.name()) }
}

/// Nothing, as nearly always, when no task of the cluster waits.
fn provisioning(snapshot: &Snapshot, cluster: String) -> Option<Subject> {
    let mut waiting = snapshot.tasks.by("live", &format!("{cluster}/"));
    waiting.next().map(|_| Subject::Provisioning(cluster))
}

/// It waits for room, as far as is known, or has a task on an instance that goes away.
fn lacks(snapshot: &Snapshot, service: &Service) -> bool {
    if service.status != ServiceStatus::Active {
        return false;
    }
    // A deployment that waits for room has all its old tasks.
    if !reconcilers::is_at_rest(service) || service.deployments.len() > 1 {
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
