//! What the live tasks of an instance hold of it.

use std::collections::BTreeMap;

use model::{CpuUnits, MemoryMib, PortReservation, Task, TaskStatus};

/// The sum over the live tasks of one instance. It follows from the tasks and is never stored, so it cannot drift.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub cpu: CpuUnits,
    pub memory: MemoryMib,
    /// The fixed host ports in use, and by how many tasks: a stopping task and its successor may both count for a moment.
    pub ports: BTreeMap<PortReservation, u32>,
    pub tasks_running: u32,
    pub tasks_pending: u32,
}

impl Load {
    pub fn tasks(&self) -> u32 {
        self.tasks_running + self.tasks_pending
    }

    pub(crate) fn add(&mut self, task: &Task) {
        self.cpu = self.cpu + task.reserved.cpu;
        self.memory = self.memory + task.reserved.memory;
        for port in &task.reserved.ports {
            *self.ports.entry(*port).or_default() += 1;
        }
        *self.counter(task) += 1;
    }

    pub(crate) fn remove(&mut self, task: &Task) {
        self.cpu = self.cpu - task.reserved.cpu;
        self.memory = self.memory - task.reserved.memory;
        for port in &task.reserved.ports {
            if let Some(count) = self.ports.get_mut(port) {
                *count -= 1;
                if *count == 0 {
                    self.ports.remove(port);
                }
            }
        }
        *self.counter(task) -= 1;
    }

    /// Before `RUNNING` a task is pending; from then on it counts as running until it has stopped.
    fn counter(&mut self, task: &Task) -> &mut u32 {
        if task.last_status < TaskStatus::Running { &mut self.tasks_pending } else { &mut self.tasks_running }
    }
}
