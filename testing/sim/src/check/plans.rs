//! What must be true of a turn's plan, on the snapshot that it has seen: of what happened since it knows nothing.

use model::{Daemon, RolloutState, Service};
use reconcilers::Plan;
use state::Snapshot;

use super::Checker;
use super::daemons::drained;
use super::rules::{shares, succeeded};
use crate::world::World;

impl World {
    pub(crate) fn examine_daemon_plan(&mut self, view: &Snapshot, plan: &Plan, daemon: &Daemon) {
        if plan.changes.is_empty() {
            return;
        }
        let Ok(planned) = view.with(&plan.changes, view.revision) else { return };
        if let Err(what) = drained(view, &planned, daemon) {
            self.violate(Checker::TooManyAtOnce, what);
        }
    }

    /// What a turn decides has to be right for what it has seen.
    pub(crate) fn examine_plan(&mut self, view: &Snapshot, plan: &Plan, service: &Service) {
        let is_split = service.capacity_provider_strategy.len() > 1;
        let goes_on = service.primary().is_some_and(|one| one.rollout_state == RolloutState::InProgress);
        if plan.changes.is_empty() || !is_split && !goes_on {
            return;
        }
        let Ok(planned) = view.with(&plan.changes, view.revision) else { return };
        if let Err(what) = shares(view, &planned, service) {
            self.violate(Checker::Shares, what);
        }
        if let Err(what) = succeeded(&planned, service) {
            self.violate(Checker::TooEarly, what);
        }
    }
}
