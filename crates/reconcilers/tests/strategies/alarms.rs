//! Alarms are looked at where the circuit breaker is.

use expect_test::expect;
use model::RolloutState;
use model::lifecycle::{DeploymentStrategy, LifecycleStage, Router};
use model::service::DeploymentConfiguration;
use reconcilers::alarms::AlarmState;

use crate::story::{Story, configuration, with_alarms};

fn on(story: &mut Story, name: &str) {
    story.world.alarms.insert(name.into(), AlarmState::Alarm);
}

#[test]
fn an_alarm_during_the_bake_goes_back() {
    let configuration = with_alarms(configuration(DeploymentStrategy::BlueGreen), true);
    let mut story = Story::deployed(configuration, Router::LoadBalancer);
    story.world.alarms.insert("latency".into(), AlarmState::InsufficientData);
    story.until_stage(LifecycleStage::BakeTime);
    story.text.clear();
    on(&mut story, "errors");
    on(&mut story, "of somebody else");
    story.go_on().check(expect![[r#"
        SCALE_UP, production 0, test 0, ECS deployment alarms: rolling back to deploymentId ecs-svc/2.
        PRODUCTION_TRAFFIC_SHIFT, production 100, test 100
        CLEAN_UP, stop 3 of 2
        completed"#]]);
    assert_eq!(story.primary().triggered_alarms, ["errors"]);
    let said = story.service().events;
    assert!(said.iter().any(|event| event.message.ends_with("deployment failed: alarm detected.")));
}

#[test]
fn an_alarm_ends_a_rolling_deployment_as_well() {
    let mut story = Story::new(with_alarms(DeploymentConfiguration::default(), true), Router::Nobody);
    story.begin(1).go_on();
    story.begin(2).step();
    assert_eq!(story.primary().alarms_watched, Some(true));
    on(&mut story, "latency");
    story.go_on();
    assert!(story.primary().is_rollback());
    assert_eq!(story.primary().triggered_alarms, ["latency"]);
    assert_eq!((story.running(1), story.running(2)), (3, 0));
}

#[test]
fn without_rollback_the_deployment_stays_where_it_is() {
    let configuration = with_alarms(configuration(DeploymentStrategy::BlueGreen), false);
    let mut story = Story::deployed(configuration, Router::LoadBalancer);
    story.until_stage(LifecycleStage::BakeTime);
    on(&mut story, "errors");
    story.go_on();
    assert_eq!(story.primary().rollout_state, RolloutState::Failed);
    assert_eq!(story.primary().triggered_alarms, ["errors"]);
    assert_eq!((story.running(1), story.running(2)), (3, 3), "both are there, and one of them serves");
}

/// The deployment may be what mends them.
#[test]
fn an_alarm_that_is_on_at_the_beginning_says_nothing() {
    let configuration = with_alarms(configuration(DeploymentStrategy::BlueGreen), true);
    let mut story = Story::deployed(configuration, Router::LoadBalancer);
    on(&mut story, "errors");
    story.go_on();
    assert_eq!(story.primary().alarms_watched, Some(false));
    assert_eq!(story.running(2), 3);
    let said = story.service().events;
    assert!(said.iter().any(|event| event.message.contains("watches no alarms, for some are on already: errors.")));
}
