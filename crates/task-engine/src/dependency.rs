//! Whether what a container waits for is there, may still come, or never will.

use stdx::Timestamp;

use crate::container::{Container, Phase};
use crate::health::HealthStatus;
use crate::spec::{Condition, Dependency};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    Waiting,
    /// Why it never will be.
    Never(String),
}

/// All dependencies of one container together.
pub(crate) fn readiness(containers: &[Container], container: &Container, now: Timestamp) -> Readiness {
    let mut readiness = Readiness::Ready;
    for dependency in &container.spec.depends_on {
        match one(containers, dependency, now) {
            Readiness::Ready => {}
            Readiness::Waiting => readiness = Readiness::Waiting,
            never @ Readiness::Never(_) => return never,
        }
    }
    readiness
}

fn one(containers: &[Container], dependency: &Dependency, now: Timestamp) -> Readiness {
    let Some(on) = containers.iter().find(|container| container.spec.name == dependency.container) else {
        return Readiness::Never(format!("container {} does not exist", dependency.container));
    };
    let never = |why: &str| {
        let condition = dependency.condition.name();
        Readiness::Never(format!("dependency {} for condition {condition} {why}", dependency.container))
    };
    let met = match dependency.condition {
        Condition::Start => on.started_at.is_some(),
        Condition::Complete => on.stopped() && on.started_at.is_some(),
        Condition::Success => on.stopped() && on.exit_code == Some(0),
        Condition::Healthy => on.health_status() == Some(HealthStatus::Healthy) && !on.stopped(),
    };
    if met {
        return Readiness::Ready;
    }
    if on.stopped() {
        return match (on.exit_code, dependency.condition) {
            (Some(code), Condition::Success) => never(&format!("did not exit successfully: exit code {code}")),
            (Some(code), _) => never(&format!("exited before it was met: exit code {code}")),
            (None, _) => never("did not start"),
        };
    }
    if dependency.condition == Condition::Healthy && on.health_status() == Some(HealthStatus::Unhealthy) {
        return never("is unhealthy");
    }
    match start_deadline(on) {
        Some(deadline) if now >= deadline => never("timed out: its startTimeout has passed"),
        _ => Readiness::Waiting,
    }
}

/// When those who wait for this container give up. Counted from its start, as the official agent does.
pub(crate) fn start_deadline(container: &Container) -> Option<Timestamp> {
    Some(container.started_at? + container.spec.start_timeout?)
}

/// Nobody who still lives depends on it, not even through others that have ended: then it may be told to stop. The official
/// agent stops in this order too.
pub(crate) fn may_stop(containers: &[Container], container: &Container) -> bool {
    let mut below = vec![container.spec.name.as_str()];
    let mut at = 0;
    while let Some(&name) = below.get(at) {
        at += 1;
        for other in containers {
            if !other.spec.depends_on.iter().any(|dependency| dependency.container == name) {
                continue;
            }
            if other.alive() {
                return false;
            }
            if !below.contains(&other.spec.name.as_str()) {
                below.push(&other.spec.name);
            }
        }
    }
    true
}

/// It waits for others: worth a look at their deadlines.
pub(crate) fn waits(container: &Container) -> bool {
    matches!(container.phase, Phase::New | Phase::Pulling | Phase::Pulled)
}
