//! Deployment strategies and lifecycle hooks at the API: what is refused, what is shown, and who answers a pause.

mod world;

use std::time::Duration;

use api_ecs::*;
use world::{World, refused, text, texts};

fn pause(stages: &[&str]) -> DeploymentLifecycleHook {
    DeploymentLifecycleHook { target_type: text("PAUSE"), lifecycle_stages: texts(stages), ..Default::default() }
}

fn blue_green(hooks: Vec<DeploymentLifecycleHook>) -> DeploymentConfiguration {
    DeploymentConfiguration {
        strategy: text("BLUE_GREEN"),
        bake_time_in_minutes: Some(5),
        lifecycle_hooks: Some(hooks),
        ..Default::default()
    }
}

async fn create(world: &World, configuration: DeploymentConfiguration) -> Result<Service, Error> {
    create_with(world, configuration, |_| {}).await
}

async fn create_with(
    world: &World,
    configuration: DeploymentConfiguration,
    change: impl FnOnce(&mut CreateServiceRequest),
) -> Result<Service, Error> {
    let mut input = CreateServiceRequest {
        service_name: text("s"),
        task_definition: text("web"),
        desired_count: Some(2),
        deployment_configuration: Some(configuration),
        ..Default::default()
    };
    change(&mut input);
    Ok(world.ecs.create_service(&world.caller, input).await?.service.unwrap())
}

async fn update(world: &World, change: impl FnOnce(&mut UpdateServiceRequest)) -> Result<Service, Error> {
    let mut input = UpdateServiceRequest { service: text("s"), ..Default::default() };
    change(&mut input);
    Ok(world.ecs.update_service(&world.caller, input).await?.service.unwrap())
}

async fn newest(world: &World) -> ServiceDeployment {
    let input = ListServiceDeploymentsRequest { service: text("s"), ..Default::default() };
    let listed = world.ecs.list_service_deployments(&world.caller, input).await.unwrap().service_deployments.unwrap();
    let arns = Some(vec![listed[0].service_deployment_arn.clone().unwrap()]);
    let input = DescribeServiceDeploymentsRequest { service_deployment_arns: arns };
    world.ecs.describe_service_deployments(&world.caller, input).await.unwrap().service_deployments.unwrap().remove(0)
}

async fn proceed(world: &World, arn: &str, hook: &str, action: Option<&str>) -> Result<(), Error> {
    let input = ContinueServiceDeploymentRequest {
        service_deployment_arn: text(arn),
        hook_id: text(hook),
        action: action.map(str::to_owned),
    };
    world.ecs.continue_service_deployment(&world.caller, input).await.map(drop)
}

/// Tasks do as they are told, until nothing more happens at this time.
async fn settle(world: &World) {
    for _ in 0..12 {
        world.reconcile("s");
        let tasks: Vec<_> = world.snapshot().tasks.iter().filter(|task| task.is_live()).cloned().collect();
        for task in tasks {
            let status = match (task.desired_status, task.last_status) {
                (model::TaskStatus::Stopped, _) => "STOPPED",
                (_, model::TaskStatus::Pending) => "RUNNING",
                _ => continue,
            };
            world.report(&task.arn().to_string(), status, |_| {}).await;
        }
        world.wait(Duration::from_secs(10));
    }
}

