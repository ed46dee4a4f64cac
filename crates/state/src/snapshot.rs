//! All records at one revision.

use std::sync::{Arc, OnceLock};

use imbl::OrdMap;
use model::{
    ClientToken, Cluster, ContainerInstance, Family, MetricFilter, QueryDefinition, Service, ServiceDeployment,
    ServiceRevision, SubscriptionFilter, Task, TaskDefinition,
};

use crate::{Changes, DecodeError, Key, Load, Occupancy, Op, PlacementFence, Record, Revision, Table, decode};

/// Everything the control plane knows at one revision. A value: clone it, keep it, compare it with a later one.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub revision: Revision,
    pub clusters: Table<Cluster>,
    pub families: Table<Family>,
    pub task_definitions: Table<TaskDefinition>,
    pub container_instances: Table<ContainerInstance>,
    pub tasks: Table<Task>,
    pub services: Table<Service>,
    pub service_deployments: Table<ServiceDeployment>,
    pub service_revisions: Table<ServiceRevision>,
    pub client_tokens: Table<ClientToken>,
    pub placement_fences: Table<PlacementFence>,
    pub metric_filters: Table<MetricFilter>,
    pub subscription_filters: Table<SubscriptionFilter>,
    pub query_definitions: Table<QueryDefinition>,
    loads: OrdMap<Key, Arc<Load>>,
}

/// What a change was about, for those who only look at their own part of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Touched {
    Cluster,
    TaskDefinition,
    ContainerInstance(Arc<ContainerInstance>),
    Task(Arc<Task>),
    Service(Arc<Service>),
    Bookkeeping,
}

/// Sets or deletes one row; gives back the record before and after.
macro_rules! change {
    ($table:expr, $key:expr, $value:expr, $revision:expr) => {
        match $value {
            Some(bytes) => {
                let record = Arc::new(decode(bytes)?);
                (($table).put($key, Arc::clone(&record), $revision), Some(record))
            }
            None => (($table).delete(&$key), None),
        }
    };
}

impl Snapshot {
    /// What the tasks of an instance hold. An instance without tasks holds nothing.
    pub fn load(&self, instance: &ContainerInstance) -> &Load {
        static NOTHING: OnceLock<Load> = OnceLock::new();
        let key: Key = instance.name().into();
        self.loads.get(&key).map_or_else(|| NOTHING.get_or_init(Load::default), |load| &**load)
    }

    /// The part of it that placement depends on.
    pub fn occupancy(&self) -> Occupancy {
        Occupancy { instances: self.container_instances.clone(), loads: self.loads.clone() }
    }

    /// The revision of the record under that key, whatever its kind; nothing when there is no such record.
    pub fn revision_of(&self, key: &str) -> Option<Revision> {
        match key.split('/').next().unwrap_or_default() {
            Cluster::KIND => self.clusters.row(key).map(|row| row.revision),
            Family::KIND => self.families.row(key).map(|row| row.revision),
            TaskDefinition::KIND => self.task_definitions.row(key).map(|row| row.revision),
            ContainerInstance::KIND => self.container_instances.row(key).map(|row| row.revision),
            Task::KIND => self.tasks.row(key).map(|row| row.revision),
            Service::KIND => self.services.row(key).map(|row| row.revision),
            ServiceDeployment::KIND => self.service_deployments.row(key).map(|row| row.revision),
            ServiceRevision::KIND => self.service_revisions.row(key).map(|row| row.revision),
            ClientToken::KIND => self.client_tokens.row(key).map(|row| row.revision),
            PlacementFence::KIND => self.placement_fences.row(key).map(|row| row.revision),
            MetricFilter::KIND => self.metric_filters.row(key).map(|row| row.revision),
            SubscriptionFilter::KIND => self.subscription_filters.row(key).map(|row| row.revision),
            QueryDefinition::KIND => self.query_definitions.row(key).map(|row| row.revision),
            _ => None,
        }
    }

