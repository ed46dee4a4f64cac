//! A service's history: its deployments and revisions, how they are listed, and how one is stopped.

mod world;

use std::time::Duration;

use api_ecs::*;
use world::{World, refused, text};

async fn list(
    world: &World,
    change: impl FnOnce(&mut ListServiceDeploymentsRequest),
) -> ListServiceDeploymentsResponse {
    let mut input = ListServiceDeploymentsRequest { service: text("s"), ..Default::default() };
    change(&mut input);
    world.ecs.list_service_deployments(&world.caller, input).await.unwrap()
}

async fn describe(world: &World, arn: &str) -> ServiceDeployment {
    let input = DescribeServiceDeploymentsRequest { service_deployment_arns: Some(vec![arn.to_owned()]) };
    let answer = world.ecs.describe_service_deployments(&world.caller, input).await.unwrap();
    assert_eq!(answer.failures, Some(vec![]));
    answer.service_deployments.unwrap().remove(0)
}

async fn newest(world: &World) -> ServiceDeployment {
    let listed = list(world, |_| {}).await.service_deployments.unwrap();
    describe(world, listed[0].service_deployment_arn.as_deref().unwrap()).await
}

async fn stop(world: &World, arn: &str, how: &str) -> Result<StopServiceDeploymentResponse, Error> {
    let input = StopServiceDeploymentRequest { service_deployment_arn: text(arn), stop_type: text(how) };
    world.ecs.stop_service_deployment(&world.caller, input).await
}

async fn update(world: &World, change: impl FnOnce(&mut UpdateServiceRequest)) -> Service {
    let mut input = UpdateServiceRequest { service: text("s"), ..Default::default() };
    change(&mut input);
    world.ecs.update_service(&world.caller, input).await.unwrap().service.unwrap()
}

async fn shown(world: &World) -> Service {
    let input = DescribeServicesRequest { services: Some(vec!["s".into()]), ..Default::default() };
    world.ecs.describe_services(&world.caller, input).await.unwrap().services.unwrap().remove(0)
}

/// Tasks do as they are told, except those of `broken`, which end when they should start.
async fn settle(world: &World, broken: Option<u32>) {
    for _ in 0..20 {
        world.reconcile("s");
        let tasks: Vec<_> = world.snapshot().tasks.iter().filter(|task| task.is_live()).cloned().collect();
        for task in tasks {
            let is_broken = broken == Some(task.revision);
            let status = match (task.desired_status, task.last_status) {
                (model::TaskStatus::Stopped, _) => "STOPPED",
                (_, model::TaskStatus::Pending) if is_broken => "STOPPED",
                (_, model::TaskStatus::Pending) => "RUNNING",
                _ => continue,
            };
            world.report(&task.arn().to_string(), status, |_| {}).await;
        }
        world.wait(Duration::from_secs(20));
    }
}

