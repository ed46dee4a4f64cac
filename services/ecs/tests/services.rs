//! Services, as they are created, changed and described. How they get to their desired count is the reconciler's to test.

mod world;

use api_ecs::*;
use world::{World, failures, refused, tag, text, texts};

async fn describe(world: &World, name: &str) -> Service {
    let input = DescribeServicesRequest { services: texts(&[name]), include: texts(&["TAGS"]), ..Default::default() };
    world.ecs.describe_services(&world.caller, input).await.unwrap().services.unwrap().remove(0)
}

async fn update(world: &World, change: impl FnOnce(&mut UpdateServiceRequest)) -> Result<Service, Error> {
    let mut input = UpdateServiceRequest { service: text("s"), ..Default::default() };
    change(&mut input);
    Ok(world.ecs.update_service(&world.caller, input).await?.service.unwrap())
}

async fn delete(world: &World, name: &str, force: Option<bool>) -> Result<Service, Error> {
    let input = DeleteServiceRequest { service: text(name), force, ..Default::default() };
    Ok(world.ecs.delete_service(&world.caller, input).await?.service.unwrap())
}

#[tokio::test]
async fn from_its_creation_to_its_end() {
    let (world, _) = World::ready().await;
    let made = world.service("s", 2).await.unwrap();
    assert_eq!(made.service_arn, text("arn:aws:ecs:us-east-1:123456789012:service/default/s"));
    assert_eq!((made.status.as_deref(), made.desired_count, made.running_count), (Some("ACTIVE"), Some(2), Some(0)));
    let configuration = made.deployment_configuration.unwrap();
    assert_eq!((configuration.minimum_healthy_percent, configuration.maximum_percent), (Some(100), Some(200)));
    world.reconcile("s");
    let shown = describe(&world, "s").await;
    assert_eq!((shown.pending_count, shown.running_count), (Some(2), Some(0)));
    let said = shown.deployments.as_ref().unwrap()[0].rollout_state_reason.clone().unwrap();
    assert!(said.starts_with("ECS deployment ecs-svc/") && said.ends_with(" in progress."), "{said}");
    assert!(shown.events.unwrap()[0].message.as_ref().unwrap().starts_with("(service s) has started 2 tasks: (task "));
    for task in world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap() {
        world.report(&task, "RUNNING", |_| {}).await;
        let task = world.describe(&task).await;
        assert_eq!(task.group, text("service:s"));
        assert!(task.started_by.unwrap().starts_with("ecs-svc/"));
    }
    world.reconcile("s");
    let shown = describe(&world, "s").await;
    let deployment = &shown.deployments.as_ref().unwrap()[0];
    assert_eq!((shown.running_count, deployment.running_count, deployment.failed_tasks), (Some(2), Some(2), Some(0)));
    assert_eq!(deployment.rollout_state, text("COMPLETED"));
    let said = deployment.rollout_state_reason.clone().unwrap();
    assert!(said.starts_with("ECS deployment ecs-svc/") && said.ends_with(" completed."), "{said}");
    assert_eq!(shown.events.unwrap()[0].message, text("(service s) has reached a steady state."));

    let refusal = "The service cannot be stopped while it is scaled above 0.";
    refused(delete(&world, "s", None).await, "InvalidParameterException", refusal);
    assert_eq!(delete(&world, "s", Some(true)).await.unwrap().status, text("DRAINING"));
    let again = "Unable to Start a service that is still Draining.";
    refused(world.service("s", 1).await, "InvalidParameterException", again);
    let not_active = ("ServiceNotActiveException", "Service was not ACTIVE.");
    refused(update(&world, |input| input.desired_count = Some(1)).await, not_active.0, not_active.1);
    world.reconcile("s");
    for task in world.snapshot().tasks.iter() {
        assert_eq!(task.desired_status, model::TaskStatus::Stopped);
        world.report(&task.arn().to_string(), "STOPPED", |container| container.exit_code = Some(0)).await;
    }
    world.reconcile("s");
    let gone = describe(&world, "s").await;
    assert_eq!((gone.status, gone.deployments), (text("INACTIVE"), Some(vec![])));
    assert_eq!(gone.task_definition, text("arn:aws:ecs:us-east-1:123456789012:task-definition/web:1"));
    refused(delete(&world, "s", None).await, not_active.0, not_active.1);
    let listed = world.ecs.list_services(&world.caller, Default::default()).await.unwrap();
    assert_eq!(listed.service_arns, Some(vec![]));
    assert_eq!(world.service("s", 1).await.unwrap().status, text("ACTIVE"), "its name is free again");
}

