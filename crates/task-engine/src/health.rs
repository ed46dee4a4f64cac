//! When a container's health check runs, and what its results mean. The rules are Docker's, for readiness too.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::spec::HealthCheck;

/// Until a container has lived for one interval it is asked this often, and failures do not count. Docker waits for a
/// whole interval (30 s by default) before it asks at all; whoever waits for HEALTHY need not wait with it.
const EARLY_EVERY: Duration = Duration::from_secs(1);

/// How long after the timeout a result is given up: the driver enforces the timeout itself, this is for one that is lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// What is said of such a one.
const LOST: &str = "the check came to no result";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

/// What is asked of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Whether it is well.
    Health,
    /// Whether it wants work. Healthy means that it is ready.
    Readiness,
}

/// The health, or the readiness, of one run of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: HealthStatus,
    pub since: Timestamp,
    started_at: Timestamp,
    failures: u32,
    next: Timestamp,
    /// The check that is running, and when it is given up.
    running: Option<(u64, Timestamp)>,
    checks: u64,
    /// How the last check failed; empty when it passed, and when nobody could say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

impl Health {
    pub(crate) fn new(check: &HealthCheck, started_at: Timestamp) -> Health {
        Health {
            status: HealthStatus::Unknown,
            since: started_at,
            started_at,
            failures: 0,
            next: started_at + check.interval.min(EARLY_EVERY),
            running: None,
            checks: 0,
            said: String::new(),
        }
    }

    /// The number of the check to run now, if one is due.
    pub(crate) fn due(&mut self, check: &HealthCheck, now: Timestamp) -> Option<u64> {
        if let Some((number, give_up)) = self.running {
            if now < give_up {
                return None;
            }
            self.result(check, number, Err(LOST.to_owned()), now);
        }
        if now < self.next {
            return None;
        }
        self.checks += 1;
        self.running = Some((self.checks, now + check.timeout + LOST_AFTER));
        Some(self.checks)
    }

    /// A late result of a check that was given up means nothing.
    pub(crate) fn result(&mut self, check: &HealthCheck, number: u64, result: Result<(), String>, now: Timestamp) {
        if self.running.is_none_or(|(running, _)| running != number) {
            return;
        }
        self.running = None;
        let passed = result.is_ok();
        self.said = result.err().unwrap_or_default();
        let early = now.since(self.started_at) < check.interval && self.status == HealthStatus::Unknown;
        self.next = now + if early && !passed { check.interval.min(EARLY_EVERY) } else { check.interval };
        if passed {
            self.failures = 0;
            self.become_(HealthStatus::Healthy, now);
            return;
        }
        let starting = self.status == HealthStatus::Unknown && now.since(self.started_at) < check.start_period;
        if early || starting {
            return;
        }
        self.failures += 1;
        if self.failures >= check.retries {
            self.become_(HealthStatus::Unhealthy, now);
        }
    }

    /// After a restart of the agent nobody waits for the running check any more. And the clock may have been set back since then:
    /// what is further away than it can be is now.
    pub(crate) fn taken_up(&mut self, check: &HealthCheck, now: Timestamp) {
        if self.running.take().is_some() || self.next > now + check.interval {
            self.next = now;
        }
        (self.started_at, self.since) = (self.started_at.min(now), self.since.min(now));
    }

    pub(crate) fn next_look(&self) -> Timestamp {
        self.running.map_or(self.next, |(_, give_up)| give_up)
    }

    fn become_(&mut self, status: HealthStatus, now: Timestamp) {
        if self.status != status {
            (self.status, self.since) = (status, now);
        }
    }
}
