//! Lifecycle hooks: when they are run, what is asked of a function, and what its answers mean.
//!
//! Source: Amazon ECS Developer Guide, "Lifecycle hooks for Amazon ECS service deployments", "Lambda hooks" and "Pause hooks".

use std::time::Duration;

use model::lifecycle::{HookRun, HookStage, HookStatus, HookTarget, Lifecycle, Weight};
use model::{Deployment, Service, ServiceArn, ServiceDeploymentArn, ServiceRevisionArn};
use stdx::{Ids, Timestamp};

/// Source: the same pages: 30 seconds between two calls, if an answer does not say otherwise.
pub const CALL_BACK_DELAY_DEFAULT: Duration = Duration::from_secs(30);

/// How many runs a deployment remembers. A linear shift may take dozens of steps, and each of them asks every hook; those of one
/// step are far fewer than this.
pub const RUNS_MAX: usize = 50;

/// What a function is asked. Whoever calls functions makes the event out of it that AWS sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// Of the run; its answer goes back under it.
    pub execution_id: String,
    pub target_arn: String,
    pub role_arn: String,
    pub lifecycle_stage: HookStage,
    pub service_arn: ServiceArn,
    pub service_deployment_arn: ServiceDeploymentArn,
    pub target_service_revision_arn: ServiceRevisionArn,
    /// The share of each service revision.
    pub production_weights: Vec<(ServiceRevisionArn, Weight)>,
    pub test_weights: Vec<(ServiceRevisionArn, Weight)>,
    /// JSON: what the hook came with, or what its last answer left.
    pub details: Option<String>,
}

/// What a function has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAnswer {
    InProgress {
        call_back_delay: Option<Duration>,
        details: Option<String>,
    },
    Succeeded,
    /// Also when it said nothing that can be understood, or could not be called.
    Failed,
}

/// The calls of the service's newest deployment that are due.
pub fn calls(service: &Service, now: Timestamp) -> Vec<HookCall> {
    let Some(primary) = service.primary() else { return Vec::new() };
    let runs = primary.lifecycle.iter().flat_map(|lifecycle| &lifecycle.runs);
    let due = runs.filter(|run| run.status == HookStatus::InProgress && run.call_at.is_some_and(|at| at <= now));
    due.filter_map(|run| call(service, primary, run)).collect()
}

fn call(service: &Service, primary: &Deployment, run: &HookRun) -> Option<HookCall> {
    let HookTarget::AwsLambda { arn, role_arn } = &run.target else { return None };
    let revision = |id: &str| ServiceRevisionArn::new(&service.scope, &service.cluster, &service.name, id);
    let weights = |of: fn((Weight, Weight)) -> Weight| {
        let each = service.deployments.iter().filter(|one| !one.service_revision.is_empty());
        each.filter_map(|one| Some((revision(&one.service_revision), of(service.weights(one)?)))).collect()
    };
    let deployment = &primary.service_deployment;
    Some(HookCall {
        execution_id: run.id.clone(),
        target_arn: arn.clone(),
        role_arn: role_arn.clone(),
        lifecycle_stage: run.stage,
        service_arn: service.arn(),
        service_deployment_arn: ServiceDeploymentArn::new(&service.scope, &service.cluster, &service.name, deployment),
        target_service_revision_arn: revision(&primary.service_revision),
        production_weights: weights(|(production, _)| production),
        test_weights: weights(|(_, test)| test),
        details: run.details.clone(),
    })
}

/// Writes down what a function has said. What comes too late changes nothing.
pub fn answer(run: &mut HookRun, answer: HookAnswer, now: Timestamp) {
    if run.status != HookStatus::InProgress {
        return;
    }
    match answer {
        HookAnswer::InProgress { call_back_delay, details } => {
            run.call_at = Some(now + call_back_delay.unwrap_or(CALL_BACK_DELAY_DEFAULT));
            run.details = details.or(run.details.take());
        }
        HookAnswer::Succeeded => end(run, HookStatus::Succeeded),
        HookAnswer::Failed => end(run, HookStatus::Failed),
    }
}

/// Runs the hooks of a stage, or of one of its steps, if they are not run already.
pub(super) fn start(lifecycle: &mut Lifecycle, stage: HookStage, step: Option<u32>, now: Timestamp, ids: &mut Ids) {
    if lifecycle.runs.iter().any(|run| run.stage == stage && run.step == step) {
        return;
    }
    let hooks = lifecycle.hooks.iter().filter(|hook| hook.stages.contains(&stage));
    let runs = hooks.map(|hook| {
        let (kind, status, call_at) = match hook.target {
            HookTarget::Pause => ("pause", HookStatus::AwaitingAction, None),
            HookTarget::AwsLambda { .. } => ("lambda", HookStatus::InProgress, Some(now)),
        };
        HookRun {
            id: format!("ecs-{kind}-{}", ids.hex()),
            target: hook.target.clone(),
            stage,
            step,
            status,
            expires_at: now + Duration::from_secs(u64::from(hook.timeout_in_minutes) * 60),
            timeout_action: hook.timeout_action,
            call_at,
            details: hook.details.clone(),
        }
    });
    let runs: Vec<HookRun> = runs.collect();
    lifecycle.runs.extend(runs);
    // The oldest are of stages and steps that are long over.
    let forgotten = lifecycle.runs.len().saturating_sub(RUNS_MAX);
    lifecycle.runs.drain(..forgotten);
}

/// All open ones belong to the stage that the deployment is in.
pub(super) fn are_open(lifecycle: &Lifecycle) -> bool {
    lifecycle.runs.iter().any(HookRun::is_open)
}

pub(super) fn expires_at(lifecycle: &Lifecycle) -> Option<Timestamp> {
    lifecycle.runs.iter().filter(|run| run.is_open()).map(|run| run.expires_at).min()
}

pub(super) fn expire(runs: &mut [HookRun], now: Timestamp) {
    let late = runs.iter_mut().filter(|run| run.is_open() && run.expires_at <= now);
    late.for_each(|run| end(run, HookStatus::TimedOut));
}

/// Nobody waits for them any more.
pub(crate) fn close(runs: &mut [HookRun], now: Timestamp) {
    expire(runs, now);
    runs.iter_mut().filter(|run| run.is_open()).for_each(|run| end(run, HookStatus::Failed));
}

fn end(run: &mut HookRun, status: HookStatus) {
    (run.status, run.call_at) = (status, None);
}

/// The run because of which the deployment has to go back.
pub(crate) fn refusal(deployment: &Deployment, now: Timestamp) -> Option<HookRun> {
    let mut runs = deployment.lifecycle.as_ref()?.runs.clone();
    expire(&mut runs, now);
    runs.into_iter().find(HookRun::wants_rollback)
}

/// The pauses of the newest deployment that are in `after` and were not in `before`.
pub(super) fn begun<'a>(before: &Service, after: &'a Service) -> Vec<(&'a str, &'a HookRun)> {
    let known = |run: &HookRun| {
        let lifecycle = before.primary().and_then(|primary| primary.lifecycle.as_ref());
        lifecycle.is_some_and(|lifecycle| lifecycle.runs.iter().any(|one| one.id == run.id))
    };
    let Some(primary) = after.primary() else { return Vec::new() };
    let runs = primary.lifecycle.iter().flat_map(|lifecycle| &lifecycle.runs);
    let new = runs.filter(|run| run.status == HookStatus::AwaitingAction && !known(run));
    new.map(|run| (primary.id.as_str(), run)).collect()
}
