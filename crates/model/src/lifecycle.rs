//! A deployment that grows up beside the one that serves: its stages, its hooks, and how traffic goes from one to the other.
//!
//! The new service revision is called green, and the one that serves until then blue, as AWS does.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

/// Source: Amazon ECS API Reference, `DeploymentConfiguration.strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStrategy {
    #[default]
    Rolling,
    BlueGreen,
    Linear(LinearConfiguration),
    Canary(CanaryConfiguration),
}

impl DeploymentStrategy {
    pub fn as_str(self) -> &'static str {
        match self {
            DeploymentStrategy::Rolling => "ROLLING",
            DeploymentStrategy::BlueGreen => "BLUE_GREEN",
            DeploymentStrategy::Linear(_) => "LINEAR",
            DeploymentStrategy::Canary(_) => "CANARY",
        }
    }

    pub fn is_rolling(&self) -> bool {
        *self == DeploymentStrategy::Rolling
    }
}

/// Production traffic goes over in equal steps, with a wait after each but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearConfiguration {
    pub step: Weight,
    pub step_bake_time_in_minutes: u32,
}

/// A little of the production traffic goes over, and after a wait the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryConfiguration {
    pub canary: Weight,
    pub canary_bake_time_in_minutes: u32,
}

/// A share of traffic, in tenths of a percent: whole numbers add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(u16);

impl Weight {
    pub const NONE: Weight = Weight(0);
    pub const ALL: Weight = Weight(1000);

    pub const fn tenths(count: u16) -> Weight {
        assert!(count <= Weight::ALL.0);
        Weight(count)
    }

    /// Nothing where it is no multiple of 0.1 from 0 to 100.
    pub fn from_percent(percent: f64) -> Option<Weight> {
        let tenths = percent * 10.0;
        let whole = tenths.round();
        ((0.0..=1000.0).contains(&whole) && (tenths - whole).abs() < 1e-6).then_some(Weight(whole as u16))
    }

    pub fn percent(self) -> f64 {
        f64::from(self.0) / 10.0
    }

    /// What is left for the other colour.
    pub fn rest(self) -> Weight {
        Weight(Weight::ALL.0 - self.0)
    }

    /// So much more, and never more than all.
    pub fn plus(self, step: Weight) -> Weight {
        Weight((self.0 + step.0).min(Weight::ALL.0))
    }
}

/// Source: Amazon ECS API Reference, `ServiceDeployment.lifecycleStage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LifecycleStage {
    ReconcileService,
    PreScaleUp,
    ScaleUp,
    PostScaleUp,
    TestTrafficShift,
    PostTestTrafficShift,
    ProductionTrafficShift,
    PostProductionTrafficShift,
    BakeTime,
    CleanUp,
}

impl LifecycleStage {
    pub const ALL: [LifecycleStage; 10] = [
        LifecycleStage::ReconcileService,
        LifecycleStage::PreScaleUp,
        LifecycleStage::ScaleUp,
        LifecycleStage::PostScaleUp,
        LifecycleStage::TestTrafficShift,
        LifecycleStage::PostTestTrafficShift,
        LifecycleStage::ProductionTrafficShift,
        LifecycleStage::PostProductionTrafficShift,
        LifecycleStage::BakeTime,
        LifecycleStage::CleanUp,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            LifecycleStage::ReconcileService => "RECONCILE_SERVICE",
            LifecycleStage::PreScaleUp => "PRE_SCALE_UP",
            LifecycleStage::ScaleUp => "SCALE_UP",
            LifecycleStage::PostScaleUp => "POST_SCALE_UP",
            LifecycleStage::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            LifecycleStage::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            LifecycleStage::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            LifecycleStage::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
            LifecycleStage::BakeTime => "BAKE_TIME",
            LifecycleStage::CleanUp => "CLEAN_UP",
        }
    }

    /// The last one is its own next.
    pub fn next(self) -> LifecycleStage {
        LifecycleStage::ALL.into_iter().find(|stage| *stage > self).unwrap_or(self)
    }
}

/// Where a hook can be put. Source: Amazon ECS API Reference, `DeploymentLifecycleHook.lifecycleStages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookStage {
    ReconcileService,
    PreScaleUp,
    PostScaleUp,
    TestTrafficShift,
    PostTestTrafficShift,
    /// Before each step of production traffic.
    PreProductionTrafficShift,
    /// At each step of production traffic.
    ProductionTrafficShift,
    PostProductionTrafficShift,
}

impl HookStage {
    pub const ALL: [HookStage; 8] = [
        HookStage::ReconcileService,
        HookStage::PreScaleUp,
        HookStage::PostScaleUp,
        HookStage::TestTrafficShift,
        HookStage::PostTestTrafficShift,
        HookStage::PreProductionTrafficShift,
        HookStage::ProductionTrafficShift,
        HookStage::PostProductionTrafficShift,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            HookStage::ReconcileService => "RECONCILE_SERVICE",
            HookStage::PreScaleUp => "PRE_SCALE_UP",
            HookStage::PostScaleUp => "POST_SCALE_UP",
            HookStage::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            HookStage::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            HookStage::PreProductionTrafficShift => "PRE_PRODUCTION_TRAFFIC_SHIFT",
            HookStage::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            HookStage::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
        }
    }

    pub fn parse(text: &str) -> Option<HookStage> {
        HookStage::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// Source: Amazon ECS API Reference, `DeploymentLifecycleHook.lifecycleStages`: traffic on its way cannot be paused.
    pub fn can_pause(self) -> bool {
        !matches!(self, HookStage::TestTrafficShift | HookStage::ProductionTrafficShift)
    }
}

