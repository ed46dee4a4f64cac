//! How long a task that runs may take to be ready for the first time. A task that was ready once is never replaced for its readiness;
//! one that never is would hold its deployment for ever, so it counts as failed when its time is over.

use std::time::Duration;

use model::probe::{READY_WITHIN, ready_within};
use model::{Service, StopCode, Tag, Task, TaskStatus, stop_reason};
use state::Snapshot;
use stdx::Timestamp;

/// What one service gives its tasks.
pub(crate) struct Patience<'a> {
    snapshot: &'a Snapshot,
    /// Nothing where they are waited for, however long it takes.
    within: Option<Duration>,
    /// Before that begins to count.
    grace: Duration,
    now: Timestamp,
}

impl<'a> Patience<'a> {
    pub fn of_service(snapshot: &'a Snapshot, service: &Service, now: Timestamp) -> Patience<'a> {
        let grace = Duration::from_secs(service.health_check_grace_period_seconds.unwrap_or_default().into());
        Patience { grace, ..Patience::of_tags(snapshot, &service.tags, now) }
    }

    pub fn of_tags(snapshot: &'a Snapshot, tags: &[Tag], now: Timestamp) -> Patience<'a> {
        let tag = tags.iter().find(|tag| tag.key == READY_WITHIN).map(|tag| tag.value.as_str());
        let within = ready_within(tag);
        Patience { snapshot, within, grace: Duration::ZERO, now }
    }

    /// When the task will be given up, or should have been, if it goes on as it is.
    pub fn ends(&self, task: &Task) -> Option<Timestamp> {
        if !task.awaits_readiness() || task.last_status != TaskStatus::Running {
            return None;
        }
        Some(task.started_at? + self.given_to(task)?)
    }

    pub fn is_over(&self, task: &Task) -> bool {
        self.ends(task).is_some_and(|at| at <= self.now)
    }

    /// Why it is stopped.
    pub fn reason(&self, task: &Task) -> String {
        format!("{}{}", stop_reason::NEVER_READY, self.words(task))
    }

    /// What its event says of it.
    pub fn event(&self, speaker: &str, task: &Task) -> String {
        let said = task.containers.iter().filter_map(|container| container.probed.as_ref());
        let said = said.filter(|probed| probed.awaited).map(|probed| probed.ready_says.trim_end_matches('.'));
        let said = said.filter(|text| !text.is_empty()).map(|text| format!(": {text}")).next().unwrap_or_default();
        format!("(service {speaker}) (task {}) was not ready within {}{said}.", task.id, self.words(task))
    }

    fn words(&self, task: &Task) -> String {
        format!("{} seconds of its start", self.given_to(task).unwrap_or_default().as_secs())
    }

    /// The time that its probes, or its service, give it to begin, and the time that all are given.
    fn given_to(&self, task: &Task) -> Option<Duration> {
        let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
        let definition = self.snapshot.task_definitions.get(&name);
        let containers = definition.into_iter().flat_map(|definition| &definition.containers);
        let begins = containers.filter_map(|container| container.probes().ready).map(|probe| probe.start_period).max();
        Some(self.within? + self.grace.max(begins.unwrap_or_default()))
    }
}

/// True for a task that its scheduler stopped because it was never ready.
pub(crate) fn was_given_up(task: &Task) -> bool {
    task.stop_code == Some(StopCode::ServiceSchedulerInitiated)
        && task.stopped_reason.starts_with(stop_reason::NEVER_READY)
}