#[tokio::test]
async fn from_a_pause_to_the_clean_up() {
    let (world, _) = World::ready().await;
    let made = create(&world, blue_green(vec![pause(&["POST_SCALE_UP"])])).await.unwrap();
    let configuration = made.deployment_configuration.unwrap();
    assert_eq!((configuration.strategy, configuration.bake_time_in_minutes), (text("BLUE_GREEN"), Some(5)));
    let hook = &configuration.lifecycle_hooks.unwrap()[0];
    let timeout = hook.timeout_configuration.as_ref().unwrap();
    assert_eq!((timeout.timeout_in_minutes, timeout.action.as_deref()), (Some(1440), Some("ROLLBACK")));
    settle(&world).await;
    let first = newest(&world).await;
    let arn = first.service_deployment_arn.unwrap();
    let hook = &first.lifecycle_hook_details.unwrap()[0];
    assert_eq!((hook.status.as_deref(), hook.target_type.as_deref()), (Some("AWAITING_ACTION"), Some("PAUSE")));
    let id = hook.hook_id.clone().unwrap();
    let refusal = "The service deployment has no lifecycle hook ecs-pause-0 that awaits an action.";
    refused(proceed(&world, &arn, "ecs-pause-0", None).await, "InvalidParameterException", refusal);
    refused(proceed(&world, &arn, &id, Some("WAIT")).await, "InvalidParameterException", "Invalid action: WAIT.");
    let missing = arn.replace("/s/", "/none/");
    refused(
        proceed(&world, &missing, &id, None).await,
        "ServiceDeploymentNotFoundException",
        "Service deployment not found.",
    );
    proceed(&world, &arn, &id, None).await.unwrap();
    let again = format!("The service deployment has no lifecycle hook {id} that awaits an action.");
    refused(proceed(&world, &arn, &id, None).await, "InvalidParameterException", &again);
    settle(&world).await;
    let first = newest(&world).await;
    assert_eq!((first.status, first.lifecycle_stage), (text("SUCCESSFUL"), text("CLEAN_UP")));
    assert_eq!(first.lifecycle_hook_details.unwrap()[0].status, text("SUCCEEDED"));

    world.define("web").await;
    update(&world, |input| input.task_definition = text("web")).await.unwrap();
    assert_eq!(newest(&world).await.lifecycle_stage, text("PRE_SCALE_UP"));
    settle(&world).await;
    let second = newest(&world).await;
    assert_eq!((second.status, second.lifecycle_stage), (text("IN_PROGRESS"), text("POST_SCALE_UP")));
    let target = second.target_service_revision.unwrap();
    assert_eq!((target.requested_task_count, target.running_task_count), (Some(2), Some(2)));
    assert_eq!(target.requested_production_traffic_weight, Some(0.0));
    let source = &second.source_service_revisions.unwrap()[0];
    assert_eq!((source.requested_task_count, source.requested_production_traffic_weight), (Some(2), Some(100.0)));
    let id = second.lifecycle_hook_details.unwrap()[0].hook_id.clone().unwrap();
    proceed(&world, &second.service_deployment_arn.unwrap(), &id, Some("CONTINUE")).await.unwrap();
    settle(&world).await;
    let second = newest(&world).await;
    assert_eq!(second.lifecycle_stage, text("BAKE_TIME"));
    let weights = |revision: Option<ServiceRevisionSummary>| {
        let revision = revision.unwrap();
        (revision.requested_production_traffic_weight, revision.requested_test_traffic_weight)
    };
    assert_eq!(weights(second.target_service_revision), (Some(100.0), Some(100.0)));
    world.wait(Duration::from_secs(300));
    settle(&world).await;
    assert_eq!(newest(&world).await.status, text("SUCCESSFUL"));
    let live =
        world.snapshot().tasks.iter().filter(|task| task.is_live()).map(|task| task.revision).collect::<Vec<_>>();
    assert_eq!(live, [2, 2]);
}

