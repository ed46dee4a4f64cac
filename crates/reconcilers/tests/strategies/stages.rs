//! The three strategies from their beginning to their end.

use expect_test::expect;
use model::RolloutState;
use model::lifecycle::{DeploymentStrategy, LifecycleStage, Router};

use crate::story::{DESIRED, Story, canary, configuration, linear};

#[test]
fn blue_green() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
    assert_eq!((story.running(1), story.running(2)), (0, DESIRED as usize));
}

#[test]
fn blue_green_without_anybody_who_routes_traffic() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::Nobody);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        BAKE_TIME, production 100, test 100
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

#[test]
fn the_first_deployment_has_all_the_traffic_and_nothing_to_bake_beside() {
    let mut story = Story::new(configuration(DeploymentStrategy::BlueGreen), Router::Nobody);
    story.begin(1).go_on().check(expect![[r#"
        SCALE_UP, production 100, test 0, start 3 of 1
        completed"#]]);
}

#[test]
fn linear_in_steps_of_a_quarter() {
    let mut story = Story::deployed(configuration(linear(25.0, 6)), Router::LoadBalancer);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 25
        wait 6 minutes
        production 50
        wait 6 minutes
        production 75
        wait 6 minutes
        production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

#[test]
fn the_last_linear_step_is_what_is_left() {
    let mut story = Story::deployed(configuration(linear(30.5, 0)), Router::LoadBalancer);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 30.5
        production 61
        production 91.5
        production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

#[test]
fn canary_of_a_twentieth() {
    let mut story = Story::deployed(configuration(canary(5.0, 10)), Router::LoadBalancer);
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 5
        wait 10 minutes
        production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

#[test]
fn nothing_goes_on_before_the_traffic_has_gone_over() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    // With one revision there is nothing to shift back.
    story.shifts = false;
    story.go_on();
    assert_eq!(story.stage(), Some(LifecycleStage::TestTrafficShift));
    story.world.shift_traffic();
    story.go_on();
    assert_eq!(story.stage(), Some(LifecycleStage::ProductionTrafficShift));
    assert_eq!((story.running(1), story.running(2)), (3, 3));
}

#[test]
fn the_desired_count_is_that_of_both_colours() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::BakeTime);
    story.text.clear();
    story.world.scale(5);
    story.go_on().check(expect![[r#"
        start 2 of 1
        start 2 of 2
        CLEAN_UP, stop 5 of 1
        completed"#]]);
    story.begin(3).until_stage(LifecycleStage::ScaleUp);
    story.text.clear();
    story.world.scale(2);
    story.go_on().check(expect![[r#"
        TEST_TRAFFIC_SHIFT, test 100, stop 3 of 2, stop 3 of 3
        PRODUCTION_TRAFFIC_SHIFT, production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 2 of 2
        completed"#]]);
}

#[test]
fn what_dies_is_replaced_in_both_colours() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::BakeTime);
    story.text.clear();
    for revision in [1, 2] {
        let victim = story.world.live().iter().find(|task| task.revision == revision).unwrap().id.clone();
        story.world.exits(&victim);
    }
    story.go_on().check(expect![[r#"
        start 1 of 1
        start 1 of 2
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

/// The cluster has room for one colour only.
#[test]
fn green_waits_for_room() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    let mut b = story.world.instance("b").unwrap();
    b.status = model::ContainerInstanceStatus::Draining;
    story.world.put(&b);
    let mut a = story.world.instance("a").unwrap();
    a.registered.memory = model::MemoryMib(128 * 4);
    story.world.put(&a);
    story.go_on();
    assert_eq!(story.stage(), Some(LifecycleStage::ScaleUp));
    assert_eq!((story.running(1), story.running(2)), (3, 1));
    assert!(story.service().events.iter().any(|event| event.message.contains("was unable to place a task")));
    story.text.clear();
    a.registered.memory = model::MemoryMib(128 * 6);
    story.world.put(&a);
    story.go_on();
    assert_eq!((story.running(1), story.running(2)), (0, 3));
}

#[test]
fn a_second_deployment_begins_with_one_revision_that_serves() {
    let mut story = Story::deployed(configuration(linear(25.0, 6)), Router::LoadBalancer);
    story.until_stage(LifecycleStage::ProductionTrafficShift);
    story.begin(3).go_on().check(expect![[r#"
        RECONCILE_SERVICE, production 0, test 0, stop 3 of 2
        SCALE_UP, start 3 of 3
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 25
        wait 6 minutes
        production 50
        wait 6 minutes
        production 75
        wait 6 minutes
        production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::Nobody);
    story.until_stage(LifecycleStage::BakeTime);
    story.begin(3).go_on().check(expect![[r#"
        RECONCILE_SERVICE, production 0, test 0, stop 3 of 2
        SCALE_UP, start 3 of 3
        BAKE_TIME, production 100, test 100
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

/// What serves is broken by now, and so is what was to follow it. The next one is not held up by either.
#[test]
fn what_is_to_mend_a_broken_service_is_not_held_up_by_it() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::BakeTime);
    story.broken = Some(1);
    for task in story.world.live().iter().filter(|task| task.revision == 1) {
        story.world.exits(&task.id);
    }
    story.begin(3).until_stage(LifecycleStage::ScaleUp);
    story.go_on();
    assert_eq!((story.running(1), story.running(2), story.running(3)), (0, 0, 3));
    assert_eq!(story.primary().rollout_state, RolloutState::Completed);
}

/// Nothing has ever completed: what serves stays as it is until the new one stands.
#[test]
fn a_second_deployment_before_the_first_stands() {
    let mut story = Story::new(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.broken = Some(1);
    story.begin(1).until_stage(LifecycleStage::ScaleUp);
    for _ in 0..5 {
        story.step();
    }
    story.begin(2).go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, start 3 of 2
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 100
        BAKE_TIME
        wait 5 minutes
        completed"#]]);
}

#[test]
fn a_rolling_deployment_on_its_way_is_brought_back_first() {
    let mut story = Story::new(model::service::DeploymentConfiguration::default(), Router::LoadBalancer);
    story.begin(1).go_on();
    story.begin(2);
    story.step();
    let mut service = story.service();
    service.deployment_configuration = configuration(DeploymentStrategy::BlueGreen);
    story.world.put(&service);
    story.begin(3).go_on().check(expect![[r#"
        RECONCILE_SERVICE, production 0, test 0, stop 3 of 2
        SCALE_UP, start 3 of 3
        TEST_TRAFFIC_SHIFT, test 100
        PRODUCTION_TRAFFIC_SHIFT, production 100
        BAKE_TIME
        wait 5 minutes
        CLEAN_UP, stop 3 of 1
        completed"#]]);
}

#[test]
fn a_deleted_service_ends_in_the_middle() {
    let mut story = Story::deployed(configuration(DeploymentStrategy::BlueGreen), Router::LoadBalancer);
    story.until_stage(LifecycleStage::TestTrafficShift);
    story.world.delete_service();
    story.go_on();
    assert!(story.world.live().is_empty());
    assert_eq!(story.service().status, model::ServiceStatus::Inactive);
}