    /// Takes in one key of the store: its new value, or nothing when it was deleted.
    ///
    /// A kind that this program does not know is passed over: a newer replica may have written it.
    pub fn absorb(&mut self, key: &str, value: Option<&[u8]>, revision: Revision) -> Result<Touched, DecodeError> {
        let kind = key.split('/').next().unwrap_or_default();
        let key: Key = key.into();
        Ok(match kind {
            Cluster::KIND => {
                let _: (_, Option<Arc<Cluster>>) = change!(self.clusters, key, value, revision);
                Touched::Cluster
            }
            TaskDefinition::KIND => {
                let _: (_, Option<Arc<TaskDefinition>>) = change!(self.task_definitions, key, value, revision);
                Touched::TaskDefinition
            }
            ContainerInstance::KIND => {
                let (before, after) = change!(self.container_instances, key, value, revision);
                after.or(before).map_or(Touched::Bookkeeping, Touched::ContainerInstance)
            }
            Task::KIND => {
                let (before, after): (Option<Arc<Task>>, _) = change!(self.tasks, key, value, revision);
                self.account(before.as_deref(), after.as_deref());
                after.or(before).map_or(Touched::Bookkeeping, Touched::Task)
            }
            Service::KIND => {
                let (before, after) = change!(self.services, key, value, revision);
                after.or(before).map_or(Touched::Bookkeeping, Touched::Service)
            }
            ServiceDeployment::KIND => {
                let _: (_, Option<Arc<ServiceDeployment>>) = change!(self.service_deployments, key, value, revision);
                Touched::Bookkeeping
            }
            ServiceRevision::KIND => {
                let _: (_, Option<Arc<ServiceRevision>>) = change!(self.service_revisions, key, value, revision);
                Touched::Bookkeeping
            }
            Family::KIND => {
                let _: (_, Option<Arc<Family>>) = change!(self.families, key, value, revision);
                Touched::Bookkeeping
            }
            ClientToken::KIND => {
                let _: (_, Option<Arc<ClientToken>>) = change!(self.client_tokens, key, value, revision);
                Touched::Bookkeeping
            }
            PlacementFence::KIND => {
                let _: (_, Option<Arc<PlacementFence>>) = change!(self.placement_fences, key, value, revision);
                Touched::Bookkeeping
            }
            MetricFilter::KIND => {
                let _: (_, Option<Arc<MetricFilter>>) = change!(self.metric_filters, key, value, revision);
                Touched::Bookkeeping
            }
            SubscriptionFilter::KIND => {
                let _: (_, Option<Arc<SubscriptionFilter>>) = change!(self.subscription_filters, key, value, revision);
                Touched::Bookkeeping
            }
            QueryDefinition::KIND => {
                let _: (_, Option<Arc<QueryDefinition>>) = change!(self.query_definitions, key, value, revision);
                Touched::Bookkeeping
            }
            _ => Touched::Bookkeeping,
        })
    }

    /// This snapshot with the changes made, at the given revision. What a planner uses to look one step ahead.
    pub fn with(&self, changes: &Changes, revision: Revision) -> Result<Snapshot, DecodeError> {
        let mut next = self.clone();
        for op in changes.ops() {
            match op {
                Op::Put { key, value } => next.absorb(key, Some(value), revision)?,
                Op::Delete { key } => next.absorb(key, None, revision)?,
            };
        }
        next.revision = revision;
        Ok(next)
    }

    fn account(&mut self, before: Option<&Task>, after: Option<&Task>) {
        let place =
            |task: &Task| -> Key { format!("{}/{}/{}", task.scope, task.cluster, task.container_instance).into() };
        for (task, adds) in [(before, false), (after, true)] {
            let Some(task) = task.filter(|task| task.is_live()) else { continue };
            let mut load = self.loads.get(&place(task)).map(|load| Load::clone(load)).unwrap_or_default();
            if adds {
                load.add(task)
            } else {
                load.remove(task)
            }
            if load == Load::default() {
                self.loads.remove(&place(task));
            } else {
                self.loads.insert(place(task), Arc::new(load));
            }
        }
    }
}