/// What is done at some stages before a deployment goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleHook {
    pub target: HookTarget,
    pub stages: Vec<HookStage>,
    /// What a function is given beside the deployment's state: JSON, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    pub timeout_in_minutes: u32,
    pub timeout_action: HookAction,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookTarget {
    /// Waits for ContinueServiceDeployment.
    Pause,
    AwsLambda {
        arn: String,
        role_arn: String,
    },
}

impl HookTarget {
    pub fn as_str(&self) -> &'static str {
        match self {
            HookTarget::Pause => "PAUSE",
            HookTarget::AwsLambda { .. } => "AWS_LAMBDA",
        }
    }
}

/// Source: Amazon ECS API Reference, `ContinueServiceDeployment.action`, `DeploymentLifecycleHookTimeoutConfiguration.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookAction {
    Continue,
    Rollback,
}

impl HookAction {
    pub fn as_str(self) -> &'static str {
        match self {
            HookAction::Continue => "CONTINUE",
            HookAction::Rollback => "ROLLBACK",
        }
    }
}

/// One time that a hook is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    pub id: String,
    pub target: HookTarget,
    pub stage: HookStage,
    /// The step of production traffic that it belongs to; nothing outside of that stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    pub status: HookStatus,
    pub expires_at: Timestamp,
    pub timeout_action: HookAction,
    /// When the function is to be called, or called again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_at: Option<Timestamp>,
    /// What its next call is given: what the hook came with, or what its last answer left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl HookRun {
    pub fn is_open(&self) -> bool {
        matches!(self.status, HookStatus::AwaitingAction | HookStatus::InProgress)
    }

    /// Somebody has said what is to become of a pause.
    pub fn act(&mut self, action: HookAction) {
        self.status = match action {
            HookAction::Continue => HookStatus::Succeeded,
            HookAction::Rollback => HookStatus::Failed,
        };
    }

    /// True when the deployment may not go on because of it.
    pub fn wants_rollback(&self) -> bool {
        match self.status {
            HookStatus::Failed => true,
            HookStatus::TimedOut => self.timeout_action == HookAction::Rollback,
            HookStatus::AwaitingAction | HookStatus::InProgress | HookStatus::Succeeded => false,
        }
    }
}

/// Source: Amazon ECS API Reference, `DeploymentLifecycleHookDetail.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookStatus {
    AwaitingAction,
    InProgress,
    Succeeded,
    Failed,
    TimedOut,
}

impl HookStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            HookStatus::AwaitingAction => "AWAITING_ACTION",
            HookStatus::InProgress => "IN_PROGRESS",
            HookStatus::Succeeded => "SUCCEEDED",
            HookStatus::Failed => "FAILED",
            HookStatus::TimedOut => "TIMED_OUT",
        }
    }
}

/// Green's share of some traffic; blue has the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// What its reconciler wants.
    pub desired: Weight,
    /// What whoever routes the traffic has done; nothing until it has done something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Weight>,
}

impl Shift {
    pub fn is_applied(&self) -> bool {
        self.applied == Some(self.desired)
    }
}

/// Who routes the traffic of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Router {
    /// Neither load balancer nor Service Connect: AWS calls such a service headless. What is wanted is so at once.
    #[default]
    Nobody,
    /// It reads the desired weights and writes down those that it has applied.
    LoadBalancer,
}

impl Router {
    pub fn is_nobody(&self) -> bool {
        *self == Router::Nobody
    }
}

/// Where such a deployment is. It keeps what was configured when it began: a later update is for the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub strategy: DeploymentStrategy,
    pub bake_time_in_minutes: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<LifecycleHook>,
    /// The deployment that serves until this one does: blue. The first of a service has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Router::is_nobody")]
    pub router: Router,
    pub stage: LifecycleStage,
    pub stage_at: Timestamp,
    pub production: Shift,
    pub test: Shift,
    /// How many steps of production traffic have begun, and since when the last of them is applied.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<HookRun>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_tenths_of_a_percent() {
        let percent = |percent| Weight::from_percent(percent).map(Weight::percent);
        assert_eq!(percent(0.1), Some(0.1));
        assert_eq!(percent(99.9), Some(99.9));
        assert_eq!(percent(100.0), Some(100.0));
        assert_eq!([percent(0.15), percent(100.1), percent(-0.1), percent(f64::NAN)], [None; 4]);
        let third = Weight::from_percent(33.3).unwrap();
        assert_eq!(third.plus(third).plus(third).rest(), Weight::from_percent(0.1).unwrap());
        assert_eq!(Weight::ALL.plus(third), Weight::ALL);
    }

    #[test]
    fn stages_follow_each_other_to_the_end() {
        let mut stage = LifecycleStage::ReconcileService;
        for expected in LifecycleStage::ALL {
            assert_eq!(stage, expected);
            stage = stage.next();
        }
        assert_eq!(stage, LifecycleStage::CleanUp);
        assert!(HookStage::ALL.into_iter().all(|stage| HookStage::parse(stage.as_str()) == Some(stage)));
    }
}