#[tokio::test]
async fn a_rollback_is_recorded_with_its_reason() {
    let (world, _) = World::ready().await;
    create(&world, blue_green(Vec::new())).await.unwrap();
    settle(&world).await;
    world.define("web").await;
    let hook = pause(&["POST_TEST_TRAFFIC_SHIFT"]);
    update(&world, |input| {
        input.task_definition = text("web");
        input.deployment_configuration =
            Some(DeploymentConfiguration { lifecycle_hooks: Some(vec![hook]), ..Default::default() });
    })
    .await
    .unwrap();
    settle(&world).await;
    let paused = newest(&world).await;
    assert_eq!(paused.lifecycle_stage, text("POST_TEST_TRAFFIC_SHIFT"));
    let id = paused.lifecycle_hook_details.unwrap()[0].hook_id.clone().unwrap();
    proceed(&world, &paused.service_deployment_arn.unwrap(), &id, Some("ROLLBACK")).await.unwrap();
    settle(&world).await;
    let back = newest(&world).await;
    assert_eq!(back.status, text("ROLLBACK_SUCCESSFUL"));
    assert!(back.rollback.unwrap().reason.unwrap().starts_with("ECS deployment lifecycle hook: rolling back to"));
    assert_eq!(back.lifecycle_hook_details.unwrap()[0].status, text("FAILED"));
    assert_eq!(back.target_service_revision.unwrap().requested_production_traffic_weight, Some(0.0));
    assert_eq!(back.source_service_revisions.unwrap()[0].requested_production_traffic_weight, Some(100.0));
}

