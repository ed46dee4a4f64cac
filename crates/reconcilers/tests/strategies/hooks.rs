//! Pauses, functions, their answers and their timeouts.

use std::time::Duration;

use expect_test::expect;
use model::lifecycle::{
    DeploymentStrategy, HookAction, HookRun, HookStage, HookStatus, LifecycleStage, Router, Weight,
};
use model::service::DeploymentConfiguration;
use model::{LifecycleHook, RolloutState};
use reconcilers::service::blue_green::hooks::{self, HookAnswer};

use crate::story::{Story, canary, configuration, function, linear, pause};

fn with_hooks(strategy: DeploymentStrategy, lifecycle_hooks: Vec<LifecycleHook>) -> DeploymentConfiguration {
    DeploymentConfiguration { lifecycle_hooks, ..configuration(strategy) }
}

fn paused_at(stage: HookStage) -> Story {
    let mut story =
        Story::deployed(with_hooks(DeploymentStrategy::BlueGreen, vec![pause(&[stage])]), Router::LoadBalancer);
    story.go_on();
    assert!(story.is_paused());
    story
}

fn run(story: &Story) -> HookRun {
    story.lifecycle().unwrap().runs.last().unwrap().clone()
}

#[test]
fn a_pause_waits_at_every_stage_that_it_is_put_at() {
    let stages: Vec<HookStage> = HookStage::ALL.into_iter().filter(|stage| stage.can_pause()).collect();
    let hooks = vec![pause(&stages)];
    let mut story = Story::deployed(with_hooks(canary(20.0, 1), hooks), Router::LoadBalancer);
    while story.go_on().is_paused() {
        let said = story.service().events[0].message.clone();
        assert!(said.contains(&format!("until its hook {} is continued", run(&story).id)), "{said}");
        story.world.continue_deployment(HookAction::Continue);
    }
    story.check(expect![[r#"
        PRE_SCALE_UP, production 0, test 0, AWAITING_ACTION at PRE_SCALE_UP
        SCALE_UP, start 3 of 2
        POST_SCALE_UP, AWAITING_ACTION at POST_SCALE_UP
        TEST_TRAFFIC_SHIFT, test 100
        POST_TEST_TRAFFIC_SHIFT, AWAITING_ACTION at POST_TEST_TRAFFIC_SHIFT
        PRODUCTION_TRAFFIC_SHIFT, AWAITING_ACTION at PRE_PRODUCTION_TRAFFIC_SHIFT
        production 20
        wait 1 minutes
        AWAITING_ACTION at PRE_PRODUCTION_TRAFFIC_SHIFT
        production 100
        POST_PRODUCTION_TRAFFIC_SHIFT, AWAITING_ACTION at POST_PRODUCTION_TRAFFIC_SHIFT
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
    assert_eq!(story.primary().rollout_state, RolloutState::Completed);
    assert!(story.primary().lifecycle.unwrap().runs.iter().all(|run| run.status == HookStatus::Succeeded));
}

#[test]
fn a_pause_is_asked_once_for_each_step_of_traffic() {
    let hooks = vec![pause(&[HookStage::PreProductionTrafficShift])];
    let mut story = Story::deployed(with_hooks(linear(50.0, 1), hooks), Router::LoadBalancer);
    for (shifted, step) in [(0.0, 1), (50.0, 2)] {
        assert!(story.go_on().is_paused());
        assert_eq!(story.lifecycle().unwrap().production.desired.percent(), shifted);
        assert_eq!(run(&story).step, Some(step));
        story.world.continue_deployment(HookAction::Continue);
    }
    assert!(!story.go_on().is_paused());
    assert_eq!(story.primary().rollout_state, RolloutState::Completed);
}

#[test]
fn a_pause_that_is_answered_with_rollback_goes_back() {
    let mut story = paused_at(HookStage::PostTestTrafficShift);
    story.text.clear();
    story.world.continue_deployment(HookAction::Rollback);
    story.go_on();
    let text = story.text.join("\n").replace(&story.primary().lifecycle.unwrap().runs[0].id, "ID");
    story.text = vec![text];
    story.check(expect![[r#"
        SCALE_UP, production 100, test 0, ECS deployment lifecycle hook: rolling back to deploymentId ecs-svc/2.
        PRODUCTION_TRAFFIC_SHIFT, test 100
        CLEAN_UP, stop 3 of 2
        completed"#]]);
    assert_eq!((story.running(1), story.running(2)), (3, 0));
}

#[test]
fn a_pause_that_nobody_answers_takes_its_timeout_action() {
    for (action, status, remaining) in
        [(HookAction::Rollback, HookStatus::TimedOut, 1), (HookAction::Continue, HookStatus::TimedOut, 2)]
    {
        let hook = LifecycleHook { timeout_action: action, ..pause(&[HookStage::PostScaleUp]) };
        let mut story = Story::deployed(with_hooks(DeploymentStrategy::BlueGreen, vec![hook]), Router::LoadBalancer);
        story.go_on();
        let plan = story.world.plan();
        assert_eq!(plan.look_again, Some(run(&story).expires_at));
        story.world.now = run(&story).expires_at;
        story.go_on();
        assert_eq!(story.primary().rollout_state, RolloutState::Completed);
        assert_eq!(story.primary().lifecycle.unwrap().runs[0].status, status);
        assert_eq!(story.world.live().iter().filter(|task| task.revision == remaining).count(), 3);
    }
}

#[test]
fn both_hooks_of_a_stage_have_to_be_through() {
    let both = vec![pause(&[HookStage::PostScaleUp]), function(&[HookStage::PostScaleUp])];
    let mut story = Story::deployed_with_answers(with_hooks(DeploymentStrategy::BlueGreen, both), Router::LoadBalancer);
    story.go_on();
    story.world.continue_deployment(HookAction::Continue);
    story.go_on();
    assert_eq!(story.stage(), Some(LifecycleStage::PostScaleUp));
    story.answer(HookAnswer::Succeeded);
    story.go_on();
    assert_eq!(story.primary().rollout_state, RolloutState::Completed);
    assert_eq!(story.running(2), 3);
}

#[test]
fn a_function_is_told_where_the_deployment_is() {
    let hook =
        LifecycleHook { details: Some(r#"{"limit":3}"#.into()), ..function(&[HookStage::ProductionTrafficShift]) };
    let configuration = with_hooks(canary(5.0, 10), vec![hook]);
    let mut story = Story::deployed_with_answers(configuration, Router::LoadBalancer);
    let mut service = story.service();
    for (deployment, revision) in service.deployments.iter_mut().zip(["22", "11"]) {
        (deployment.service_revision, deployment.service_deployment) = (revision.into(), "abc".into());
    }
    story.world.put(&service);
    story.until_stage(LifecycleStage::ProductionTrafficShift);
    story.go_on();
    let calls = hooks::calls(&story.service(), story.world.now);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(call.execution_id, run(&story).id);
    assert_eq!(call.lifecycle_stage, HookStage::ProductionTrafficShift);
    assert_eq!(call.details.as_deref(), Some(r#"{"limit":3}"#));
    assert!(call.service_deployment_arn.to_string().ends_with("service-deployment/default/web/abc"));
    assert!(call.target_service_revision_arn.to_string().ends_with("service-revision/default/web/22"));
    let weights: Vec<(String, f64)> =
        call.production_weights.iter().map(|(arn, weight)| (arn.to_string(), weight.percent())).collect();
    assert_eq!(weights.iter().map(|(_, weight)| *weight).collect::<Vec<_>>(), [5.0, 95.0]);
    assert!(call.test_weights.iter().any(|(_, weight)| *weight == Weight::ALL));
}

#[test]
fn a_function_is_called_again_until_it_says_how_it_ends() {
    let hooks = vec![function(&[HookStage::PostScaleUp])];
    let mut story =
        Story::deployed_with_answers(with_hooks(DeploymentStrategy::BlueGreen, hooks), Router::LoadBalancer);
    story.go_on();
    let due = |story: &Story| hooks::calls(&story.service(), story.world.now).len();
    assert_eq!(due(&story), 1);
    let details = Some(r#"{"try":2}"#.to_owned());
    story.answer(HookAnswer::InProgress { call_back_delay: None, details: details.clone() });
    assert_eq!((due(&story), run(&story).call_at), (0, Some(story.world.now + hooks::CALL_BACK_DELAY_DEFAULT)));
    story.world.wait(hooks::CALL_BACK_DELAY_DEFAULT);
    assert_eq!(due(&story), 1);
    let call_back_delay = Some(Duration::from_secs(60));
    story.answer(HookAnswer::InProgress { call_back_delay, details: None });
    assert_eq!((run(&story).call_at, run(&story).details), (Some(story.world.now + Duration::from_secs(60)), details));
    story.answer(HookAnswer::Failed);
    story.answer(HookAnswer::Succeeded);
    story.go_on();
    let primary = story.primary();
    assert_eq!(primary.lifecycle.as_ref().unwrap().runs[0].status, HookStatus::Failed, "the first word counts");
    assert!(primary.is_rollback());
    assert_eq!((story.running(1), story.running(2)), (3, 0));
}

#[test]
fn a_long_shift_does_not_remember_every_answer() {
    let both = [HookStage::PreProductionTrafficShift, HookStage::ProductionTrafficShift];
    let hooks = vec![function(&both), function(&both)];
    let mut story = Story::deployed_with_answers(with_hooks(linear(3.0, 0), hooks), Router::LoadBalancer);
    let mut asked = 0;
    while story.go_on().is_paused() {
        asked += hooks::calls(&story.service(), story.world.now).len();
        story.answer(HookAnswer::Succeeded);
    }
    // 34 steps, two hooks before and two at each of them.
    assert_eq!((asked, story.primary().rollout_state), (34 * 4, RolloutState::Completed));
    assert_eq!(story.primary().lifecycle.unwrap().runs.len(), hooks::RUNS_MAX);
}

/// Nothing but the record says where it was.
#[test]
fn the_hooks_of_a_deployment_are_those_of_its_beginning() {
    let mut story = paused_at(HookStage::PreScaleUp);
    let mut service = story.service();
    service.deployment_configuration = configuration(DeploymentStrategy::Rolling);
    story.world.put(&service);
    story.go_on();
    assert!(story.is_paused());
    assert_eq!(story.running(2), 0);
    story.world.continue_deployment(HookAction::Continue);
    story.until_stage(LifecycleStage::BakeTime);
    assert_eq!((story.running(1), story.running(2)), (3, 3));
}

#[test]
fn the_first_deployment_that_is_refused_has_nothing_to_go_back_to() {
    let hooks = vec![pause(&[HookStage::PostScaleUp])];
    let mut story = Story::new(with_hooks(DeploymentStrategy::BlueGreen, hooks), Router::Nobody);
    story.begin(1).go_on();
    story.world.continue_deployment(HookAction::Rollback);
    story.go_on();
    let primary = story.primary();
    assert_eq!(primary.rollout_state, RolloutState::Failed);
    assert_eq!(story.running(1), 3, "they serve, and are kept");
    // What serves is replaced all the same.
    let victim = story.world.live()[0].id.clone();
    story.world.exits(&victim);
    story.go_on();
    assert_eq!(story.running(1), 3);
}
