//! The instances of a daemon's capacity providers, each with the daemon's tasks on it.

use std::collections::BTreeMap;

use model::daemon::started_by;
use model::{CapacityProvider, ContainerInstanceStatus, Daemon, Task, TaskStatus};
use scheduler::Request;
use state::{Record, Snapshot};
use stdx::Timestamp;

use super::{Place, Standing, providers, standing};
use crate::proof::Proof;
use crate::readiness::Patience;

pub(crate) struct DaemonView<'a> {
    snapshot: &'a Snapshot,
    pub daemon: &'a Daemon,
    pub places: Vec<Place<'a>>,
    /// All its tasks that have not stopped.
    pub live: usize,
    pub proof: Proof<'a>,
    pub patience: Patience<'a>,
    pub now: Timestamp,
}

impl<'a> DaemonView<'a> {
    /// `request` is what its tasks ask of an instance; without one no instance is known to be good enough, and what runs stays.
    pub fn new(snapshot: &'a Snapshot, daemon: &'a Daemon, request: Option<&Request>, now: Timestamp) -> Self {
        let mut by_instance: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
        for task in snapshot.tasks.by("service", &owner(daemon)) {
            by_instance.entry(&task.container_instance).or_default().push(task);
        }
        let live = by_instance.values().map(Vec::len).sum();
        let (proof, patience) = (Proof::new(snapshot, now), Patience::of_tags(snapshot, &daemon.tags, now));
        let mut view = DaemonView { snapshot, daemon, places: Vec::new(), live, proof, patience, now };
        let of_newest = started_by(&daemon.revision);
        let providers: Vec<&CapacityProvider> = providers(snapshot, daemon).collect();
        let instances = snapshot.container_instances.range(&format!("{}/{}/", daemon.scope, daemon.cluster));
        for instance in instances.filter(|instance| instance.status != ContainerInstanceStatus::Inactive) {
            let tasks = by_instance.remove(instance.id.as_str()).unwrap_or_default();
            let is_ours = providers.iter().any(|provider| provider.has(instance));
            let standing = match instance.status {
                ContainerInstanceStatus::Active if !is_ours => Standing::Barred,
                _ => standing(snapshot, instance, request, !tasks.is_empty()),
            };
            if tasks.is_empty() && standing != Standing::Eligible {
                continue;
            }
            let (current, old, stopping) = (Vec::new(), Vec::new(), Vec::new());
            // The old task goes first: whether both fit is not asked.
            let mut place = Place { instance, standing, current, old, stopping, is_cramped: false, refusal: None };
            for task in tasks {
                match task.desired_status {
                    TaskStatus::Stopped => place.stopping.push(task),
                    _ if task.started_by == of_newest => place.current.push(task),
                    _ => place.old.push(task),
                }
            }
            if let Some(request) = request.filter(|_| !place.old.is_empty() && place.current.is_empty()) {
                place.refusal = place.refusal(snapshot, instance, request);
            }
            view.places.push(place);
        }
        view
    }

    pub fn eligible(&self) -> impl Iterator<Item = &Place<'a>> {
        self.places.iter().filter(|place| place.standing == Standing::Eligible)
    }

    /// Every instance that should have a task has it, it does its work, and nothing is on its way in or out.
    pub fn is_steady(&self) -> bool {
        self.eligible().all(|place| {
            let [task] = place.current[..] else { return false };
            place.old.is_empty() && place.stopping.is_empty() && self.proof.counts(task)
        })
    }

    /// When the first of its tasks will count that does not yet, if it goes on as it is.
    pub fn proven_at(&self) -> Option<Timestamp> {
        let current = self.eligible().flat_map(|place| &place.current).filter(|task| !self.proof.counts(task));
        current.filter_map(|task| self.proof.proven_at(task)).min()
    }

    /// Its tasks that have stopped and are still remembered, the newest first.
    pub fn stopped(&self) -> impl Iterator<Item = &'a Task> + use<'a> {
        let prefix = format!("{}/", owner(self.daemon));
        self.snapshot.tasks.under("service-stopped", &prefix).rev().map(|task| &**task)
    }
}

/// What its tasks are filed under.
pub(super) fn owner(daemon: &Daemon) -> String {
    let group = daemon.group();
    daemon.name().rsplit_once('/').map_or(group.clone(), |(cluster, _)| format!("{cluster}/{group}"))
}