#[tokio::test]
async fn a_creation_is_idempotent_by_its_token() {
    let (world, _) = World::ready().await;
    let create = async |name: &str, token: Option<&str>, desired: i32| {
        let input = CreateServiceRequest {
            service_name: text(name),
            task_definition: text("web"),
            desired_count: Some(desired),
            client_token: token.map(str::to_owned),
            ..Default::default()
        };
        world.ecs.create_service(&world.caller, input).await.map(|answer| answer.service.unwrap().service_arn.unwrap())
    };
    let arn = create("s", Some("abc"), 1).await.unwrap();
    assert_eq!(create("s", Some("abc"), 1).await.unwrap(), arn);
    let refusal = "Creation of service was not idempotent.";
    refused(create("s", Some("abc"), 2).await, "InvalidParameterException", refusal);
    refused(create("other", Some("abc"), 1).await, "InvalidParameterException", refusal);
    refused(create("s", Some("def"), 1).await, "InvalidParameterException", refusal);
    refused(create("s", None, 1).await, "InvalidParameterException", refusal);
    assert_eq!(world.snapshot().services.len(), 1);
    let long = create("long", Some(&"x".repeat(37)), 1).await;
    assert_eq!(long.unwrap_err().code, ErrorCode::InvalidParameterException);
}

#[tokio::test]
async fn what_is_not_given_stays() {
    let (world, _) = World::ready().await;
    world.service("s", 1).await.unwrap();
    let scaled = update(&world, |input| input.desired_count = Some(3)).await.unwrap();
    assert_eq!((scaled.desired_count, scaled.deployments.unwrap().len()), (Some(3), 1));
    world.define("web").await;
    let rolled = update(&world, |input| input.task_definition = text("web")).await.unwrap();
    assert_eq!((rolled.desired_count, rolled.task_definition.unwrap().ends_with("web:2")), (Some(3), true));
    let deployments = rolled.deployments.unwrap();
    let statuses: Vec<_> = deployments.iter().map(|one| one.status.as_deref().unwrap()).collect();
    assert_eq!(statuses, ["PRIMARY", "ACTIVE"]);
    let same = update(&world, |input| input.task_definition = text("web:2")).await.unwrap();
    assert_eq!(same.deployments.unwrap().len(), 2, "the same definition is no new deployment");
    let forced = update(&world, |input| input.force_new_deployment = Some(true)).await.unwrap();
    assert_eq!(forced.deployments.unwrap().len(), 3);
}

#[tokio::test]
async fn failed_tasks_are_counted_until_the_deployment_is_through() {
    let (world, _) = World::ready().await;
    world.service("s", 1).await.unwrap();
    for _ in 0..2 {
        world.reconcile("s");
        let task = world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap().remove(0);
        world.report(&task, "STOPPED", |container| container.reason = text("CannotStartContainerError: no")).await;
    }
    let failed = async || describe(&world, "s").await.deployments.unwrap()[0].failed_tasks;
    assert_eq!(failed().await, Some(2));
    world.reconcile("s");
    let task = world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap().remove(0);
    world.report(&task, "RUNNING", |_| {}).await;
    world.reconcile("s");
    assert_eq!(failed().await, Some(0));
}