#[tokio::test]
async fn a_deployment_is_recorded_from_its_beginning_to_its_end() {
    let (world, _) = World::ready().await;
    world.service("s", 2).await.unwrap();
    let first = newest(&world).await;
    assert_eq!((first.status.clone(), first.started_at), (text("PENDING"), None));
    let arn = first.service_deployment_arn.clone().unwrap();
    assert!(arn.starts_with("arn:aws:ecs:us-east-1:123456789012:service-deployment/default/s/"), "{arn}");
    assert_eq!(shown(&world).await.current_service_deployment, Some(arn.clone()));
    world.reconcile("s");
    let target = describe(&world, &arn).await.target_service_revision.unwrap();
    assert_eq!((target.requested_task_count, target.pending_task_count), (Some(2), Some(2)));
    settle(&world, None).await;
    let through = describe(&world, &arn).await;
    assert_eq!(through.status, text("SUCCESSFUL"));
    assert!(through.finished_at.is_some() && through.stopped_at.is_none());
    assert_eq!(through.target_service_revision.unwrap().running_task_count, Some(2));
    assert_eq!(through.deployment_circuit_breaker.unwrap().status, text("DISABLED"));

    let revision = first.target_service_revision.unwrap().arn.unwrap();
    let input = DescribeServiceRevisionsRequest { service_revision_arns: Some(vec![revision.clone()]) };
    let answer = world.ecs.describe_service_revisions(&world.caller, input).await.unwrap();
    let shown_revision = answer.service_revisions.unwrap().remove(0);
    assert!(shown_revision.task_definition.unwrap().ends_with("task-definition/web:1"));
    assert_eq!(shown_revision.container_images.unwrap()[0].image, text("hello:1"));

    world.define("web").await;
    update(&world, |input| input.task_definition = text("web")).await;
    let second = newest(&world).await;
    let sources = second.source_service_revisions.unwrap();
    assert_eq!((sources[0].arn.clone(), sources[0].running_task_count), (Some(revision), Some(2)));
    // A count is no deployment; a forced one is, and takes the place of what was on its way.
    update(&world, |input| input.desired_count = Some(3)).await;
    assert_eq!(list(&world, |_| {}).await.service_deployments.unwrap().len(), 2);
    world.wait(Duration::from_secs(1));
    update(&world, |input| input.force_new_deployment = Some(true)).await;
    let all = list(&world, |_| {}).await.service_deployments.unwrap();
    let statuses: Vec<_> = all.iter().map(|one| one.status.as_deref().unwrap()).collect();
    assert_eq!(statuses, ["PENDING", "STOPPED", "SUCCESSFUL"]);
    let stopped = list(&world, |input| input.status = Some(vec!["STOPPED".into()])).await;
    assert_eq!(stopped.service_deployments.unwrap(), all[1..2]);
    let old = list(&world, |input| {
        input.created_at = Some(CreatedAt { before: all[1].created_at, after: None });
    });
    assert_eq!(old.await.service_deployments.unwrap(), all[2..]);
    let first = list(&world, |input| input.max_results = Some(2)).await;
    assert_eq!(first.service_deployments.unwrap(), all[..2]);
    let rest = list(&world, |input| {
        input.max_results = Some(2);
        input.next_token = first.next_token;
    });
    let rest = rest.await;
    assert_eq!((rest.service_deployments.unwrap(), rest.next_token), (all[2..].to_vec(), None));
}

#[tokio::test]
async fn the_circuit_breaker_rolls_back_and_says_so() {
    let (world, _) = World::ready().await;
    world.service("s", 2).await.unwrap();
    let breaker = DeploymentCircuitBreaker { enable: Some(true), rollback: Some(true), ..Default::default() };
    update(&world, |input| {
        input.deployment_configuration =
            Some(DeploymentConfiguration { deployment_circuit_breaker: Some(breaker.clone()), ..Default::default() });
    })
    .await;
    settle(&world, None).await;
    let good: Vec<_> = world.snapshot().tasks.iter().map(|task| task.id.clone()).collect();
    world.define("web").await;
    update(&world, |input| input.task_definition = text("web")).await;
    let bad = newest(&world).await;
    assert_eq!(bad.deployment_circuit_breaker.as_ref().unwrap().threshold, Some(3));
    settle(&world, Some(2)).await;
    let end = describe(&world, bad.service_deployment_arn.as_deref().unwrap()).await;
    assert_eq!(end.status, text("ROLLBACK_SUCCESSFUL"));
    let seen = end.deployment_circuit_breaker.unwrap();
    assert_eq!((seen.status, seen.failure_count, seen.threshold), (text("TRIGGERED"), Some(3), Some(3)));
    let rollback = end.rollback.unwrap();
    assert!(
        rollback.reason.unwrap().starts_with("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/")
    );
    assert_eq!(rollback.service_revision_arn, bad.source_service_revisions.unwrap()[0].arn);
    let service = shown(&world).await;
    assert!(service.task_definition.unwrap().ends_with("web:1"));
    let deployments = service.deployments.unwrap();
    assert_eq!((deployments.len(), deployments[0].running_count), (1, Some(2)));
    let live =
        world.snapshot().tasks.iter().filter(|task| task.is_live()).map(|task| task.id.clone()).collect::<Vec<_>>();
    assert_eq!(live, good, "the good tasks were never touched");
}

