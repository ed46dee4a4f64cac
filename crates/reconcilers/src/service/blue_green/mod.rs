//! Deployments that bring up a whole new set of tasks beside the old one, and take traffic over when it stands: blue/green,
//! linear and canary.
//!
//! [`stages`] decides where a deployment is, [`colours`] how many tasks each of its revisions has then, and the machinery of the
//! rolling deployment starts and stops them, one colour at a time. Blue stays at its full size until the bake is over, and ends
//! only in a moment in which green stands whole.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS blue/green service deployments workflow".

mod begin;
mod colours;
pub mod hooks;
mod stages;

use model::{DeploymentStatus, Lifecycle, LifecycleStage, RolloutState, Service};
use scheduler::Indexes;
use state::Snapshot;
use stdx::{Ids, Timestamp};

use super::view::ServiceView;
use super::{Act, message, scale};
use crate::Plan;
use crate::alarms::Alarms;
use crate::turn::Turn;
pub use begin::begin;
pub(crate) use begin::way_back;
pub use colours::wanted_of;

/// True while the newest deployment goes through stages. When it has completed, the service is like any other.
pub(crate) fn is_on(service: &Service) -> bool {
    stage(service).is_some()
}

fn stage(service: &Service) -> Option<LifecycleStage> {
    service.primary().and_then(|primary| primary.stage())
}

/// What the service needs next, if nothing has failed now.
pub(crate) fn reconcile(
    snapshot: &Snapshot,
    indexes: &Indexes,
    alarms: &dyn Alarms,
    service: &Service,
    now: Timestamp,
    ids: &mut Ids,
) -> Plan {
    let mut after = service.clone();
    let facts = colours::facts(snapshot, service, now);
    let until = lifecycle(&mut after).and_then(|lifecycle| stages::advance(lifecycle, &facts, now, ids));
    let colours = colours::sized(&after, &facts);
    let views: Vec<ServiceView<'_>> =
        colours.iter().map(|colour| ServiceView::new(snapshot, colour, now).alone()).collect();
    let mut act = Act::new(Turn::new(snapshot, indexes, &after, now, ids));
    act.watch_alarms(alarms);
    for (deployment, run) in hooks::begun(service, &after) {
        act.turn.record(message::paused(&service.name, deployment, run));
    }
    let mut look_again = until;
    for view in &views {
        look_again = [look_again, scale(&mut act, view)].into_iter().flatten().min();
    }
    let all = ServiceView::new(snapshot, service, now);
    if stage(&after) == Some(LifecycleStage::CleanUp) {
        let steady = act.finish(&all);
        return act.turn.plan(service, [look_again, steady].into_iter().flatten().min());
    }
    act.turn.service.deployments.retain(|one| {
        one.status == DeploymentStatus::Primary
            || colours::is_source(service, one)
            || all.live.iter().any(|task| one.has(task))
    });
    act.turn.plan(service, look_again)
}

/// That of a newest deployment that goes on. One that has failed stays where it is.
fn lifecycle(service: &mut Service) -> Option<&mut Lifecycle> {
    let primary = service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary);
    let goes_on = primary.filter(|one| one.rollout_state == RolloutState::InProgress)?;
    goes_on.lifecycle.as_deref_mut()
}