#[tokio::test]
async fn bad_requests_change_nothing() {
    let (world, _) = World::ready().await;
    let invalid = "InvalidParameterException";
    let names =
        "Service names can contain up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens.";
    for name in ["", "a b", &"x".repeat(256)] {
        refused(world.service(name, 1).await, invalid, names);
    }
    refused(world.service("s", -1).await, invalid, "Desired count cannot be negative.");
    refused(world.service("s", 5001).await, invalid, "Desired count cannot be greater than 5000.");
    let create = async |change: fn(&mut CreateServiceRequest)| {
        let mut input =
            CreateServiceRequest { service_name: text("s"), task_definition: text("web"), ..Default::default() };
        change(&mut input);
        world.ecs.create_service(&world.caller, input).await
    };
    refused(create(|input| input.task_definition = text("nope")).await, "ClientException", "TaskDefinition not found.");
    let percent = create(|input| {
        input.deployment_configuration = Some(DeploymentConfiguration {
            maximum_percent: Some(50),
            minimum_healthy_percent: Some(50),
            ..Default::default()
        });
    });
    refused(percent.await, invalid, "maximumPercent must be greater than minimumHealthyPercent.");
    let balanced = create(|input| input.load_balancers = Some(vec![LoadBalancer::default()])).await;
    refused(balanced, "UnsupportedFeatureException", "loadBalancers is not supported by this version of Berth.");
    let input = DeregisterTaskDefinitionRequest { task_definition: text("web:1") };
    world.ecs.deregister_task_definition(&world.caller, input).await.unwrap();
    refused(create(|input| input.task_definition = text("web:1")).await, invalid, "TaskDefinition is inactive");
    assert!(world.snapshot().services.is_empty());

    let not_found = ("ServiceNotFoundException", "Service not found.");
    refused(update(&world, |_| {}).await, not_found.0, not_found.1);
    refused(delete(&world, "s", None).await, not_found.0, not_found.1);
}

#[tokio::test]
async fn what_is_missing_is_a_failure() {
    let (world, _) = World::ready().await;
    world.service("s", 0).await.unwrap();
    let describe = |services: &[&str]| DescribeServicesRequest { services: texts(services), ..Default::default() };
    let arn = "arn:aws:ecs:us-east-1:123456789012:service/default/s";
    let answer = world.ecs.describe_services(&world.caller, describe(&["s", arn, "nope"])).await.unwrap();
    assert_eq!(answer.services.unwrap().len(), 2);
    let missing = "arn:aws:ecs:us-east-1:123456789012:service/default/nope";
    assert_eq!(failures(answer.failures), [(missing.into(), "MISSING".into())]);
    let none = world.ecs.describe_services(&world.caller, describe(&[])).await;
    refused(none, "InvalidParameterException", "Services cannot be empty.");
    let many = world.ecs.describe_services(&world.caller, describe(&["s"; 11])).await;
    refused(many, "InvalidParameterException", "Services cannot have more than 10 elements.");
}

#[tokio::test]
async fn tasks_carry_the_tags_that_the_service_says() {
    let (world, _) = World::ready().await;
    let input = CreateServiceRequest {
        service_name: text("s"),
        task_definition: text("web"),
        desired_count: Some(1),
        tags: Some(vec![tag("team", "web")]),
        propagate_tags: text("SERVICE"),
        enable_ecs_managed_tags: Some(true),
        ..Default::default()
    };
    world.ecs.create_service(&world.caller, input).await.unwrap();
    assert_eq!(describe(&world, "s").await.tags.unwrap(), [tag("team", "web")]);
    world.reconcile("s");
    let task = world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap().remove(0);
    let tags = world.describe(&task).await.tags.unwrap();
    let managed = [tag("aws:ecs:clusterName", "default"), tag("aws:ecs:serviceName", "s")];
    assert_eq!(tags, [&[tag("team", "web")][..], &managed].concat());
}

type Wish<'a> = &'a dyn Fn(&mut CreateServiceRequest);