#[tokio::test]
async fn what_a_strategy_cannot_have() {
    let (world, _) = World::ready().await;
    let check = async |configuration: DeploymentConfiguration, code: &str, message: &str| {
        refused(create(&world, configuration).await, code, message);
    };
    let invalid = "InvalidParameterException";
    let of = |strategy: &str| DeploymentConfiguration { strategy: text(strategy), ..Default::default() };
    check(of("SHADOW"), invalid, "Invalid deployment strategy: SHADOW.").await;
    check(of("BLUE_GREEN"), invalid, "bakeTimeInMinutes must be specified with the BLUE_GREEN deployment strategy.")
        .await;
    for minutes in [-1, 1441] {
        let configuration = DeploymentConfiguration { bake_time_in_minutes: Some(minutes), ..of("BLUE_GREEN") };
        check(configuration, invalid, "bakeTimeInMinutes must be between 0 and 1440.").await;
    }
    let configuration = DeploymentConfiguration { bake_time_in_minutes: Some(5), ..of("ROLLING") };
    check(configuration, invalid, "bakeTimeInMinutes cannot be specified with the ROLLING deployment strategy.").await;
    let unsupported = "UnsupportedFeatureException";
    for strategy in ["LINEAR", "CANARY"] {
        let message = format!(
            "The deployment strategy {strategy} needs a load balancer or Service Connect. It is not supported by this \
             version of Berth."
        );
        check(of(strategy), unsupported, &message).await;
    }
    let linear = |percent, minutes| DeploymentConfiguration {
        linear_configuration: Some(LinearConfiguration { step_percent: percent, step_bake_time_in_minutes: minutes }),
        ..of("LINEAR")
    };
    for percent in [2.9, 100.1, 10.05, f64::NAN] {
        check(linear(Some(percent), None), invalid, "stepPercent must be a multiple of 0.1 between 3.0 and 100.0.")
            .await;
    }
    check(linear(None, Some(1441)), invalid, "stepBakeTimeInMinutes must be between 0 and 1440.").await;
    let misplaced = DeploymentConfiguration { strategy: text("BLUE_GREEN"), ..linear(None, None) };
    check(misplaced, invalid, "linearConfiguration can only be specified with the LINEAR deployment strategy.").await;
    let canary = DeploymentConfiguration {
        canary_configuration: Some(CanaryConfiguration {
            canary_percent: Some(0.0),
            canary_bake_time_in_minutes: None,
        }),
        ..of("CANARY")
    };
    check(canary, invalid, "canaryPercent must be a multiple of 0.1 between 0.1 and 100.0.").await;

    let of_kind = create_with(&world, blue_green(Vec::new()), |input| {
        input.scheduling_strategy = text("DAEMON");
        input.desired_count = None;
    });
    let message = "The daemon scheduling strategy does not support the deployment strategy BLUE_GREEN.";
    refused(of_kind.await, invalid, message);
    let of_kind = create_with(&world, blue_green(Vec::new()), |input| {
        input.deployment_controller = Some(DeploymentController { r#type: text("EXTERNAL") });
        input.task_definition = None;
    });
    let message = "The EXTERNAL deployment controller does not support the deployment strategy BLUE_GREEN.";
    refused(of_kind.await, invalid, message);
}

#[tokio::test]
async fn what_a_hook_cannot_be() {
    let (world, _) = World::ready().await;
    let check = async |hook: DeploymentLifecycleHook, code: &str, message: &str| {
        refused(create(&world, blue_green(vec![hook])).await, code, message);
    };
    let invalid = "InvalidParameterException";
    check(pause(&[]), invalid, "lifecycleStages must be specified for a lifecycle hook.").await;
    check(pause(&["BAKE_TIME"]), invalid, "Invalid lifecycle stage: BAKE_TIME.").await;
    let message = "Lifecycle hooks of the type PAUSE are not supported at PRODUCTION_TRAFFIC_SHIFT.";
    check(pause(&["PRE_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT"]), invalid, message).await;
    let with_target = DeploymentLifecycleHook { hook_target_arn: text("arn"), ..pause(&["PRE_SCALE_UP"]) };
    let message = "hookTargetArn cannot be specified for a lifecycle hook of the type PAUSE.";
    check(with_target, invalid, message).await;
    for minutes in [0, 20161] {
        let timeout = DeploymentLifecycleHookTimeoutConfiguration { timeout_in_minutes: Some(minutes), action: None };
        let hook = DeploymentLifecycleHook { timeout_configuration: Some(timeout), ..pause(&["PRE_SCALE_UP"]) };
        let answer = create(&world, blue_green(vec![hook])).await.unwrap_err();
        assert!(answer.to_string().contains("timeoutInMinutes"), "{answer}");
    }
    let function = |arn: Option<&str>| DeploymentLifecycleHook {
        target_type: None,
        hook_target_arn: arn.map(str::to_owned),
        role_arn: text("arn:aws:iam::123456789012:role/hooks"),
        ..pause(&["PRE_SCALE_UP"])
    };
    let message = "hookTargetArn must be specified for a lifecycle hook of the type AWS_LAMBDA.";
    check(function(None), invalid, message).await;
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:check";
    let message = "A lifecycle hook of the type AWS_LAMBDA is not supported by this version of Berth.";
    check(function(Some(arn)), "UnsupportedFeatureException", message).await;
    let rolling =
        DeploymentConfiguration { lifecycle_hooks: Some(vec![pause(&["PRE_SCALE_UP"])]), ..Default::default() };
    let message = "Lifecycle hooks are not supported by the ROLLING deployment strategy.";
    refused(create(&world, rolling).await, invalid, message);
    let many = blue_green(vec![pause(&["PRE_SCALE_UP"]); 11]);
    refused(create(&world, many).await, invalid, "A service can have at most 10 lifecycle hooks.");
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let (world, _) = World::ready().await;
    create(&world, blue_green(vec![pause(&["PRE_SCALE_UP"])])).await.unwrap();
    let configuration = |changed: DeploymentConfiguration| async {
        update(&world, |input| input.deployment_configuration = Some(changed)).await.unwrap().deployment_configuration
    };
    let kept = DeploymentConfiguration { bake_time_in_minutes: Some(0), ..Default::default() };
    let shown = configuration(kept).await.unwrap();
    assert_eq!((shown.strategy, shown.bake_time_in_minutes), (text("BLUE_GREEN"), Some(0)));
    assert_eq!(shown.lifecycle_hooks.unwrap().len(), 1);
    let cleared = DeploymentConfiguration { lifecycle_hooks: Some(Vec::new()), ..Default::default() };
    assert_eq!(configuration(cleared).await.unwrap().lifecycle_hooks, None);
    let rolling = DeploymentConfiguration { strategy: text("ROLLING"), ..Default::default() };
    let shown = configuration(rolling).await.unwrap();
    assert_eq!((shown.strategy, shown.bake_time_in_minutes), (text("ROLLING"), Some(0)));
}
