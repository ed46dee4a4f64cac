//! A rolling deployment that has succeeded before all its tasks are there, because its owner said when: the rest comes, and what is
//! old goes, in the background.
//!
//! Source: Amazon ECS API Reference, `DeploymentEarlySuccessCriteria`.

use std::time::Duration;

use model::Deployment;
use model::service::RevisionCleanup;
use stdx::Timestamp;

use super::view::ServiceView;

pub(super) struct Early {
    is_met: bool,
    bake_time: Duration,
    /// When a task will have proved itself that does not count yet.
    awaited: Option<Timestamp>,
}

impl Early {
    /// Nothing where the owner waits for all of it.
    pub fn of(view: &ServiceView<'_>) -> Option<Early> {
        let configuration = &view.service.deployment_configuration;
        let early = configuration.early_success.filter(|early| early.enable && configuration.strategy.is_rolling())?;
        let healthy = view.current.iter().filter(|task| view.counts(task)).count();
        let is_clean = early.cleanup == RevisionCleanup::Deferred || view.live.iter().all(|task| view.is_current(task));
        let minutes = configuration.bake_time_in_minutes.unwrap_or_default();
        Some(Early {
            is_met: healthy >= early.tasks(view.service.desired_count) as usize && is_clean,
            bake_time: Duration::from_secs(u64::from(minutes) * 60),
            awaited: view.current.iter().filter_map(|task| view.awaited_at(task)).min(),
        })
    }

    /// Nothing when the deployment has succeeded; otherwise it waits, and until when if that is known.
    pub fn waits(&self, primary: &mut Deployment, now: Timestamp) -> Option<Option<Timestamp>> {
        if !self.is_met {
            primary.baking_since = None;
            return Some(self.awaited);
        }
        let until = *primary.baking_since.get_or_insert(now) + self.bake_time;
        (until > now).then_some([Some(until), self.awaited].into_iter().flatten().min())
    }
}
