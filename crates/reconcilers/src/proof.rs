//! Whether a task does what it is there for: by its health check, by its readiness, or by having run for a while without either.

use std::cell::RefCell;
use std::collections::BTreeMap;

use model::{HealthStatus, Task};
use state::Snapshot;
use stdx::Timestamp;

use crate::service::view::{PROVEN_AFTER, works};

pub(crate) struct Proof<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    /// The definitions whose essential containers have a health check, as far as they were asked for.
    checked: RefCell<BTreeMap<(String, u32), bool>>,
}

impl<'a> Proof<'a> {
    pub fn new(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        Proof { snapshot, now, checked: RefCell::default() }
    }

    /// True when another task may leave because of this one.
    pub fn counts(&self, task: &Task) -> bool {
        if self.is_checked(task) {
            return works(task) && task.is_ready() && task.health == HealthStatus::Healthy;
        }
        self.proven_at(task).is_some_and(|at| at <= self.now)
    }

    /// When a task without a health check will have proved itself, if it keeps running.
    pub fn proven_at(&self, task: &Task) -> Option<Timestamp> {
        if self.is_checked(task) { None } else { proven_without_check(task) }
    }

    /// True when nothing speaks against it, and its health check, where there is one, for it.
    pub fn is_well(&self, task: &Task) -> bool {
        works(task) && task.is_ready() && (task.health == HealthStatus::Healthy || !self.is_checked(task))
    }

    fn is_checked(&self, task: &Task) -> bool {
        let look = || {
            let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
            let containers = self.snapshot.task_definitions.get(&name).map(|definition| definition.containers.iter());
            containers.into_iter().flatten().any(|container| container.essential && container.has_health_check())
        };
        *self.checked.borrow_mut().entry((task.family.clone(), task.revision)).or_insert_with(look)
    }
}

/// When a task that has no health check has proved itself, or will have: at once when it says that it is ready, never while
/// it says that it is not, and after a while when it says nothing.
pub(crate) fn proven_without_check(task: &Task) -> Option<Timestamp> {
    let started = task.started_at.filter(|_| works(task))?;
    match task.readiness() {
        Some(true) => Some(started),
        Some(false) => None,
        None => Some(started + PROVEN_AFTER),
    }
}
