//! The stages of a deployment that grows up beside the one that serves, and who is asked before it goes on.

use api_ecs::{DeploymentLifecycleHookDetail, ServiceDeployment, ServiceRevisionSummary};
use shape::Timestamp;

use super::view::View;
use crate::person::words::{duration, last, moment};

/// Source: Amazon ECS API Reference, `ServiceDeployment.lifecycleStage`.
const STAGES: [&str; 10] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
];
const BAKE: &str = "BAKE_TIME";
const SCALE_UP: &str = "SCALE_UP";

/// What a picture says of them: its lines have a name and a text.
pub fn rows(detail: &ServiceDeployment) -> Vec<(&'static str, String)> {
    let Some(stage) = stage(detail) else { return Vec::new() };
    let place = STAGES.iter().position(|one| *one == stage);
    let signs: String = (0..STAGES.len()).map(|at| sign(at, place)).collect();
    vec![("stage", format!("{signs}  {stage}")), ("traffic", traffic(detail))]
}

fn sign(at: usize, place: Option<usize>) -> char {
    match place {
        Some(place) if at < place => '●',
        Some(place) if at == place => '◐',
        _ => '·',
    }
}

/// The new revision is green, and the one before it blue.
fn traffic(detail: &ServiceDeployment) -> String {
    let green = detail.target_service_revision.as_ref();
    let blue: Vec<&ServiceRevisionSummary> = detail.source_service_revisions.iter().flatten().collect();
    let sum = |of: fn(&ServiceRevisionSummary) -> Option<f64>| {
        let green = green.and_then(of).unwrap_or_default();
        let blue: f64 = blue.iter().filter_map(|one| of(one)).sum();
        format!("{green} % green, {blue} % blue")
    };
    let production = sum(|one| one.requested_production_traffic_weight);
    let test = green.and_then(|one| one.requested_test_traffic_weight).unwrap_or_default();
    format!("production {production}; test {test} % green")
}

/// The same in one line.
pub fn words(detail: &ServiceDeployment) -> String {
    let Some(stage) = stage(detail) else { return String::new() };
    let asked = paused(detail).map(|hook| format!(", hook {} waits", hook.hook_id.as_deref().unwrap_or_default()));
    format!("{stage}{}", asked.collect::<String>())
}

/// That of one that has not ended.
fn stage(detail: &ServiceDeployment) -> Option<&str> {
    detail.lifecycle_stage.as_deref().filter(|_| detail.finished_at.is_none() && detail.stopped_at.is_none())
}

/// What is waited for, in sentences.
pub fn waits(detail: &ServiceDeployment, baking_since: Option<Timestamp>, now: Timestamp) -> Vec<String> {
    let mut waits = Vec::new();
    for hook in paused(detail) {
        let stage = stage(detail).unwrap_or_default();
        let until = hook.expires_at.map(|at| format!(", until {}", moment(at))).unwrap_or_default();
        let then = hook.timeout_action.as_deref().unwrap_or_default();
        waits.push(format!("somebody to continue the pause at {stage}{until}; then {then}."));
    }
    for hook in detail.lifecycle_hook_details.iter().flatten().filter(|hook| is(hook, "IN_PROGRESS")) {
        waits.push(format!("the hook {} to say how it ends.", last(hook.target_arn.as_deref().unwrap_or_default())));
    }
    let minutes = detail.deployment_configuration.as_ref().and_then(|one| one.bake_time_in_minutes).unwrap_or(0);
    if let (Some(BAKE), Some(since)) = (stage(detail), baking_since) {
        let ends = since + std::time::Duration::from_secs(u64::from(minutes.unsigned_abs()) * 60);
        waits.push(match ends > now {
            true => format!("the bake to end, in {}: both revisions run until then.", duration(ends.since(now))),
            false => "every task of the new revision to work: the bake is over.".to_owned(),
        });
    }
    waits
}