/// By default enabled where it can be; asked for where it cannot be, it is refused.
#[tokio::test]
async fn zones_are_balanced_where_nothing_speaks_against_it() {
    let (world, _) = World::ready().await;
    let numbers = std::cell::Cell::new(0);
    let create = async |change: Wish<'_>, wish: Option<&str>| {
        numbers.set(numbers.get() + 1);
        let mut input = CreateServiceRequest {
            service_name: Some(format!("zones-{}", numbers.get())),
            task_definition: text("web"),
            availability_zone_rebalancing: wish.map(str::to_owned),
            ..Default::default()
        };
        change(&mut input);
        let made = world.ecs.create_service(&world.caller, input).await;
        made.map(|answer| answer.service.unwrap().availability_zone_rebalancing.unwrap())
    };
    let strategy = |kind: &str, field: &str| {
        Some(vec![
            PlacementStrategy { r#type: text(kind), field: text(field) },
            PlacementStrategy { r#type: text("random"), field: None },
        ])
    };
    let maximum = |percent| Some(DeploymentConfiguration { maximum_percent: Some(percent), ..Default::default() });
    let spread = |input: &mut CreateServiceRequest| {
        input.placement_strategy = strategy("spread", "attribute:ecs.availability-zone");
    };
    let fitting: [Wish<'_>; 2] = [&|_| {}, &spread];
    for fits in fitting {
        assert_eq!(create(fits, None).await.unwrap(), "ENABLED");
        assert_eq!(create(fits, Some("ENABLED")).await.unwrap(), "ENABLED");
        assert_eq!(create(fits, Some("DISABLED")).await.unwrap(), "DISABLED");
    }
    let member_of = |input: &mut CreateServiceRequest| {
        let expression = text("attribute:ecs.availability-zone == us-east-1a");
        input.placement_constraints = Some(vec![PlacementConstraint { r#type: text("memberOf"), expression }]);
    };
    let external = |input: &mut CreateServiceRequest| {
        input.task_definition = None;
        input.deployment_controller = Some(DeploymentController { r#type: text("EXTERNAL") });
    };
    let refusals: [(Wish<'_>, &str); 6] = [
        (&|input| input.deployment_configuration = maximum(100), "maximumPercent <= 100"),
        (&|input| input.scheduling_strategy = text("DAEMON"), "the DAEMON scheduling strategy"),
        (&external, "the EXTERNAL deployment controller"),
        (
            &|input| input.placement_strategy = strategy("binpack", "memory"),
            "a placement strategy whose first step is not spread by attribute:ecs.availability-zone",
        ),
        (
            &|input| input.placement_strategy = strategy("spread", "host"),
            "a placement strategy whose first step is not spread by attribute:ecs.availability-zone",
        ),
        (&member_of, "attribute:ecs.availability-zone as a task placement constraint"),
    ];
    for (change, what) in refusals {
        assert_eq!(create(change, None).await.unwrap(), "DISABLED", "{what}");
        let message = format!("AvailabilityZoneRebalancing does not support {what}");
        refused(create(change, Some("ENABLED")).await, "InvalidParameterException", &message);
    }
    refused(
        create(&|_| {}, Some("SOMETIMES")).await,
        "InvalidParameterException",
        "Invalid availabilityZoneRebalancing: SOMETIMES.",
    );

    world.service("s", 1).await.unwrap();
    let of = |service: Service| service.availability_zone_rebalancing.unwrap();
    assert_eq!(of(update(&world, |input| input.desired_count = Some(2)).await.unwrap()), "ENABLED", "it stays");
    let narrow = update(&world, |input| input.deployment_configuration = maximum(100)).await;
    let message = "AvailabilityZoneRebalancing does not support maximumPercent <= 100";
    refused(narrow, "InvalidParameterException", message);
    let off = update(&world, |input| {
        input.deployment_configuration = maximum(100);
        input.availability_zone_rebalancing = text("DISABLED");
    });
    let off = off.await.unwrap();
    assert_eq!(off.deployments.as_ref().unwrap().len(), 1, "it is no new deployment");
    assert_eq!(of(off), "DISABLED");
    assert_eq!(of(update(&world, |input| input.desired_count = Some(3)).await.unwrap()), "DISABLED", "it stays");
    let on = update(&world, |input| input.availability_zone_rebalancing = text("ENABLED")).await;
    refused(on, "InvalidParameterException", message);
}
