//! What happens next: the loops of the control plane as functions of a snapshot and a time.
//!
//! A reconciler takes no hints. It is woken, reads the whole state that concerns it, and decides again; so the first run
//! after a crash is the same code as every other run. It never commits and never waits: whoever calls it does.
//!
//! Start reading at [`reconcile`], then [`service::reconcile`].

#![forbid(unsafe_code)]

pub mod alarms;
pub mod daemon;
mod history;
pub mod janitor;
pub mod managed_daemon;
pub mod prepull;
mod proof;
pub mod provisioning;
mod readiness;
mod reliance;
pub mod service;
pub mod task_set;
mod turn;

pub use scheduler::Indexes;

use alarms::{Alarms, NoAlarms};
use model::{DeploymentController, SchedulingStrategy, Service, StabilityStatus, TaskSet, TaskSetStatus};
use state::{Changes, Snapshot};
use stdx::{Ids, Timestamp};

/// What a reconciler wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub changes: Changes,
    /// When to look again even if nothing changes until then.
    pub look_again: Option<Timestamp>,
}

/// What a service of any kind needs next. The indexes decide nothing; they save the work of looking at every instance again.
///
/// Nobody keeps alarms yet; [`reconcile_with_alarms`] is for whoever does.
pub fn reconcile(snapshot: &Snapshot, indexes: &Indexes, service: &Service, now: Timestamp, ids: &mut Ids) -> Plan {
    reconcile_with_alarms(snapshot, indexes, &NoAlarms, service, now, ids)
}

pub fn reconcile_with_alarms(
    snapshot: &Snapshot,
    indexes: &Indexes,
    alarms: &dyn Alarms,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> Plan {
    let mut plan = match (service.scheduling_strategy, service.deployment_controller) {
        (_, DeploymentController::External) => task_set::reconcile(snapshot, indexes, service, now, ids),
        (SchedulingStrategy::Daemon, DeploymentController::Ecs) => {
            daemon::reconcile(snapshot, indexes, service, now, ids)
        }
        (SchedulingStrategy::Replica, DeploymentController::Ecs) => {
            service::reconcile(snapshot, indexes, alarms, service, now, ids)
        }
    };
    reliance::rely_on_others(snapshot, service, &mut plan);
    plan
}

/// How many tasks a service should have, all its task sets together.
pub fn desired_tasks(service: &Service) -> u32 {
    match service.deployment_controller {
        DeploymentController::Ecs => service.desired_count,
        DeploymentController::External => {
            let sets = service.task_sets.iter().filter(|set| set.status != TaskSetStatus::Draining);
            sets.map(|set| set.computed_desired_count(service.desired_count)).sum()
        }
    }
}

/// The last thing that the service said is that it has what it wants. One that wants something has started or stopped tasks since
/// then, or has said why it cannot. Of several task sets the last word is that of one, so each is asked.
pub fn is_at_rest(service: &Service) -> bool {
    let is_settled = |set: &TaskSet| set.stability == StabilityStatus::SteadyState;
    service.task_sets.iter().all(is_settled)
        && service.events.first().is_some_and(|event| event.message.ends_with("has reached a steady state."))
}
