//! The instances of the cluster, each with the daemon's tasks on it.

use std::collections::BTreeMap;

use model::{ContainerInstance, ContainerInstanceStatus, LaunchType, RolloutState, Service, Task, TaskStatus};
use scheduler::{Candidate, Explanation, Rejection, Request, Shortage};
use state::{Record, Snapshot};
use stdx::Timestamp;

use crate::proof::Proof;
use crate::readiness::Patience;

pub(crate) struct DaemonView<'a> {
    pub service: &'a Service,
    pub places: Vec<Place<'a>>,
    /// All its tasks that have not stopped and can still be reached.
    pub live: usize,
    pub proof: Proof<'a>,
    pub patience: Patience<'a>,
    pub now: Timestamp,
}

/// An instance, and what the daemon has there.
pub(crate) struct Place<'a> {
    pub instance: &'a ContainerInstance,
    pub standing: Standing,
    /// Of the newest deployment, meant to run.
    pub current: Vec<&'a Task>,
    /// Of an older deployment, meant to run.
    pub old: Vec<&'a Task>,
    /// Asked to stop, and not stopped yet.
    pub stopping: Vec<&'a Task>,
    /// A new task does not fit there beside the old one.
    pub is_cramped: bool,
    /// It would not fit if the old one were gone, either.
    pub refusal: Option<Rejection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It should have a task.
    Eligible,
    /// It takes tasks, but its attributes or the constraints keep this daemon off.
    Barred,
    /// It is on its way out and still has tasks that the daemon serves: daemons leave last.
    Draining,
    /// It is on its way out, and nothing but daemons is left.
    Drained,
}

impl<'a> Place<'a> {
    pub fn all(&self) -> impl Iterator<Item = &'a Task> + '_ {
        [&self.current, &self.old, &self.stopping].into_iter().flatten().copied()
    }

    /// Why a new task does not fit there in place of those that it would follow.
    pub fn refusal(
        &self,
        snapshot: &Snapshot,
        instance: &std::sync::Arc<ContainerInstance>,
        request: &Request,
    ) -> Option<Rejection> {
        no_room(snapshot, instance, request, &[&self.old[..], &self.stopping].concat())
    }
}

impl<'a> DaemonView<'a> {
    /// `request` is what its tasks ask of an instance; without one no instance is known to be good enough, and what runs stays.
    pub fn new(snapshot: &'a Snapshot, service: &'a Service, request: Option<&Request>, now: Timestamp) -> Self {
        let mut by_instance: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
        for task in snapshot.tasks.by("service", &service.name()) {
            by_instance.entry(&task.container_instance).or_default().push(task);
        }
        let primary = service.primary();
        let (proof, patience) = (Proof::new(snapshot, now), Patience::of_service(snapshot, service, now));
        let mut view = DaemonView { service, places: Vec::new(), live: 0, proof, patience, now };
        let here = |status| !matches!(status, ContainerInstanceStatus::Inactive);
        let instances = snapshot.container_instances.range(&format!("{}/{}/", service.scope, service.cluster));
        for instance in instances.filter(|instance| here(instance.status)) {
            let tasks = by_instance.remove(instance.id.as_str()).unwrap_or_default();
            let standing = standing(snapshot, instance, request, !tasks.is_empty());
            let (current, old, stopping) = (Vec::new(), Vec::new(), Vec::new());
            let mut place = Place { instance, standing, current, old, stopping, is_cramped: false, refusal: None };
            view.live += tasks.len();
            for task in tasks {
                let of_primary = primary.is_some_and(|primary| primary.has(task));
                match task.desired_status {
                    TaskStatus::Stopped => place.stopping.push(task),
                    _ if of_primary => place.current.push(task),
                    _ => place.old.push(task),
                }
            }
            if let Some(request) = request.filter(|_| !place.old.is_empty() && place.current.is_empty()) {
                place.is_cramped = no_room(snapshot, instance, request, &[]).is_some();
                place.refusal = place.refusal(snapshot, instance, request).filter(|_| place.is_cramped);
            }
            view.places.push(place);
        }
        view
    }

    /// How many instances should have a task: the `desiredCount` that is shown.
    pub fn desired(&self) -> u32 {
        self.places.iter().filter(|place| place.standing == Standing::Eligible).count() as u32
    }

    /// True when the newest deployment goes no further.
    pub fn has_failed(&self) -> bool {
        self.service.primary().is_some_and(|primary| primary.rollout_state == RolloutState::Failed)
    }

    /// Every eligible instance has its task, it does its work, and nothing is on its way in or out.
    pub fn is_steady(&self) -> bool {
        self.live == self.desired() as usize
            && self.places.iter().filter(|place| place.standing == Standing::Eligible).all(|place| {
                let [task] = place.current[..] else { return false };
                place.old.is_empty() && place.stopping.is_empty() && self.proof.is_well(task)
            })
    }
}

pub(crate) fn standing(
    snapshot: &Snapshot,
    instance: &std::sync::Arc<ContainerInstance>,
    request: Option<&Request>,
    has_tasks: bool,
) -> Standing {
    match instance.status {
        ContainerInstanceStatus::Active => match request {
            Some(request) if suits(snapshot, instance, request) => Standing::Eligible,
            None if has_tasks => Standing::Eligible,
            _ => Standing::Barred,
        },
        _ if only_daemons(snapshot, instance) => Standing::Drained,
        _ => Standing::Draining,
    }
}

/// What the instance is, whatever room it has and whether its agent is connected at the moment.
fn suits(snapshot: &Snapshot, instance: &std::sync::Arc<ContainerInstance>, request: &Request) -> bool {
    let has = |wanted: &model::Attribute| match &wanted.value {
        Some(value) => instance.attribute(&wanted.name) == Some(value),
        None => instance.has_attribute(&wanted.name),
    };
    if instance.is_external() != (request.launch_type == LaunchType::External) {
        return false;
    }
    if !request.requires_attributes.iter().all(has) {
        return false;
    }
    if request.member_of.is_empty() {
        return true;
    }
    let candidate = Candidate::new(snapshot, instance);
    request.member_of.iter().all(|expression| expression.matches(&candidate))
}

/// What is missing for one more, if those are gone, on an instance that takes such tasks.
fn no_room(
    snapshot: &Snapshot,
    instance: &std::sync::Arc<ContainerInstance>,
    request: &Request,
    gone: &[&Task],
) -> Option<Rejection> {
    let mut candidate = Candidate::new(snapshot, instance);
    gone.iter().for_each(|task| candidate.load.remove(task));
    Explanation::of([&candidate], request).rejections.into_iter().find(|rejection| {
        matches!(
            rejection.why,
            Shortage::Cpu { .. }
                | Shortage::Memory { .. }
                | Shortage::Port(_)
                | Shortage::Gpu { .. }
                | Shortage::NetworkInterface
                | Shortage::DistinctInstance
        )
    })
}

/// True when no task is left there but those of daemons.
fn only_daemons(snapshot: &Snapshot, instance: &ContainerInstance) -> bool {
    let prefix = format!("{}/{}/", instance.scope, instance.cluster);
    snapshot.tasks.by("live", &instance.name()).all(|task| {
        let service = task.service().and_then(|name| snapshot.services.get(&format!("{prefix}{name}")));
        task.is_daemon() || service.is_some_and(|service| service.is_daemon())
    })
}
