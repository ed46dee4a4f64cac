//! Who has to look again. A wake says where, never what: whoever is woken reads the whole snapshot.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use model::{ContainerInstance, Daemon, Service, Task};
use state::{Record, Touched};
use tokio::sync::Notify;

/// A set that can be waited for. It holds each place once, however often it was touched.
pub struct Dirty<K> {
    places: Mutex<BTreeSet<K>>,
    notify: Notify,
}

impl<K> Default for Dirty<K> {
    fn default() -> Self {
        Dirty { places: Mutex::default(), notify: Notify::new() }
    }
}

impl<K: Ord> Dirty<K> {
    pub fn mark(&self, places: impl IntoIterator<Item = K>) {
        let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.extend(places);
        if all.len() > before {
            self.notify.notify_one();
        }
    }

    /// Waits until there is something, and takes all of it. For one waiter; cancelling loses nothing.
    pub async fn take(&self) -> BTreeSet<K> {
        loop {
            let taken = std::mem::take(&mut *self.places.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.notify.notified().await;
        }
    }
}

/// What the loops wait for.
#[derive(Default)]
pub struct Wakes {
    pub services: Dirty<ServiceWake>,
    pub instances: Dirty<InstanceWake>,
    /// What may bring something new. Only for whoever can do without.
    pub newcomers: Dirty<Newcomer>,
}

/// By the name of its record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Newcomer {
    /// With more than one deployment, or with task sets.
    Service(String),
    /// A managed one.
    Daemon(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceWake {
    /// By the name of its record.
    Service(String),
    /// A managed one, by the name of its record.
    Daemon(String),
    /// A task of this cluster has begun to wait for an instance.
    Provisioning {
        cluster: String,
    },
    /// Something became free: services of this cluster that lack tasks may go on, and tasks that wait.
    Capacity {
        cluster: String,
    },
    /// An instance came, went or changed: those, and the daemons, which have a task on each.
    Instances {
        cluster: String,
    },
    Everything,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceWake {
    /// By the names of their records.
    Task {
        instance: String,
        task: String,
    },
    Instance(String),
    Everything,
}

impl Wakes {
    pub fn everything(&self) {
        self.services.mark([ServiceWake::Everything]);
        self.instances.mark([InstanceWake::Everything]);
    }

    /// Spreads the word about one batch of changes.
    pub fn touched(&self, touched: &[Touched]) {
        let (services, instances) = concerned(touched);
        self.services.mark(services);
        self.instances.mark(instances);
        self.newcomers.mark(touched.iter().filter_map(|one| match one {
            Touched::Service(service) if service.deployments.len() + service.task_sets.len() > 1 => {
                Some(Newcomer::Service(Service::name(service)))
            }
            Touched::Daemon(daemon) => Some(Newcomer::Daemon(Daemon::name(daemon))),
            _ => None,
        }));
    }
}

/// Whom a batch of changes concerns. Pure.
pub fn concerned(touched: &[Touched]) -> (BTreeSet<ServiceWake>, BTreeSet<InstanceWake>) {
    let (mut services, mut instances) = (BTreeSet::new(), BTreeSet::new());
    for one in touched {
        match one {
            Touched::Task(task) => {
                if let Some(service) = task.service() {
                    services.insert(ServiceWake::Service(format!("{}/{}/{service}", task.scope, task.cluster)));
                }
                if task.is_daemon()
                    && let Some((_, name)) = task.group.split_once(':')
                {
                    services.insert(ServiceWake::Daemon(format!("{}/{}/{name}", task.scope, task.cluster)));
                }
                if task.is_waiting() {
                    services.insert(ServiceWake::Provisioning { cluster: cluster_of_task(task) });
                }
                if !task.is_live() {
                    services.insert(ServiceWake::Capacity { cluster: cluster_of_task(task) });
                }
                instances.insert(InstanceWake::Task { instance: instance_of(task), task: task.name() });
            }
            Touched::Service(service) => {
                services.insert(ServiceWake::Service(Service::name(service)));
                // What was kept for it may be free.
                if service.is_daemon() {
                    services
                        .insert(ServiceWake::Capacity { cluster: format!("{}/{}", service.scope, service.cluster) });
                }
            }
            Touched::Daemon(daemon) => {
                services.insert(ServiceWake::Daemon(Daemon::name(daemon)));
                services.insert(ServiceWake::Capacity { cluster: format!("{}/{}", daemon.scope, daemon.cluster) });
            }
            Touched::ContainerInstance(instance) => {
                services.insert(ServiceWake::Instances { cluster: cluster_of_instance(instance) });
                instances.insert(InstanceWake::Instance(instance.name()));
            }
            Touched::Cluster | Touched::TaskDefinition | Touched::Bookkeeping => {}
        }
    }
    (services, instances)
}

pub fn instance_of(task: &Task) -> String {
    format!("{}/{}/{}", task.scope, task.cluster, task.container_instance)
}

fn cluster_of_task(task: &Task) -> String {
    format!("{}/{}", task.scope, task.cluster)
}

fn cluster_of_instance(instance: &ContainerInstance) -> String {
    format!("{}/{}", instance.scope, instance.cluster)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_place_is_taken_once_however_often_it_was_touched() {
        let dirty = Arc::new(Dirty::default());
        dirty.mark([1, 2]);
        dirty.mark([2]);
        assert_eq!(dirty.take().await, BTreeSet::from([1, 2]));
        let waiting = tokio::spawn({
            let dirty = dirty.clone();
            async move { dirty.take().await }
        });
        dirty.mark([3]);
        assert_eq!(waiting.await.unwrap(), BTreeSet::from([3]));
    }
}
