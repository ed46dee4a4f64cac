//! What the live tasks of an instance hold of it.

use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use model::{CpuUnits, MemoryMib, PortReservation, Reservation, Task, TaskStatus};

/// Fixed host ports, and how many tasks hold each.
pub type Ports = OrdMap<PortReservation, u32>;

/// The sum over the live tasks of one instance. It follows from the tasks and is never stored, so it cannot drift.
///
/// Its maps share their structure with those of the snapshot before, so that an instance with many tasks is not copied
/// whenever one of them changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub cpu: CpuUnits,
    pub memory: MemoryMib,
    /// The fixed host ports in use, and by how many tasks: a stopping task and its successor may both count for a moment.
    pub ports: Ports,
    pub gpus: u32,
    /// Which GPUs they are, and how many tasks hold each. A task that is only planned has none yet.
    pub gpu_ids: OrdMap<String, u32>,
    pub network_interfaces: u32,
    groups: OrdMap<Arc<str>, u32>,
    pub tasks_running: u32,
    pub tasks_pending: u32,
}

impl Load {
    pub fn tasks(&self) -> u32 {
        self.tasks_running + self.tasks_pending
    }

    /// How many of them are of that group: `family:web`, `service:web`.
    pub fn tasks_of_group(&self, group: &str) -> u32 {
        self.groups.get(group).copied().unwrap_or_default()
    }

    /// The groups that have tasks here, in the order of their names, and how many each has.
    pub fn groups(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.groups.iter().map(|(group, count)| (group, *count))
    }

    /// The groups that have more or fewer tasks here than before: how many it were, and how many it are. Cheap when one
    /// load was made of the other.
    pub fn groups_since<'a>(&'a self, before: &'a Load) -> impl Iterator<Item = (&'a Arc<str>, u32, u32)> {
        before.groups.diff(&self.groups).map(|item| match item {
            DiffItem::Add(group, count) => (group, 0, *count),
            DiffItem::Update { old, new } => (new.0, *old.1, *new.1),
            DiffItem::Remove(group, count) => (group, *count, 0),
        })
    }

    /// The load with one more task, which has been planned and is pending.
    pub fn plan(&mut self, reserved: &Reservation, group: &str) {
        self.hold(reserved, group);
        self.tasks_pending += 1;
    }

    pub(crate) fn add(&mut self, task: &Task) {
        self.hold(&task.reserved, &task.group);
        for gpu in task.containers.iter().flat_map(|container| &container.gpus) {
            *self.gpu_ids.entry(gpu.clone()).or_default() += 1;
        }
        *self.counter(task) += 1;
    }

    fn hold(&mut self, reserved: &Reservation, group: &str) {
        self.cpu = self.cpu + reserved.cpu;
        self.memory = self.memory + reserved.memory;
        self.gpus += reserved.gpus;
        self.network_interfaces += reserved.network_interfaces;
        for port in &reserved.ports {
            count_up(&mut self.ports, *port);
        }
        match self.groups.get_mut(group) {
            Some(count) => *count += 1,
            None => drop(self.groups.insert(group.into(), 1)),
        }
    }

    /// The load with one task less, which is among those that it was made of.
    pub fn remove(&mut self, task: &Task) {
        self.cpu = self.cpu - task.reserved.cpu;
        self.memory = self.memory - task.reserved.memory;
        self.gpus -= task.reserved.gpus;
        self.network_interfaces -= task.reserved.network_interfaces;
        for port in &task.reserved.ports {
            count_down(&mut self.ports, port);
        }
        for gpu in task.containers.iter().flat_map(|container| &container.gpus) {
            count_down(&mut self.gpu_ids, gpu);
        }
        count_down(&mut self.groups, task.group.as_str());
        *self.counter(task) -= 1;
    }

    /// True when both count for the same.
    pub(crate) fn counts_alike(one: &Task, other: &Task) -> bool {
        one.is_live() == other.is_live()
            && (one.last_status < TaskStatus::Running) == (other.last_status < TaskStatus::Running)
            && one.container_instance == other.container_instance
            && one.reserved == other.reserved
            && one.group == other.group
    }

    /// Before `RUNNING` a task is pending; from then on it counts as running until it has stopped.
    fn counter(&mut self, task: &Task) -> &mut u32 {
        if task.last_status < TaskStatus::Running { &mut self.tasks_pending } else { &mut self.tasks_running }
    }
}

fn count_up(counts: &mut Ports, port: PortReservation) {
    *counts.entry(port).or_default() += 1;
}

/// A count that comes to nothing is forgotten.
fn count_down<K, Q>(counts: &mut OrdMap<K, u32>, key: &Q)
where
    K: Ord + Clone + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    let Some(count) = counts.get_mut(key) else { return };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}
