//! From every stage back to the one that served before.

use expect_test::expect;
use model::lifecycle::{DeploymentStrategy, HookAction, HookStage, LifecycleStage, Router};
use model::service::{CircuitBreaker, DeploymentConfiguration, StopType};
use model::{Deployment, LifecycleHook, RolloutState, Weight};

use crate::story::{DESIRED, Story, canary, configuration, linear, pause};

/// A hook at every stage that can have one holds a deployment there.
fn held(strategy: DeploymentStrategy, router: Router) -> Story {
    let stages: Vec<HookStage> = HookStage::ALL.into_iter().filter(|stage| stage.can_pause()).collect();
    let lifecycle_hooks: Vec<LifecycleHook> = vec![pause(&stages)];
    Story::deployed(DeploymentConfiguration { lifecycle_hooks, ..configuration(strategy) }, router)
}

fn reach(story: &mut Story, stage: LifecycleStage) -> bool {
    for _ in 0..100 {
        if story.stage() == Some(stage) {
            return true;
        }
        if story.is_paused() {
            story.world.continue_deployment(HookAction::Continue);
        }
        if !story.step() && !story.is_paused() {
            return story.stage() == Some(stage);
        }
    }
    false
}

/// Blue has all its tasks and all the traffic all the way, or gets it back first.
fn goes_back(mut story: Story, from: LifecycleStage, how: StopType) {
    let blue: Vec<String> = story.world.live().iter().filter(|t| t.revision == 1).map(|t| t.id.clone()).collect();
    story.world.stop_deployment(how);
    let failed = story.primary().id;
    story.until(|story| {
        let is_gone = story.primary().id != failed;
        let back = story.lifecycle().filter(|_| is_gone);
        if let Some(back) = back {
            let green = story.service().deployments.iter().find(|one| one.id == failed).cloned();
            let stopping = |task: &&std::sync::Arc<model::Task>| {
                green.as_ref().is_some_and(|green: &Deployment| green.has(task))
                    && task.desired_status == model::TaskStatus::Stopped
            };
            let is_back = back.production.applied == Some(Weight::ALL);
            assert!(
                is_back || !story.world.live().iter().any(|task| stopping(&task)),
                "{from:?}: green ends too early"
            );
        }
        false
    });
    let primary = story.primary();
    assert!(primary.is_rollback(), "{from:?}");
    assert_eq!(primary.rollout_state, RolloutState::Completed, "{from:?}");
    assert_eq!((story.running(1), story.running(2)), (DESIRED as usize, 0), "{from:?}");
    let kept = story.world.live().iter().filter(|task| blue.contains(&task.id)).count();
    assert_eq!(kept, DESIRED as usize, "{from:?}: nobody touched blue");
    assert!(!primary.lifecycle.unwrap().runs.iter().any(|run| run.is_open()));
    // And forward again.
    story.begin(3);
    assert!(reach(&mut story, LifecycleStage::CleanUp), "{from:?}");
    story.go_on();
    assert_eq!((story.running(1), story.running(3)), (0, DESIRED as usize), "{from:?}");
}

#[test]
fn from_every_stage() {
    let strategies = [DeploymentStrategy::BlueGreen, linear(50.0, 6), canary(10.0, 5)];
    let before_clean_up = LifecycleStage::ALL
        .into_iter()
        .filter(|stage| (LifecycleStage::PreScaleUp..LifecycleStage::CleanUp).contains(stage));
    for stage in before_clean_up {
        for strategy in strategies {
            for router in [Router::LoadBalancer, Router::Nobody] {
                let mut story = held(strategy, router);
                // Without anybody who routes, and with nobody asked, a shift is over before it is seen.
                if reach(&mut story, stage) {
                    goes_back(story, stage, StopType::Rollback);
                } else {
                    assert_eq!((router, stage), (Router::Nobody, LifecycleStage::TestTrafficShift));
                }
            }
        }
    }
}

#[test]
fn a_deployment_that_is_aborted_goes_back_too() {
    let mut story = held(DeploymentStrategy::BlueGreen, Router::LoadBalancer);
    assert!(reach(&mut story, LifecycleStage::BakeTime));
    goes_back(story, LifecycleStage::BakeTime, StopType::Abort);
}

#[test]
fn out_of_the_bake() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::BakeTime);
    story.text.clear();
    story.world.stop_deployment(StopType::Rollback);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, ECS deployment stopped by a user: rolling back to deploymentId ecs-svc/2.
        PRODUCTION_TRAFFIC_SHIFT, production 100, test 100
        CLEAN_UP, stop 3 of 2
        completed"#]]);
}

#[test]
fn out_of_a_linear_shift() {
    let mut story = Story::deployed(configuration(linear(25.0, 6)), Router::LoadBalancer);
    story.until(|story| story.lifecycle().is_some_and(|one| one.production.desired.percent() == 50.0));
    story.text.clear();
    story.world.stop_deployment(StopType::Rollback);
    story.go_on().check(expect![[r#"
        SCALE_UP, test 0, ECS deployment stopped by a user: rolling back to deploymentId ecs-svc/2.
        PRODUCTION_TRAFFIC_SHIFT, production 100, test 100
        CLEAN_UP, stop 3 of 2
        completed"#]]);
}

/// Most of blue has left already, and comes again.
#[test]
fn out_of_the_clean_up() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::CleanUp);
    story.text.clear();
    story.world.stop_deployment(StopType::Rollback);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, ECS deployment stopped by a user: rolling back to deploymentId ecs-svc/2.
        start 3 of 1
        PRODUCTION_TRAFFIC_SHIFT, production 100, test 100
        CLEAN_UP, stop 3 of 2
        completed"#]]);
    assert_eq!((story.running(1), story.running(2)), (3, 0));
}

#[test]
fn by_the_circuit_breaker() {
    let mut story = Story::deployed(
        DeploymentConfiguration {
            circuit_breaker: Some(CircuitBreaker::new(true, true)),
            ..configuration(DeploymentStrategy::BlueGreen)
        },
        Router::LoadBalancer,
    );
    story.broken = Some(2);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        production 100, test 100, ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/2.
        completed"#]]);
    assert_eq!((story.running(1), story.running(2)), (3, 0));
}

#[test]
fn without_rollback_both_colours_stay_until_the_next_one() {
    let mut story = Story::deployed(
        DeploymentConfiguration {
            circuit_breaker: Some(CircuitBreaker::new(true, false)),
            ..configuration(DeploymentStrategy::BlueGreen)
        },
        Router::LoadBalancer,
    );
    story.broken = Some(2);
    story.go_on();
    assert_eq!(story.primary().rollout_state, RolloutState::Failed);
    assert_eq!(story.running(1), 3);
    let victim = story.world.live()[0].id.clone();
    story.world.exits(&victim);
    story.go_on();
    assert_eq!(story.running(1), 3, "blue serves, and is kept whole");
    story.begin(3).go_on();
    assert_eq!((story.running(1), story.running(3)), (0, 3));
}

#[test]
fn a_deployment_during_the_way_back_begins_where_that_leads() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::BakeTime);
    story.world.stop_deployment(StopType::Rollback);
    story.until(|story| story.primary().is_rollback());
    story.begin(3).go_on().check(expect![[r#"
        RECONCILE_SERVICE, production 0, test 0, stop 3 of 2
        SCALE_UP, start 3 of 3
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
    assert_eq!((story.running(1), story.running(2), story.running(3)), (0, 0, 3));
}
