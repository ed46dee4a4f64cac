//! Where a deployment is, and where it goes from there.

use std::time::Duration;

use model::lifecycle::{DeploymentStrategy, HookStage, Lifecycle, LifecycleStage, Shift, Weight};
use stdx::{Ids, Timestamp};

use super::hooks;

/// How long a deployment waits for the one that serves to be whole and alone, before it begins beside it all the same.
const RECONCILED_WITHIN: Duration = Duration::from_secs(5 * 60);

/// What the stages depend on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub green: Side,
    /// Nothing where no deployment has ever completed: nobody waits for what may never stand.
    pub blue: Option<Side>,
    /// There are tasks that are neither green nor blue.
    pub others: bool,
    pub is_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Side {
    /// As many tasks as are desired do their work.
    pub is_full: bool,
    /// At least one does.
    pub works: bool,
    /// When to look whether more of them do.
    pub awaited: Option<Timestamp>,
}

enum Work {
    Done,
    Waits(Option<Timestamp>),
}

/// As far as the deployment can go now. Says when to look again, if not for a change in the world.
pub(crate) fn advance(lifecycle: &mut Lifecycle, facts: &Facts, now: Timestamp, ids: &mut Ids) -> Option<Timestamp> {
    hooks::expire(&mut lifecycle.runs, now);
    while lifecycle.stage != LifecycleStage::CleanUp {
        if let Some(stage) = hook_stage(lifecycle.stage) {
            hooks::start(lifecycle, stage, None, now, ids);
        }
        let until = match work(lifecycle, facts, now, ids) {
            Work::Done if !hooks::are_open(lifecycle) => {
                lifecycle.stage = next(lifecycle.stage, facts);
                lifecycle.stage_at = now;
                continue;
            }
            Work::Done => None,
            Work::Waits(until) => until,
        };
        return [until, hooks::expires_at(lifecycle)].into_iter().flatten().min();
    }
    // The rest ends in a moment in which this one stands whole.
    facts.green.awaited.filter(|_| !facts.green.is_full)
}

/// The way back shifts the traffic and is done.
fn next(stage: LifecycleStage, facts: &Facts) -> LifecycleStage {
    match stage {
        LifecycleStage::ScaleUp if facts.is_rollback => LifecycleStage::ProductionTrafficShift,
        LifecycleStage::ProductionTrafficShift if facts.is_rollback => LifecycleStage::CleanUp,
        stage => stage.next(),
    }
}

/// The hooks of production traffic are started with its steps.
fn hook_stage(stage: LifecycleStage) -> Option<HookStage> {
    match stage {
        LifecycleStage::ReconcileService => Some(HookStage::ReconcileService),
        LifecycleStage::PreScaleUp => Some(HookStage::PreScaleUp),
        LifecycleStage::PostScaleUp => Some(HookStage::PostScaleUp),
        LifecycleStage::TestTrafficShift => Some(HookStage::TestTrafficShift),
        LifecycleStage::PostTestTrafficShift => Some(HookStage::PostTestTrafficShift),
        LifecycleStage::PostProductionTrafficShift => Some(HookStage::PostProductionTrafficShift),
        LifecycleStage::ProductionTrafficShift
        | LifecycleStage::ScaleUp
        | LifecycleStage::BakeTime
        | LifecycleStage::CleanUp => None,
    }
}