/// What a person types to go on or back.
pub fn commands(view: &View) -> Vec<String> {
    let Some(detail) = view.detail.as_ref().filter(|detail| paused(detail).next().is_some()) else {
        return Vec::new();
    };
    let service = view.service.service_name.as_deref().unwrap_or_default();
    let cluster = match last(view.service.cluster_arn.as_deref().unwrap_or_default()) {
        "default" => String::new(),
        other => format!(" --cluster {other}"),
    };
    let mut commands = vec![
        format!("berth deploy continue {service}{cluster}"),
        format!("berth deploy continue {service}{cluster} --rollback"),
    ];
    commands.extend(paused(detail).map(|hook| {
        let (arn, id) = (detail.service_deployment_arn.as_deref(), hook.hook_id.as_deref());
        let (arn, id) = (arn.unwrap_or_default(), id.unwrap_or_default());
        format!("aws ecs continue-service-deployment --service-deployment-arn {arn} --hook-id {id}")
    }));
    commands
}

/// The hooks that wait for somebody.
pub fn paused(detail: &ServiceDeployment) -> impl Iterator<Item = &DeploymentLifecycleHookDetail> {
    detail.lifecycle_hook_details.iter().flatten().filter(|hook| is(hook, "AWAITING_ACTION"))
}

pub fn is_baking(detail: &ServiceDeployment) -> bool {
    stage(detail) == Some(BAKE)
}

/// New tasks are waited for: while a rolling deployment is on its way, and while green grows.
pub fn is_scaling(detail: Option<&ServiceDeployment>) -> bool {
    detail.and_then(stage).is_none_or(|stage| stage == SCALE_UP)
}

fn is(hook: &DeploymentLifecycleHookDetail, status: &str) -> bool {
    hook.status.as_deref() == Some(status)
}

#[cfg(test)]
mod tests {
    use api_ecs::DeploymentConfiguration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn detail(stage: &str, green: f64) -> ServiceDeployment {
        let weights = |production, test| ServiceRevisionSummary {
            requested_production_traffic_weight: Some(production),
            requested_test_traffic_weight: Some(test),
            ..ServiceRevisionSummary::default()
        };
        ServiceDeployment {
            lifecycle_stage: Some(stage.to_owned()),
            source_service_revisions: Some(vec![weights(100.0 - green, 0.0)]),
            target_service_revision: Some(weights(green, 100.0)),
            deployment_configuration: Some(DeploymentConfiguration {
                bake_time_in_minutes: Some(5),
                ..DeploymentConfiguration::default()
            }),
            ..ServiceDeployment::default()
        }
    }

    #[test]
    fn stages_and_shares() {
        assert_eq!(
            rows(&detail("PRODUCTION_TRAFFIC_SHIFT", 12.5)),
            [
                ("stage", "●●●●●●◐···  PRODUCTION_TRAFFIC_SHIFT".to_owned()),
                ("traffic", "production 12.5 % green, 87.5 % blue; test 100 % green".to_owned())
            ]
        );
        let ended = ServiceDeployment { finished_at: Some(NOW), ..detail("CLEAN_UP", 100.0) };
        assert!(rows(&ended).is_empty() && words(&ended).is_empty());
    }

    #[test]
    fn the_bake_counts_down() {
        let since = Some(Timestamp::from_millis(NOW.as_millis() - 60_000));
        let said = waits(&detail("BAKE_TIME", 100.0), since, NOW);
        assert_eq!(said, ["the bake to end, in 4m: both revisions run until then."]);
    }

    #[test]
    fn a_pause_comes_with_what_continues_it() {
        let hook = DeploymentLifecycleHookDetail {
            hook_id: Some("ecs-pause-1".into()),
            status: Some("AWAITING_ACTION".into()),
            expires_at: Some(NOW),
            timeout_action: Some("ROLLBACK".into()),
            ..DeploymentLifecycleHookDetail::default()
        };
        let detail = ServiceDeployment { lifecycle_hook_details: Some(vec![hook]), ..detail("POST_SCALE_UP", 0.0) };
        assert_eq!(words(&detail), "POST_SCALE_UP, hook ecs-pause-1 waits");
        assert_eq!(
            waits(&detail, None, NOW),
            ["somebody to continue the pause at POST_SCALE_UP, until 2023-11-14T22:13:20Z; then ROLLBACK."]
        );
        assert!(!is_scaling(Some(&detail)) && is_scaling(None));
    }
}
