//! All records at one revision.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use imbl::OrdMap;
use model::{
    AccountSetting, Bucket, CapacityProvider, ClientToken, Cluster, ContainerInstance, Daemon, DaemonDeployment,
    DaemonRevision, Family, MetricFilter, MultipartUpload, Object, QueryDefinition, Replica, Service,
    ServiceDeployment, ServiceRevision, SubscriptionFilter, Task, TaskDefinition, UploadPart,
};

use crate::{Changes, DecodeError, Key, Load, Occupancy, Op, PlacementFence, Record, Revision, Row, Table, decode};

/// The kinds of records: the table of each, and its type.
macro_rules! kinds {
    ($($table:ident: $record:ident,)*) => {
        /// Everything the control plane knows at one revision. A value: clone it, keep it, compare it with a later one.
        #[derive(Clone, Debug, Default)]
        pub struct Snapshot {
            pub revision: Revision,
            $(pub $table: Table<$record>,)*
            loads: OrdMap<Key, Arc<Load>>,
        }

        /// A record of any kind.
        #[derive(Clone, Debug)]
        pub enum AnyRecord {
            $($record(Arc<$record>),)*
        }

        impl AnyRecord {
            /// A record by its type; nothing when its kind has no table.
            pub fn of<R: Record>(record: Arc<R>) -> Option<AnyRecord> {
                let record: Arc<dyn Any + Send + Sync> = record;
                match R::KIND {
                    $($record::KIND => record.downcast().ok().map(AnyRecord::$record),)*
                    _ => None,
                }
            }

            /// What the store has under a key; nothing when this program does not know the kind: a newer replica may have
            /// written it.
            pub fn read(key: &str, value: &[u8]) -> Result<Option<AnyRecord>, DecodeError> {
                Ok(match kind(key) {
                    $($record::KIND => Some(AnyRecord::$record(Arc::new(decode(value)?))),)*
                    _ => None,
                })
            }
        }

        impl Snapshot {
            /// All records of a store, in the order of their keys and each once.
            pub fn of(records: impl IntoIterator<Item = (Key, AnyRecord, Revision)>, revision: Revision) -> Snapshot {
                #[derive(Default)]
                struct Rows {
                    $($table: Vec<(Key, Row<$record>)>,)*
                }
                let mut rows = Rows::default();
                for (key, record, revision) in records {
                    match record {
                        $(AnyRecord::$record(record) => rows.$table.push((key, Row { record, revision })),)*
                    }
                }
                let loads = loads(&rows.tasks);
                Snapshot { revision, loads, $($table: Table::of(rows.$table),)* }
            }

            /// The revision of the record under that key, whatever its kind; nothing when there is no such record.
            pub fn revision_of(&self, key: &str) -> Option<Revision> {
                match kind(key) {
                    $($record::KIND => self.$table.row(key).map(|row| row.revision),)*
                    _ => None,
                }
            }

            /// Sets a record; gives back the one before.
            fn set(&mut self, key: Key, record: &AnyRecord, revision: Revision) -> Option<AnyRecord> {
                match record {
                    $(AnyRecord::$record(record) => {
                        self.$table.put(key, Arc::clone(record), revision).map(AnyRecord::$record)
                    })*
                }
            }

            /// Removes a record, if it is there.
            fn unset(&mut self, key: &Key) -> Option<AnyRecord> {
                match kind(key) {
                    $($record::KIND => self.$table.delete(key).map(AnyRecord::$record),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    clusters: Cluster,
    families: Family,
    task_definitions: TaskDefinition,
    container_instances: ContainerInstance,
    tasks: Task,
    services: Service,
    service_deployments: ServiceDeployment,
    service_revisions: ServiceRevision,
    client_tokens: ClientToken,
    placement_fences: PlacementFence,
    metric_filters: MetricFilter,
    subscription_filters: SubscriptionFilter,
    query_definitions: QueryDefinition,
    capacity_providers: CapacityProvider,
    account_settings: AccountSetting,
    daemons: Daemon,
    daemon_revisions: DaemonRevision,
    daemon_deployments: DaemonDeployment,
    replicas: Replica,
    buckets: Bucket,
    objects: Object,
    multipart_uploads: MultipartUpload,
    upload_parts: UploadPart,
}

/// What the tasks of every instance hold.
fn loads(tasks: &[(Key, Row<Task>)]) -> OrdMap<Key, Arc<Load>> {
    let mut loads: BTreeMap<String, Load> = BTreeMap::new();
    for (_, row) in tasks {
        if row.record.is_live() {
            loads.entry(instance_of(&row.record)).or_default().add(&row.record);
        }
    }
    loads.into_iter().map(|(instance, load)| (Key::from(instance), Arc::new(load))).collect()
}

/// The name of the instance that a task is on.
fn instance_of(task: &Task) -> String {
    format!("{}/{}/{}", task.scope, task.cluster, task.container_instance)
}

/// True when only what the agent says of its own health is another: it comes all the time, and nobody waits for it.
fn is_alike(before: &ContainerInstance, after: &ContainerInstance) -> bool {
    let known = ContainerInstance { health: after.health.clone(), version: after.version, ..before.clone() };
    known == *after
}

/// The first part of a key.
fn kind(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

/// What a change was about, for those who only look at their own part of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Touched {
    Cluster,
    TaskDefinition,
    ContainerInstance(Arc<ContainerInstance>),
    Task(Arc<Task>),
    Service(Arc<Service>),
    /// A managed one.
    Daemon(Arc<Daemon>),
    Bookkeeping,
}

impl From<AnyRecord> for Touched {
    fn from(record: AnyRecord) -> Touched {
        match record {
            AnyRecord::Cluster(_) => Touched::Cluster,
            AnyRecord::TaskDefinition(_) => Touched::TaskDefinition,
            AnyRecord::ContainerInstance(instance) => Touched::ContainerInstance(instance),
            AnyRecord::Task(task) => Touched::Task(task),
            AnyRecord::Service(service) => Touched::Service(service),
            AnyRecord::Daemon(daemon) => Touched::Daemon(daemon),
            _ => Touched::Bookkeeping,
        }
    }
}

impl AnyRecord {
    fn task(&self) -> Option<&Task> {
        match self {
            AnyRecord::Task(task) => Some(task),
            _ => None,
        }
    }
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

    /// The service revision that a task of a service is of, while its deployment is still known.
    pub fn service_revision_of(&self, task: &Task) -> Option<&Arc<ServiceRevision>> {
        let service = format!("{}/{}/{}", task.scope, task.cluster, task.service()?);
        let deployments = &self.services.get(&service)?.deployments;
        let deployment = deployments.iter().find(|deployment| deployment.has(task))?;
        self.service_revisions.get(&format!("{service}/{}", deployment.service_revision))
    }

    /// Takes in one key of the store: its new value, or nothing when it was deleted.
    ///
    /// A kind that this program does not know is passed over.
    pub fn absorb(&mut self, key: &str, value: Option<&[u8]>, revision: Revision) -> Result<Touched, DecodeError> {
        match value.map(|value| AnyRecord::read(key, value)).transpose()? {
            Some(Some(record)) => Ok(self.take(key.into(), record, revision)),
            Some(None) => Ok(Touched::Bookkeeping),
            None => {
                let before = self.unset(&key.into());
                self.account(before.as_ref().and_then(AnyRecord::task), None);
                Ok(before.map_or(Touched::Bookkeeping, Touched::from))
            }
        }
    }

    /// Takes in a record of the store.
    pub fn take(&mut self, key: Key, record: AnyRecord, revision: Revision) -> Touched {
        let before = self.set(key, &record, revision);
        self.account(before.as_ref().and_then(AnyRecord::task), record.task());
        match (&before, &record) {
            (Some(AnyRecord::ContainerInstance(before)), AnyRecord::ContainerInstance(after))
                if is_alike(before, after) =>
            {
                Touched::Bookkeeping
            }
            _ => record.into(),
        }
    }

    /// This snapshot with the changes made, at the given revision. What a planner uses to look one step ahead.
    pub fn with(&self, changes: &Changes, revision: Revision) -> Result<Snapshot, DecodeError> {
        let mut next = self.clone();
        next.make(changes, revision)?;
        Ok(next)
    }

    /// Makes the changes in this snapshot.
    pub fn make(&mut self, changes: &Changes, revision: Revision) -> Result<(), DecodeError> {
        for op in changes.ops() {
            match op {
                Op::Put { key, record: Some(record), .. } => self.take(Key::clone(key), record.clone(), revision),
                Op::Put { key, value, record: None } => self.absorb(key, Some(value), revision)?,
                Op::Delete { key } => self.absorb(key, None, revision)?,
            };
        }
        self.revision = revision;
        Ok(())
    }

    fn account(&mut self, before: Option<&Task>, after: Option<&Task>) {
        if let (Some(before), Some(after)) = (before, after)
            && Load::counts_alike(before, after)
        {
            return;
        }
        for (task, adds) in [(before, false), (after, true)] {
            let Some(task) = task.filter(|task| task.is_live()) else { continue };
            let place = Key::from(instance_of(task));
            let load = match self.loads.get_mut(&place) {
                Some(load) => Arc::make_mut(load),
                None => Arc::make_mut(self.loads.entry(Key::clone(&place)).or_default()),
            };
            if adds {
                load.add(task)
            } else {
                load.remove(task)
            }
            if *load == Load::default() {
                self.loads.remove(&place);
            }
        }
    }
}