#[tokio::test]
async fn the_circuit_breakers_threshold_is_the_owners() {
    let (world, _) = World::ready().await;
    world.service("s", 2).await.unwrap();
    settle(&world, None).await;
    let with = |threshold: &str, value: i32| DeploymentConfiguration {
        deployment_circuit_breaker: Some(DeploymentCircuitBreaker {
            enable: Some(true),
            rollback: Some(false),
            reset_on_healthy_task: Some(false),
            threshold_configuration: Some(ThresholdConfiguration { r#type: text(threshold), value: Some(value) }),
        }),
        ..Default::default()
    };
    let call = |configuration| {
        let input = UpdateServiceRequest {
            service: text("s"),
            deployment_configuration: Some(configuration),
            ..Default::default()
        };
        world.ecs.update_service(&world.caller, input)
    };
    let refusal = "The value of thresholdConfiguration must be greater than 0.";
    refused(call(with("COUNT", 0)).await, "InvalidParameterException", refusal);
    for (kind, value, threshold) in [("COUNT", 1, 1), ("UNBOUNDED_PERCENT", 150, 3), ("BOUNDED_PERCENT", 100, 3)] {
        let shown = call(with(kind, value)).await.unwrap().service.unwrap().deployment_configuration.unwrap();
        assert_eq!(shown.deployment_circuit_breaker, with(kind, value).deployment_circuit_breaker);
        world.wait(Duration::from_secs(1));
        update(&world, |input| input.force_new_deployment = Some(true)).await;
        assert_eq!(newest(&world).await.deployment_circuit_breaker.unwrap().threshold, Some(threshold), "{kind}");
    }
}

#[tokio::test]
async fn a_deployment_may_succeed_before_all_its_tasks_are_there() {
    let (world, _) = World::ready().await;
    world.service("s", 3).await.unwrap();
    let criteria = |percent, cleanup: &str| DeploymentEarlySuccessCriteria {
        enable: Some(true),
        healthy_percent: percent,
        source_service_revision_cleanup: text(cleanup),
    };
    let with = |early| DeploymentConfiguration {
        minimum_healthy_percent: Some(50),
        early_success_criteria: Some(early),
        ..Default::default()
    };
    let call = |configuration| {
        let input = UpdateServiceRequest {
            service: text("s"),
            deployment_configuration: Some(configuration),
            ..Default::default()
        };
        world.ecs.update_service(&world.caller, input)
    };
    let missing =
        "healthyPercent and sourceServiceRevisionCleanup must be specified when earlySuccessCriteria is enabled.";
    refused(call(with(criteria(None, "BLOCKING"))).await, "InvalidParameterException", missing);
    let low = "healthyPercent must be greater than or equal to minimumHealthyPercent.";
    refused(call(with(criteria(Some(49), "BLOCKING"))).await, "InvalidParameterException", low);
    let other = "earlySuccessCriteria can only be specified with the ROLLING deployment strategy.";
    let strategy =
        |early| DeploymentConfiguration { strategy: text("BLUE_GREEN"), bake_time_in_minutes: Some(1), ..with(early) };
    refused(call(strategy(criteria(Some(50), "BLOCKING"))).await, "InvalidParameterException", other);
    let rolling = "bakeTimeInMinutes cannot be specified with the ROLLING deployment strategy.";
    let bake = DeploymentConfiguration { bake_time_in_minutes: Some(2), ..Default::default() };
    refused(call(bake.clone()).await, "InvalidParameterException", rolling);

    let given = DeploymentConfiguration { bake_time_in_minutes: Some(2), ..with(criteria(Some(50), "DEFERRED")) };
    let shown = call(given.clone()).await.unwrap().service.unwrap().deployment_configuration.unwrap();
    assert_eq!(shown.early_success_criteria, given.early_success_criteria);
    assert_eq!(shown.bake_time_in_minutes, Some(2));
    let off = DeploymentEarlySuccessCriteria { enable: Some(false), ..criteria(Some(50), "DEFERRED") };
    let shown = call(with(off.clone())).await.unwrap().service.unwrap().deployment_configuration.unwrap();
    assert_eq!((shown.early_success_criteria, shown.bake_time_in_minutes), (Some(off), Some(0)));
}

#[tokio::test]
async fn a_deployment_is_stopped_by_a_user() {
    let (world, _) = World::ready().await;
    world.service("s", 2).await.unwrap();
    let first = newest(&world).await.service_deployment_arn.unwrap();
    let refusal = "The service has no completed deployment to roll back to.";
    refused(stop(&world, &first, "ROLLBACK").await, "InvalidParameterException", refusal);
    settle(&world, None).await;
    let refusal = "The service deployment has ended and cannot be stopped.";
    refused(stop(&world, &first, "ROLLBACK").await, "ConflictException", refusal);

    world.define("web").await;
    update(&world, |input| input.task_definition = text("web")).await;
    world.reconcile("s");
    let second = newest(&world).await.service_deployment_arn.unwrap();
    stop(&world, &second, "ROLLBACK").await.unwrap();
    assert_eq!(describe(&world, &second).await.status, text("ROLLBACK_REQUESTED"));
    stop(&world, &second, "ROLLBACK").await.expect("it continues");
    world.reconcile("s");
    assert_eq!(describe(&world, &second).await.status, text("ROLLBACK_IN_PROGRESS"));
    settle(&world, None).await;
    assert_eq!(describe(&world, &second).await.status, text("ROLLBACK_SUCCESSFUL"));
    assert!(shown(&world).await.task_definition.unwrap().ends_with("web:1"));

    world.wait(Duration::from_secs(1));
    update(&world, |input| input.task_definition = text("web:2")).await;
    let third = newest(&world).await.service_deployment_arn.unwrap();
    stop(&world, &third, "ABORT").await.unwrap();
    settle(&world, None).await;
    let aborted = describe(&world, &third).await;
    assert_eq!(aborted.status, text("STOPPED"));
    assert!(aborted.stopped_at.is_some());
    assert_eq!(shown(&world).await.deployments.unwrap()[0].rollout_state, text("FAILED"));
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let (world, _) = World::ready().await;
    let missing = "arn:aws:ecs:us-east-1:123456789012:service-deployment/default/s/none";
    refused(
        stop(&world, missing, "ROLLBACK").await,
        "ServiceDeploymentNotFoundException",
        "Service deployment not found.",
    );
    let input = DescribeServiceDeploymentsRequest { service_deployment_arns: Some(vec![missing.into()]) };
    let failures = world.ecs.describe_service_deployments(&world.caller, input).await.unwrap().failures;
    assert_eq!(world::failures(failures), [(missing.to_owned(), "MISSING".to_owned())]);
    let input = ListServiceDeploymentsRequest { service: text("none"), ..Default::default() };
    let answer = world.ecs.list_service_deployments(&world.caller, input).await;
    refused(answer, "ServiceNotFoundException", "Service not found.");
    let input = DescribeServiceRevisionsRequest { service_revision_arns: Some(vec!["nonsense".into()]) };
    let answer = world.ecs.describe_service_revisions(&world.caller, input).await;
    refused(answer, "InvalidParameterException", "Invalid service revision ARN: nonsense.");
}

#[tokio::test]
async fn the_first_task_says_for_all_of_them_what_the_image_is() {
    for (consistency, expected) in
        [(None, Some("sha256:1")), (text("enabled"), Some("sha256:1")), (text("disabled"), None)]
    {
        let (world, _) = World::ready().await;
        world
            .define_with("web", |input| {
                let app = input.container_definitions.as_mut().unwrap();
                app[0].version_consistency = consistency.clone();
            })
            .await
            .unwrap();
        world.service("s", 2).await.unwrap();
        world.reconcile("s");
        let tasks: Vec<String> = world.snapshot().tasks.iter().map(|task| task.arn().to_string()).collect();
        let digests = async || {
            let revision = newest(&world).await.target_service_revision.unwrap().arn.unwrap();
            let input = DescribeServiceRevisionsRequest { service_revision_arns: Some(vec![revision]) };
            let answer = world.ecs.describe_service_revisions(&world.caller, input).await.unwrap();
            let images = answer.service_revisions.unwrap().remove(0).container_images.unwrap();
            images[0].image_digest.clone()
        };
        assert_eq!(digests().await, None);
        world.report(&tasks[0], "RUNNING", |container| container.image_digest = text("sha256:1")).await;
        // The tag was moved between the pulls of two tasks.
        world.report(&tasks[1], "RUNNING", |container| container.image_digest = text("sha256:2")).await;
        assert_eq!(digests().await.as_deref(), expected, "{consistency:?}");
        world.wait(Duration::from_secs(1));
        update(&world, |input| input.force_new_deployment = Some(true)).await;
        assert_eq!(digests().await, None, "a new deployment looks again");
    }
}
