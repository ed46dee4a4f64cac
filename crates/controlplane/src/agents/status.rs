//! What an agent says about its own machine: whether the container runtime answers. Pure.

use std::time::Duration;

use agent_api::tcs::{InstanceStatus, PublishInstanceStatus};
use model::{ContainerInstance, InstanceHealth, InstanceHealthCheck, InstanceHealthCheckKind};
use state::{Changes, Snapshot};
use stdx::Timestamp;

/// A status that stays the same comes with every heartbeat. It is written down this often: ten thousand instances would otherwise
/// write three hundred times a second that nothing has happened.
const SAME_STATUS_EVERY: Duration = Duration::from_secs(5 * 60);

/// What a status message changes.
pub fn changes(snapshot: &Snapshot, instance: &str, published: &PublishInstanceStatus) -> Changes {
    let mut changes = Changes::new();
    let Some(known) = snapshot.container_instances.get(instance) else { return changes };
    let mut changed = ContainerInstance::clone(known);
    for check in published.statuses.iter().filter_map(read) {
        apply(&mut changed.health, check);
    }
    if changed != **known {
        changed.version += 1;
        changes.put(snapshot, &changed);
    }
    changes
}

/// Late news change nothing.
fn apply(kept: &mut Vec<InstanceHealthCheck>, news: InstanceHealthCheck) {
    let Some(known) = kept.iter_mut().find(|known| known.kind == news.kind) else { return kept.push(news) };
    let is_news = known.status != news.status || known.last_status_change != news.last_status_change;
    let is_due = news.last_updated.since(known.last_updated) >= SAME_STATUS_EVERY;
    if news.last_updated >= known.last_updated && (is_news || is_due) {
        *known = news;
    }
}

/// Kinds and states that we do not know are those of a newer agent.
fn read(status: &InstanceStatus) -> Option<InstanceHealthCheck> {
    let kind = match status.status_type.as_str() {
        "ContainerRuntime" => InstanceHealthCheckKind::ContainerRuntime,
        "AcceleratedCompute" => InstanceHealthCheckKind::AcceleratedCompute,
        "Daemon" => InstanceHealthCheckKind::Daemon,
        _ => return None,
    };
    let health = match status.status.as_str() {
        "OK" => InstanceHealth::Ok,
        "INITIALIZING" => InstanceHealth::Initializing,
        "INSUFFICIENT_DATA" => InstanceHealth::InsufficientData,
        "IMPAIRED" => InstanceHealth::Impaired,
        _ => return None,
    };
    let moment = |seconds: Option<f64>| Timestamp::from_seconds_f64(seconds.unwrap_or_default());
    Some(InstanceHealthCheck {
        kind,
        status: health,
        last_updated: moment(status.last_updated),
        last_status_change: moment(status.last_status_change),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: InstanceHealth, updated: i64, changed: i64) -> InstanceHealthCheck {
        InstanceHealthCheck {
            kind: InstanceHealthCheckKind::ContainerRuntime,
            status,
            last_updated: Timestamp::from_millis(updated * 1000),
            last_status_change: Timestamp::from_millis(changed * 1000),
        }
    }

    #[test]
    fn only_news_are_kept() {
        let mut kept = Vec::new();
        apply(&mut kept, check(InstanceHealth::Initializing, 10, 10));
        apply(&mut kept, check(InstanceHealth::Ok, 40, 40));
        apply(&mut kept, check(InstanceHealth::Ok, 70, 40));
        assert_eq!(kept, [check(InstanceHealth::Ok, 40, 40)], "nothing new in half a minute");
        apply(&mut kept, check(InstanceHealth::Ok, 340, 40));
        assert_eq!(kept, [check(InstanceHealth::Ok, 340, 40)], "a sign of life now and then");
        apply(&mut kept, check(InstanceHealth::Impaired, 300, 300));
        assert_eq!(kept, [check(InstanceHealth::Ok, 340, 40)], "late news");
        apply(&mut kept, check(InstanceHealth::Impaired, 370, 370));
        assert_eq!(kept, [check(InstanceHealth::Impaired, 370, 370)]);
    }

    #[test]
    fn strange_words_and_times_are_passed_over() {
        let status = |kind: &str, status: &str, last_updated: f64| InstanceStatus {
            status_type: kind.into(),
            status: status.into(),
            last_updated: Some(last_updated),
            last_status_change: None,
        };
        assert_eq!(read(&status("Teleporter", "OK", 1.0)), None);
        assert_eq!(read(&status("ContainerRuntime", "SPLENDID", 1.0)), None);
        for seconds in [f64::MAX, -1.0, f64::MIN] {
            assert!(read(&status("ContainerRuntime", "OK", seconds)).is_some());
        }
    }
}