/// What the stage itself has to do, apart from its hooks.
fn work(lifecycle: &mut Lifecycle, facts: &Facts, now: Timestamp, ids: &mut Ids) -> Work {
    let green = facts.green;
    match lifecycle.stage {
        // One revision serves, and it is whole, before another one comes up beside it.
        LifecycleStage::ReconcileService => match facts.blue {
            None => Work::Done,
            Some(blue) if blue.is_full && !facts.others && lifecycle.production.is_applied() => Work::Done,
            // It may be broken by now, and this deployment be what mends it. The others are kept then until this one stands.
            Some(_) if lifecycle.production.is_applied() && lifecycle.stage_at + RECONCILED_WITHIN <= now => Work::Done,
            Some(blue) => Work::Waits(
                blue.awaited.into_iter().chain([lifecycle.stage_at + RECONCILED_WITHIN]).filter(|at| *at > now).min(),
            ),
        },
        LifecycleStage::PreScaleUp
        | LifecycleStage::PostScaleUp
        | LifecycleStage::PostTestTrafficShift
        | LifecycleStage::PostProductionTrafficShift => Work::Done,
        // Whoever is gone back to has its tasks, as a rule. What is lacking comes when the traffic is back.
        LifecycleStage::ScaleUp if green.is_full || facts.is_rollback && green.works => Work::Done,
        LifecycleStage::ScaleUp => Work::Waits(green.awaited),
        LifecycleStage::TestTrafficShift => {
            want(lifecycle, Traffic::Test, Weight::ALL);
            if lifecycle.test.is_applied() { Work::Done } else { Work::Waits(None) }
        }
        LifecycleStage::ProductionTrafficShift if facts.is_rollback => {
            want(lifecycle, Traffic::Test, Weight::ALL);
            want(lifecycle, Traffic::Production, Weight::ALL);
            let is_back = lifecycle.test.is_applied() && lifecycle.production.is_applied();
            if is_back { Work::Done } else { Work::Waits(None) }
        }
        LifecycleStage::ProductionTrafficShift => shift(lifecycle, green, now, ids),
        LifecycleStage::BakeTime => {
            let ends_at = lifecycle.stage_at + minutes(lifecycle.bake_time_in_minutes);
            // Where there is no blue, nothing runs beside green.
            if lifecycle.source.is_some() && ends_at > now {
                Work::Waits(Some(ends_at))
            } else if green.is_full {
                Work::Done
            } else {
                Work::Waits(green.awaited)
            }
        }
        LifecycleStage::CleanUp => Work::Done,
    }
}

/// Production traffic, step by step. Each step waits for its hooks, for green to be whole, and until it is applied.
fn shift(lifecycle: &mut Lifecycle, green: Side, now: Timestamp, ids: &mut Ids) -> Work {
    loop {
        if lifecycle.steps > 0 {
            if !lifecycle.production.is_applied() {
                return Work::Waits(None);
            }
            let since = *lifecycle.step_at.get_or_insert(now);
            if hooks::are_open(lifecycle) {
                return Work::Waits(None);
            }
            if lifecycle.production.desired == Weight::ALL {
                return Work::Done;
            }
            let until = since + step_bake_time(lifecycle.strategy);
            if until > now {
                return Work::Waits(Some(until));
            }
        }
        let step = Some(lifecycle.steps + 1);
        hooks::start(lifecycle, HookStage::PreProductionTrafficShift, step, now, ids);
        if hooks::are_open(lifecycle) {
            return Work::Waits(None);
        }
        if !green.is_full {
            return Work::Waits(green.awaited);
        }
        want(lifecycle, Traffic::Production, next_weight(lifecycle));
        lifecycle.steps += 1;
        lifecycle.step_at = None;
        hooks::start(lifecycle, HookStage::ProductionTrafficShift, step, now, ids);
    }
}

fn next_weight(lifecycle: &Lifecycle) -> Weight {
    match lifecycle.strategy {
        _ if lifecycle.source.is_none() => Weight::ALL,
        DeploymentStrategy::Linear(linear) => lifecycle.production.desired.plus(linear.step),
        DeploymentStrategy::Canary(canary) if lifecycle.steps == 0 => canary.canary,
        DeploymentStrategy::Canary(_) | DeploymentStrategy::BlueGreen | DeploymentStrategy::Rolling => Weight::ALL,
    }
}

/// Source: Amazon ECS API Reference, `LinearConfiguration`, `CanaryConfiguration`: not after the step to 100 percent.
fn step_bake_time(strategy: DeploymentStrategy) -> Duration {
    match strategy {
        DeploymentStrategy::Linear(linear) => minutes(linear.step_bake_time_in_minutes),
        DeploymentStrategy::Canary(canary) => minutes(canary.canary_bake_time_in_minutes),
        DeploymentStrategy::BlueGreen | DeploymentStrategy::Rolling => Duration::ZERO,
    }
}

enum Traffic {
    Production,
    Test,
}

/// Where nobody routes traffic, what is wanted is so.
fn want(lifecycle: &mut Lifecycle, traffic: Traffic, desired: Weight) {
    let shift: &mut Shift = match traffic {
        Traffic::Production => &mut lifecycle.production,
        Traffic::Test => &mut lifecycle.test,
    };
    shift.desired = desired;
    if lifecycle.router.is_nobody() {
        shift.applied = Some(desired);
    }
}

fn minutes(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 60)
}
