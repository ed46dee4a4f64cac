//! A task set: tasks of one definition within a service that an external deployment controller steers.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::Tag;
use crate::cluster::CapacityProviderStrategyItem;
use crate::task::LaunchType;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSet {
    /// `ecs-svc/` and digits; tasks carry it as `startedBy`.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub status: TaskSetStatus,
    pub family: String,
    pub revision: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// Of the service's desired count, 0 to 100.
    pub scale_percent: f64,
    pub stability: StabilityStatus,
    pub stability_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl TaskSet {
    /// How many tasks it should have.
    ///
    /// Source: Amazon ECS API Reference, `TaskSet.computedDesiredCount`: always rounded up.
    pub fn computed_desired_count(&self, service_desired_count: u32) -> u32 {
        // A billionth less, so that a product such as 3.0000000000000004 is not a fourth task.
        let exact = f64::from(service_desired_count) * self.scale_percent / 100.0;
        (exact - 1e-9).ceil().max(0.0) as u32
    }
}

/// Source: Amazon ECS API Reference, `TaskSet.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskSetStatus {
    Primary,
    Active,
    Draining,
}

impl TaskSetStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            TaskSetStatus::Primary => "PRIMARY",
            TaskSetStatus::Active => "ACTIVE",
            TaskSetStatus::Draining => "DRAINING",
        }
    }
}

/// Source: Amazon ECS API Reference, `TaskSet.stabilityStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StabilityStatus {
    SteadyState,
    Stabilizing,
}

impl StabilityStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            StabilityStatus::SteadyState => "STEADY_STATE",
            StabilityStatus::Stabilizing => "STABILIZING",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_desired_count_is_rounded_up() {
        let now = Timestamp::from_millis(0);
        let check = |desired, scale_percent, expected| {
            let set = TaskSet {
                id: String::new(),
                external_id: None,
                status: TaskSetStatus::Active,
                family: String::new(),
                revision: 1,
                launch_type: None,
                capacity_provider_strategy: Vec::new(),
                scale_percent,
                stability: StabilityStatus::Stabilizing,
                stability_at: now,
                created_at: now,
                updated_at: now,
                tags: Vec::new(),
            };
            assert_eq!(set.computed_desired_count(desired), expected, "{scale_percent} % of {desired}");
        };
        check(0, 100.0, 0);
        check(6, 0.0, 0);
        check(6, 20.0, 2);
        check(3, 33.4, 2);
        check(10, 30.0, 3);
        check(5000, 100.0, 5000);
        check(100, 0.5, 1);
        for desired in 0..200 {
            for percent in 0..=100 {
                check(desired, f64::from(percent), (desired * percent).div_ceil(100));
            }
        }
    }
}
