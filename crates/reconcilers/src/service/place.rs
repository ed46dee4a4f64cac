//! Places for the tasks that are missing: found first, so that a rollout knows what fits, and written down only when it wants them.

use std::collections::BTreeSet;

use model::TaskStatus;
use scheduler::{Explanation, Scheduler, Shortage, Strategy};

use super::message::{self, Cause};
use super::rollout::{Capacity, Need};
use super::view::ServiceView;
use crate::daemon;
use crate::turn::{STARTS_PER_TURN_MAX, Spot, Spots, Turn, Wanted};

/// The tasks that may start now, and where each would go.
pub(crate) struct Trial<'a> {
    /// Nothing when the definition is gone, or asks for something that cannot be read: it was checked when it came in, and a
    /// guess would place tasks where they must not be.
    wanted: Option<Wanted<'a>>,
    spots: Vec<Spot>,
    /// Why not all have a place on an instance.
    rejected: Option<Explanation>,
    /// Not all have a place, nor may wait for one.
    is_short: bool,
}

impl<'a> Trial<'a> {
    pub fn new(view: &ServiceView<'a>, need: &Need<'_>, turn: &mut Turn<'a>) -> Trial<'a> {
        let service = view.service;
        let mut trial = Trial { wanted: wanted(view, turn), spots: Vec::new(), rejected: None, is_short: false };
        let Some(Wanted { request, .. }) = &trial.wanted else { return trial };
        let mut scheduler =
            Scheduler::new(turn.indexes, view.snapshot, &service.scope, &service.cluster, turn.ids.number());
        daemon::keep_room(&mut scheduler, view.snapshot, &service.scope, &service.cluster);
        // Where it makes no difference whether all fit, one turn's worth is enough; one more says that there are more.
        let count =
            if need.asks_for_all(view) { need.startable } else { need.startable.min(STARTS_PER_TURN_MAX as u32 + 1) };
        let mut spots = Spots::new(view.snapshot, service, request);
        for _ in 0..count {
            match spots.next(&mut scheduler, request) {
                Some(spot) => trial.spots.push(spot),
                None => {
                    trial.is_short = true;
                    break;
                }
            }
        }
        trial.rejected = spots.rejected;
        trial
    }

    /// What fits. Older tasks that leave make room only where nothing but room is lacking, or on their way off an instance.
    pub fn capacity(&self, view: &ServiceView<'_>) -> Capacity {
        let fitting = self.spots.len() as u32;
        match &self.rejected {
            _ if self.wanted.is_none() => Capacity::Closed,
            _ if !self.is_short => Capacity::Fits(fitting),
            None => Capacity::Fits(fitting),
            Some(explanation) if makes_room(view, explanation) => Capacity::Lacks(fitting),
            Some(_) => Capacity::Fits(fitting),
        }
    }

    /// Why not all have a place.
    pub fn complaint(&self, service: &str) -> Option<Cause> {
        match (&self.wanted, &self.rejected) {
            (None, _) => Some(message::nothing_to_place(service)),
            (_, rejected) => rejected.as_ref().map(|explanation| message::not_placed(service, explanation)),
        }
    }

    /// Writes down the first `count` of the tasks that have a place; gives their ids.
    pub fn record(&self, turn: &mut Turn<'_>, count: usize) -> Vec<String> {
        let Some(wanted) = &self.wanted else { return Vec::new() };
        self.spots.iter().take(count).map(|spot| turn.start_at(wanted, spot)).collect()
    }
}

/// What the primary deployment's tasks ask of an instance.
pub(crate) fn wanted<'a>(view: &ServiceView<'a>, turn: &Turn<'a>) -> Option<Wanted<'a>> {
    let primary = view.primary?;
    let definition = (primary.family.as_str(), primary.revision);
    let mut wanted = turn.wanted(definition, view.service.launch_type, &primary.id)?;
    let strategies = view.service.placement_strategy.iter();
    wanted.request.strategies = strategies.filter_map(|one| Strategy::parse(one).ok()).collect();
    let (scope, strategy) = (&view.service.scope, &view.service.capacity_provider_strategy);
    wanted.request.providers = scheduler::providers(view.snapshot, scope, strategy, view.current.iter().copied());
    Some(wanted)
}

/// True when a task that leaves may let another one in: its instance lacks nothing but room, or is to be left anyway.
fn makes_room(view: &ServiceView<'_>, explanation: &Explanation) -> bool {
    let leaving = view.live.iter().filter(|task| task.desired_status == TaskStatus::Stopped);
    let left: BTreeSet<&str> = leaving.chain(&view.outgoing).map(|task| task.container_instance.as_str()).collect();
    explanation.rejections.iter().filter(|one| left.contains(one.instance.id.as_str())).any(|one| match &one.why {
        Shortage::NotActive { .. } => true,
        Shortage::AgentDisconnected | Shortage::DiskPressure | Shortage::LaunchType => false,
        Shortage::Attribute { .. } | Shortage::MemberOf { .. } => false,
        _ => true,
    })
}
